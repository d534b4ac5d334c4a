/*
 * test_loading.c - loading and unloading extensions, constructors, symbols of other extensions, authorisation.
 *
 *     test_loading [NAME=KIND|refused]...     what the host expects of these extensions: ULS_AUTHORISATION_x
 */
#include <check.h>
#include <errno.h>
#include <ringtoll/extensions.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syscall.h>
#include <uls.h>

static long load(const char *name) { return syscall_int80(SYS_uls_load, (long)name, 0, 0, 0, 0, 0); }
static long unload(const char *name) { return syscall_int80(SYS_uls_unload, (long)name, 0, 0, 0, 0, 0); }

/* The header is in the public area, where everybody may read it. */
static const struct uls_entry *entry_of(const char *name)
{
	const struct uls_header *h = (const struct uls_header *)ULS_PUBLIC_BASE;

	for (abi_u32 i = 0; i < h->count; i++)
		if (!strcmp(h->ext[i].name, name))
			return &h->ext[i];
	return 0;
}

static int all_zero(const struct uls_entry *e)
{
	const char *p = (const char *)e->text;

	for (abi_u32 i = 0; i < e->text_size; i++)
		if (p[i])
			return 0;
	return 1;
}

static void test_unloading(void)
{
	const struct uls_entry *e = entry_of("counter");
	abi_u32 first = *(const abi_u32 *)e->entry;
	static struct counter_record record;
	int id = uls_register("counter");

	check("load.register", id >= 0, "%d", errno);
	check_equal("load.post", uls_post(id, 7), 0);
	check_equal("load.twice", load("counter"), -EEXIST);
	check_equal("unload.registered", unload("counter"), -EBUSY);
	check_equal("unload.unregister", uls_unregister(id), 0);
	check_equal("unload.free", unload("counter"), 0);
	check("unload.code_is_gone", all_zero(e), "%x", *(const abi_u32 *)e->entry);
	check_equal("unload.again", unload("counter"), -ENOENT);
	check_equal("unload.unknown", unload("nobody"), -ENOENT);
	check_equal("unload.register", uls_register("counter"), -1);
	check_equal("unload.register_errno", errno, ENOENT);
	check_equal("unload.post", uls_post(id, 7), -1);
	check_equal("load.again", load("counter"), 0);
	check_equal("load.code_is_back", *(const abi_u32 *)e->entry, first);
	check_equal("load.bad_name", load((const char *)0xC0000000), -EFAULT);

	id = uls_register("counter");
	check("load.register_again", id >= 0, "%d", errno);
	check_equal("load.fetch", uls_post(id, (abi_u32)&record), 0);
	check_equal("load.data_is_new", record.count, 0);
	check_equal("load.init_ran_once", record.initialised, 1);
	uls_unregister(id);
}

static void fetch(const char *what, int id, struct builder_record *r)
{
	memset(r, 0, sizeof *r);
	check_equal(what, uls_post(id, (abi_u32)r), 0);
}

static void test_constructors(void)
{
	static struct builder_record r;
	int builder = uls_register("builder"), borrower = uls_register("borrower");

	check("constructors.register", builder >= 0 && borrower >= 0, "%d", errno);
	fetch("constructors.fetch", builder, &r);
	check_equal("constructors.calls", r.calls, 3);
	check_equal("constructors.first", r.order[0], BUILDER_FIRST);
	check_equal("constructors.second", r.order[1], BUILDER_SECOND);
	check_equal("constructors.init_last", r.order[2], BUILDER_INIT);
	fetch("borrower.fetch", borrower, &r);
	check_equal("borrower.sees_the_same", r.calls, 3);
	check("constructors.register_again", uls_register("builder") == builder, "%d", errno);
	fetch("constructors.fetch_again", builder, &r);
	check_equal("constructors.run_at_each_registration", r.calls, 6);

	uls_unregister(builder);
	check_equal("needs.unload", unload("builder"), -EBUSY);
	uls_unregister(borrower);
	check_equal("needs.unload_user", unload("borrower"), 0);
	check_equal("needs.unload_then", unload("builder"), 0);
	check_equal("needs.load_user", load("borrower"), 0);
	check_equal("needs.register_alone", uls_register("borrower"), -1);
	check_equal("needs.errno", errno, ENOENT);
	check_equal("needs.load", load("builder"), 0);
	borrower = uls_register("borrower");
	check("needs.register", borrower >= 0, "%d", errno);
	uls_unregister(borrower);
}

static void test_users(void)
{
	check_equal("users.setuid", syscall_int80(SYS_setuid, 1000, 0, 0, 0, 0, 0), 0);
	check_equal("users.unload", unload("counter"), -EPERM);
	check_equal("users.load", load("counter"), -EPERM);
}

static void test_expected(const char *name, const char *wanted)
{
	struct uls_info info;
	int id;

	printf("INFO %s is to be %s\n", name, wanted);
	if (!strcmp(wanted, "refused")) {
		check_equal("refused.register", uls_register(name), -1);
		check_equal("refused.load", load(name), -EACCES);
		check_equal("refused.nothing_is_loaded", all_zero(entry_of(name)), 1);
		return;
	}
	id = uls_register(name);
	check("authorised.register", id >= 0, "%d", errno);
	uls_info(id, &info);
	check_equal("authorised.kind", info.authorisation, atoi(wanted));
	uls_unregister(id);
	check_equal("authorised.unload", unload(name), 0);
	check_equal("authorised.load", load(name), 0);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		for (char *p = argv[i]; *p; p++)
			if (*p == '=') {
				*p = 0;
				test_expected(argv[i], p + 1);
				break;
			}
	if (argc == 1) {
		test_unloading();
		test_constructors();
		test_users();
	}
	return check_failures() != 0;
}
