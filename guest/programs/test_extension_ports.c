/* test_extension_ports.c - I/O ports granted to one extension: not to another, and never to the interrupted process. */
#include <errno.h>
#include <ringtoll/extensions.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <uls_check.h>
#include <unistd.h>

#define op(what, port, byte) ((abi_u32)(what) << 24 | (port) << 8 | (byte))
#define SCRATCH 0x3ff                       /* the UART's register without a meaning */

static int porter;
static struct port_access last;

static void register_porter(int mode)
{
	porter = uls_register("porter");
	uls_control(porter, ULS_CONTROL_MODE, mode);
}

static void try(abi_u32 event)
{
	uls_post(porter, event);
	sleep_ms(40);
}

static void report(void)
{
	uls_control(porter, ULS_CONTROL_MODE, ULS_MODE_DIRECT);
	uls_post(porter, (abi_u32)PORT_REPORT << 24 | ((abi_u32)&last - RECORDER_ADDRESS));
}

static int port_trap;

static void on_fault(int sig, siginfo_t *info, ucontext_t *c)
{
	(void)sig;
	(void)info;
	port_trap = c->mcontext.trapno;
	c->mcontext.eip += 1;                    /* IN AL, DX is one byte long */
}

/* Does this very process reach the port? */
static int we_may(void)
{
	unsigned char byte = 0;

	port_trap = 0;
	__asm__ volatile("inb %1, %0" : "+a"(byte) : "d"((unsigned short)SCRATCH));
	return port_trap != 13;
}

static void test_mode(int mode)
{
	struct uls_info i;

	register_porter(mode);
	try(op(PORT_IN, SCRATCH, 0));
	i = info_of(porter);
	check("ports.without_a_grant_aborted", i.state == ULS_STATE_FAULTED && i.last_trap == 13 && i.faulted == 1, "state %u trap %u",
	      i.state, i.last_trap);
	check_adds_up("ports.adds_up", porter);

	register_porter(mode);
	check_equal("ports.grant", uls_ioperm(porter, SCRATCH, 1, 1), 0);
	try(op(PORT_OUT, SCRATCH, 0x5a));
	try(op(PORT_IN, SCRATCH, 0));
	check_equal("ports.used", info_of(porter).delivered, 2);
	check("ports.never_ours", !we_may(), "the process reached the port");
	try(op(PORT_SLEEP_IN, SCRATCH, 0));
	check("ports.after_blocking", info_of(porter).delivered == 3, "%u", info_of(porter).delivered);
	check("ports.never_ours_after_blocking", !we_may(), "the process reached the port");
	report();
	check("ports.value", last.byte == 0x5a, "%x", last.byte);

	uls_control(porter, ULS_CONTROL_MODE, mode);
	try(op(PORT_IN, 0x80, 0));
	check("ports.a_neighbour_is_not_granted", info_of(porter).state == ULS_STATE_FAULTED, "state %u", info_of(porter).state);

	register_porter(mode);
	try(op(PORT_IN, SCRATCH, 0));
	check("ports.grant_ends_with_the_registration", info_of(porter).state == ULS_STATE_FAULTED, "state %u",
	      info_of(porter).state);
	register_porter(mode);
	uls_ioperm(porter, SCRATCH, 1, 1);
	check_equal("ports.take_back", uls_ioperm(porter, SCRATCH, 1, 0), 0);
	try(op(PORT_IN, SCRATCH, 0));
	check("ports.taken_back", info_of(porter).state == ULS_STATE_FAULTED, "state %u", info_of(porter).state);
	check_adds_up("ports.adds_up_again", porter);

	/* while its handler sleeps */
	register_porter(mode);
	uls_ioperm(porter, SCRATCH, 1, 1);
	uls_post(porter, op(PORT_SLEEP_IN, SCRATCH, 0));
	sched_yield();
	check_equal("ports.asleep", info_of(porter).state, ULS_STATE_BLOCKED);
	uls_ioperm(porter, SCRATCH, 1, 0);
	sleep_ms(60);
	check("ports.taken_back_asleep", info_of(porter).state == ULS_STATE_FAULTED, "state %u", info_of(porter).state);
}

int main(void)
{
	struct sigaction a = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &a, 0);
	check("ports.not_ours_at_first", !we_may(), "the process reached the port");
	test_mode(ULS_MODE_DIRECT);
	test_mode(ULS_MODE_THREADED);
	register_porter(ULS_MODE_DIRECT);
	check("ports.range", fails_with(uls_ioperm(porter, 0x3ff, 2, 1), EINVAL), "errno %d", errno);
	setuid(5);
	check("ports.root_only", fails_with(uls_ioperm(porter, SCRATCH, 1, 1), EPERM), "errno %d", errno);
	return check_failures() != 0;
}
