/*
 * test_sandbox.c - what User-Level Sandboxing promises, and what it does not.
 *
 *     test_sandbox a   owns the extensions and sleeps; everything below happens without it
 *     test_sandbox b   is the process that is current when A's extensions run, and does the checking
 */
#include <check.h>
#include <errno.h>
#include <ringtoll/extensions.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <uls.h>
#include <unistd.h>

enum command { NOTHING, REGISTER_TOUCHER, BIND_SCRAMBLER, UNBIND_SCRAMBLER, END };

struct shared {
	volatile int a, counter, toucher, scrambler, sleeper;     /* A's pid and ids */
	volatile enum command command;
	volatile int result;
};

static struct shared *shared;
static struct uls_sysinfo system;

/* ---- A ---- */

static int owner(void)
{
	shared->counter = uls_register("counter");
	shared->toucher = uls_register("toucher");
	shared->scrambler = uls_register("scrambler");
	shared->sleeper = uls_register("sleeper");
	shared->a = getpid();
	for (;;) {
		sleep_ms(10);
		switch (shared->command) {
		case NOTHING: continue;
		case REGISTER_TOUCHER: shared->result = uls_register("toucher"); break;
		case BIND_SCRAMBLER: shared->result = uls_bind(shared->scrambler, ULS_SOURCE_TIMER, 1); break;
		case UNBIND_SCRAMBLER: shared->result = uls_bind(shared->scrambler, ULS_SOURCE_TIMER, 0); break;
		case END: return 0;
		}
		shared->command = NOTHING;
	}
}

/* ---- B ---- */

static int ask(enum command c)
{
	shared->command = c;
	while (shared->command != NOTHING)
		sleep_ms(10);
	return shared->result;
}

static struct uls_info info(int id)
{
	struct uls_info i;

	memset(&i, 0xff, sizeof i);
	uls_info(id, &i);
	return i;
}

static uint32_t switches(int pid)
{
	struct uls_pstat s = { 0 };

	uls_pstat(pid, &s);
	return s.switches;
}

static void test_registration(void)
{
	check("registered", shared->counter >= 0 && shared->toucher >= 0 && shared->scrambler >= 0 &&
	      shared->sleeper >= 0, "%d %d %d %d", shared->counter, shared->toucher, shared->scrambler, shared->sleeper);
	check_equal("lookup", uls_lookup("counter"), shared->counter);
	check("owner", info(shared->counter).owner == (uint32_t)shared->a, "%u", info(shared->counter).owner);
	check("register_owned_is_EBUSY", uls_register("counter") == -1 && errno == EBUSY, "errno %d", errno);
	check("register_unknown_is_ENOENT", uls_register("nobody") == -1 && errno == ENOENT, "errno %d", errno);
	check("post_unknown_id_refused", uls_post(999, 0) == -1, "accepted");
	check("bind_not_owner_refused", uls_bind(shared->counter, ULS_SOURCE_TIMER, 1) == -1, "accepted");
}

/* The heart of it: A's extension runs while B is current and A sleeps. */
static void test_runs_in_b(void)
{
	uint32_t before_a = switches(shared->a);
	struct uls_info i0 = info(shared->counter);
	int r = uls_post(shared->counter, 7);
	struct uls_info i1 = info(shared->counter);
	uint32_t after_a = switches(shared->a);

	check_equal("post", r, 0);
	check_equal("delivered", i1.delivered - i0.delivered, 1);
	check_equal("current_was_b", i1.last_pid, getpid());
	check_equal("no_context_switch", i1.last_switches, 0);
	check_equal("cr3_writes", i1.last_cr3_writes, system.flush == ULS_FLUSH_CR3 ? 2 : 0);
	check("a_did_not_run", before_a == after_a, "%u switches to A", after_a - before_a);
}

static void test_closed(const char *when)
{
	static const struct { const char *name; uint32_t offset; } where[] = { { "start", 0 }, { "inside", 0x123450 } };
	char name[64];

	for (int i = 0; i < 2; i++) {
		uint32_t at = ULS_PROTECTED_BASE + where[i].offset;

		snprintf(name, sizeof name, "%s.%s.read", when, where[i].name);
		check_fault(name, probe_read(at), 5, at);
		snprintf(name, sizeof name, "%s.%s.write", when, where[i].name);
		check_fault(name, probe_write(at), 7, at);
		snprintf(name, sizeof name, "%s.%s.jump", when, where[i].name);
		check_fault(name, probe_jump(at), 5, at);
	}
	snprintf(name, sizeof name, "%s.public.write", when);
	check_fault(name, probe_write(ULS_PUBLIC_BASE), 7, ULS_PUBLIC_BASE);
	snprintf(name, sizeof name, "%s.public.readable", when);
	check_equal(name, *(volatile uint32_t *)ULS_PUBLIC_BASE, ULS_MAGIC);
}

static void test_order(void)
{
	static struct counter_record before, after;
	int ok = 1, n = 20;

	uls_post(shared->counter, (uint32_t)&before);     /* runs on our page tables, so it can write here */
	for (int i = 0; i < n; i++)
		uls_post(shared->counter, 100 + i);
	uls_post(shared->counter, (uint32_t)&after);
	check_equal("order.all_delivered", after.count - before.count, n);
	for (int i = 0; i < n && before.count + n <= COUNTER_VALUES; i++)
		ok &= after.values[before.count + i] == 100u + i;
	check("order.values", ok, "wrong order");
	check_equal("order.numbers_without_gap", after.out_of_order, 0);
	check_equal("order.source", after.last_source, ULS_SOURCE_POST);
	check_equal("order.pid", after.last_pid, getpid());
	check_equal("init_ran_once", after.initialised, 1);
}

static void offend(const char *what, uint32_t value, uint32_t trap, uint32_t error, uint32_t cr2)
{
	struct uls_info i;
	char name[64];

	snprintf(name, sizeof name, "toucher.%s.aborted", what);
	check(name, uls_post(shared->toucher, value) == -1 && errno == EIO, "errno %d", errno);
	i = info(shared->toucher);
	snprintf(name, sizeof name, "toucher.%s.fault", what);
	check(name, i.state == ULS_STATE_FAULTED && i.last_trap == trap && i.last_error == error &&
	      (trap != 14 || i.last_cr2 == cr2), "state %u trap %u error %u cr2 0x%08x", i.state, i.last_trap,
	      i.last_error, i.last_cr2);
	snprintf(name, sizeof name, "toucher.%s.then_refused", what);
	check(name, uls_post(shared->toucher, 0) == -1 && errno == EHOSTDOWN, "errno %d", errno);
	snprintf(name, sizeof name, "toucher.%s.others_go_on", what);
	check_equal(name, uls_post(shared->counter, 1), 0);
	snprintf(name, sizeof name, "toucher.%s.revived_by_owner", what);
	check(name, ask(REGISTER_TOUCHER) >= 0 && uls_post(shared->toucher, TOUCH_NOTHING) == 0, "not revived");
}

static void test_offences(void)
{
	offend("read_kernel", TOUCH_READ_KERNEL, 14, 5, TOUCH_KERNEL_ADDRESS);
	offend("write_kernel", TOUCH_WRITE_KERNEL, 14, 7, TOUCH_KERNEL_ADDRESS);
	offend("write_public", TOUCH_WRITE_PUBLIC, 14, 7, ULS_PUBLIC_BASE);
	offend("jump_kernel", TOUCH_JUMP_KERNEL, 14, 5, TOUCH_KERNEL_ADDRESS);
	offend("privileged", TOUCH_PRIVILEGED, 13, 0, 0);
}

/* Timer upcalls interrupt this very code at any instruction; it must not be able to tell. */
static void test_interrupted_goes_on(void)
{
	uint32_t start = info(shared->scrambler).delivered;
	const char *wrong = 0;

	check_equal("timer.bind", ask(BIND_SCRAMBLER), 0);
	for (int i = 0; i < 4000 && info(shared->scrambler).delivered - start < 20 && !wrong; i++)
		wrong = hold_registers(200000, i & 1 ? 0xcd5 : 0x200000);
	struct uls_info i = info(shared->scrambler);
	check("timer.upcalls_came", i.delivered - start >= 20, "only %u", i.delivered - start);
	check("timer.b_was_current", i.last_pid == (uint32_t)getpid() || i.last_pid == 0, "pid %u", i.last_pid);
	check("timer.registers_flags_x87_sse_preserved", !wrong, "%s differs", wrong);
	check_equal("timer.unbind", ask(UNBIND_SCRAMBLER), 0);
	start = info(shared->scrambler).delivered;
	sleep_ms(40);
	check_equal("timer.stops", info(shared->scrambler).delivered - start, 0);
}

/* A handler that blocks becomes a thread of its own; the sandbox must not stay open for whoever runs meanwhile. */
static void test_blocking(void)
{
	struct uls_info i0 = info(shared->sleeper), i1, i2;
	int r = uls_post(shared->sleeper, 30);
	struct fault f = probe_read(ULS_PROTECTED_BASE);

	i1 = info(shared->sleeper);
	check_equal("blocking.post_returns", r, 1);
	check_equal("blocking.state", i1.state, ULS_STATE_BLOCKED);
	check_equal("blocking.counted", i1.blocked - i0.blocked, 1);
	if (system.flush != ULS_FLUSH_NONE)
		check_fault("blocking.closed_meanwhile", f, 5, ULS_PROTECTED_BASE);
	check_equal("blocking.second_is_queued", uls_post(shared->sleeper, 10), 1);
	check_equal("blocking.queue", info(shared->sleeper).queued, 1);
	check_equal("blocking.others_go_on", uls_post(shared->counter, 1), 0);
	sleep_ms(150);
	i2 = info(shared->sleeper);
	check_equal("blocking.both_finished", i2.delivered - i0.delivered, 2);
	check_equal("blocking.idle_again", i2.state, ULS_STATE_IDLE);
}

/* flush=none leaves the translation of the open sandbox in the TLB: the hole that invalidation closes. */
static void test_stale(void)
{
	struct fault f;

	uls_post(shared->counter, 1);
	f = probe_read(ULS_PROTECTED_BASE);
	printf("STALE %s\n", f.signal ? "no" : "yes");
}

int main(int argc, char **argv)
{
	int status = -1;

	shared = uls_shm("test_sandbox", sizeof *shared);
	if (argc > 1 && !strcmp(argv[1], "a"))
		return owner();
	for (int i = 0; i < 100 && !shared->a; i++)
		sleep_ms(10);
	if (!check("partner", shared->a != 0, "no second module `test_sandbox a`"))
		return 1;
	uls_sysinfo(&system);
	printf("INFO flush %u entry %u\n", system.flush, system.entry);
	probe_setup();
	test_registration();
	if (system.flush == ULS_FLUSH_NONE)
		test_stale();
	else
		test_closed("closed");
	test_runs_in_b();
	test_order();
	if (system.flush != ULS_FLUSH_NONE)
		test_closed("closed_again");
	test_offences();
	test_blocking();
	test_interrupted_goes_on();
	shared->command = END;
	check_equal("end.waitpid", waitpid(shared->a, &status, 0), shared->a);
	check("end.status", WIFEXITED(status) && WEXITSTATUS(status) == 0, "0x%x", status);
	return check_failures() != 0;
}
