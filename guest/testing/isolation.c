/*
 * isolation.c - what paging alone stops, and what it does not.
 *
 *   `snooper` gets the address of a struct snoop in our own, private memory, and reads or writes another address for us:
 *
 *     a kernel address                        must fault: CPL 3
 *     the stack of `recorder`, an extension   goes through: the same protected area, open for both
 *     our own memory, where the request lies  goes through: the upcall runs on our page tables
 *   and we, with the sandbox closed, try its protected area ourselves: must fault
 */
#include "isolation.h"
#include "check.h"

#include <errno.h>
#include <ringtoll/extensions.h>
#include <stdio.h>
#include <string.h>
#include <uls.h>

static volatile struct snoop request;

/* Did the access get through? If not, the error code. */
static int snoop(int write, abi_u32 address, abi_u32 *value, abi_u32 *error)
{
	struct uls_info info;
	int id = uls_register("snooper");        /* again: it may have been aborted */

	request = (struct snoop){ write, address, *value };
	uls_post(id, (abi_u32)&request);
	uls_info(id, &info);
	*value = request.value;
	*error = info.last_error;
	return info.faulted == 0 && info.delivered == 1;
}

static void try_kernel(struct boundary *b)
{
	abi_u32 value = 0;

	b->read = snoop(0, TOUCH_KERNEL_ADDRESS, &value, &b->read_error);
	b->write = snoop(1, TOUCH_KERNEL_ADDRESS, &value, &b->write_error);
}

static void try_closed(struct boundary *b)
{
	struct fault r = probe_read(ULS_PROTECTED_BASE), w = probe_write(ULS_PROTECTED_BASE);

	b->read = !r.signal;
	b->write = !w.signal;
	b->read_error = r.error;
	b->write_error = w.error;
}

/* The recorder's last event lies at the top of its stack (abi.h): value at -28. */
static void try_extension(struct boundary *b)
{
	struct uls_info info;
	int id = uls_lookup("recorder");
	abi_u32 secret = 0x5ec2e7, value = 0;

	uls_post(id, secret);
	uls_info(id, &info);
	abi_u32 at = info.stack_base + info.stack_size - 8 - sizeof(struct uls_event) + offsetof(struct uls_event, value);
	b->read = snoop(0, at, &value, &b->read_error) && value == secret;
	value = 0xbad;
	b->write = snoop(1, at, &value, &b->write_error) && snoop(0, at, &value, &b->write_error) && value == 0xbad;
}

static void try_process(struct boundary *b)
{
	static volatile abi_u32 secret;
	abi_u32 value = 0;

	secret = 0x0112233;
	b->read = snoop(0, (abi_u32)&secret, &value, &b->read_error) && value == secret;
	value = 0xbad;
	b->write = snoop(1, (abi_u32)&secret, &value, &b->write_error) && secret == 0xbad;
}

int try_isolation(struct boundary results[BOUNDARIES])
{
	static const struct boundary empty[BOUNDARIES] = {
		{ .name = "the kernel, from an extension", .should_hold = 1 },
		{ .name = "the protected area, from a process", .should_hold = 1 },
		{ .name = "an extension, from another", .should_hold = 0 },
		{ .name = "the interrupted process, from an extension", .should_hold = 0 },
	};

	memcpy(results, empty, sizeof empty);
	if (uls_register("snooper") < 0 || uls_register("recorder") < 0)
		return -1;
	probe_setup();
	try_kernel(&results[KERNEL_FROM_EXTENSION]);
	try_closed(&results[SANDBOX_FROM_PROCESS]);
	try_extension(&results[EXTENSION_FROM_EXTENSION]);
	try_process(&results[PROCESS_FROM_EXTENSION]);
	uls_unregister(uls_lookup("snooper"));
	uls_unregister(uls_lookup("recorder"));
	return 0;
}

void describe_boundary(const struct boundary *b, char *to, unsigned size)
{
	if (b->read || b->write)
		snprintf(to, size, "%s: NOT enforced by paging (%s%s%s went through)", b->name, b->read ? "read" : "",
			 b->read && b->write ? " and " : "", b->write ? "write" : "");
	else
		snprintf(to, size, "%s: enforced by paging (read: #PF error %u, write: #PF error %u)", b->name, b->read_error,
			 b->write_error);
}
