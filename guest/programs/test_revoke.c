/* test_revoke.c - faults inside extensions, giving up and taking away, whatever the extension is doing. */
#include <errno.h>
#include <ringtoll/extensions.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <uls_check.h>
#include <unistd.h>

#define op(what, argument) ((abi_u32)(what) << 24 | (abi_u32)(argument))

static int blocker, counter;

/* ---- faults ---- */

static void test_fault(abi_u32 vector, abi_u32 trap, int mode)
{
	char name[64];
	int faulter = uls_register("faulter");
	struct uls_info i;

	uls_control(faulter, ULS_CONTROL_MODE, mode);
	int r = uls_post(faulter, vector);
	int error = errno;
	wait_state(faulter, ULS_STATE_FAULTED);
	i = info_of(faulter);
	snprintf(name, sizeof name, "fault.%u.%s.aborted", vector, mode ? "threaded" : "direct");
	check(name, i.state == ULS_STATE_FAULTED && i.last_trap == trap && i.faulted == 1 && i.delivered == 0,
	      "state %u trap %u faulted %u", i.state, i.last_trap, i.faulted);
	if (!mode)
		check("fault.post_says_EIO", r == -1 && error == EIO, "%d errno %d", r, error);
	check("fault.refused_then", fails_with(uls_post(faulter, 99), EHOSTDOWN), "errno %d", errno);
	check("fault.bind_refused_then", fails_with(uls_bind(faulter, ULS_SOURCE_TIMER, 1), EHOSTDOWN), "errno %d", errno);
	check_adds_up("fault.adds_up", faulter);
	check("fault.we_are_whole", !hold_registers(1000, 0xcd5), "registers differ");
	check_equal("fault.others_go_on", uls_post(counter, 1), 0);
}

static void test_faults(void)
{
	static const struct { unsigned char event, trap; } classes[] = {
		{ 0, 0 }, { 1, 1 }, { 3, 3 }, { 4, 4 }, { 5, 5 }, { 6, 6 }, { 10, 13 }, { 13, 13 }, { 14, 14 }, { 16, 16 },
	};

	for (unsigned i = 0; i < sizeof classes / sizeof *classes; i++)
		for (int mode = ULS_MODE_DIRECT; mode <= ULS_MODE_THREADED; mode++)
			test_fault(classes[i].event, classes[i].trap, mode);
	uls_unregister(uls_lookup("faulter"));
}

/* ---- giving up ---- */

static void revive(int mode)
{
	uls_control(blocker, ULS_CONTROL_ALLOW, 1);
	check_equal("registered_again", uls_register("blocker"), blocker);
	uls_control(blocker, ULS_CONTROL_MODE, mode);
}

static void test_leaves(int mode)
{
	static struct blocking b;
	struct uls_info i;

	revive(mode);
	uls_raise(blocker, 0, op(BLOCK_LEAVE, blocker));
	uls_raise(blocker, 0, op(BLOCK_SPIN, 1));
	sleep_ms(20);
	i = info_of(blocker);
	check("leaves.free", i.state == ULS_STATE_FREE && fails_with(uls_lookup("blocker"), ENOENT), "state %u", i.state);
	check("leaves.event_counted", i.dropped >= 1 && i.delivered == 0, "dropped %u", i.dropped);
	check_adds_up("leaves.adds_up", blocker);
	revive(ULS_MODE_DIRECT);
	b.survived = 99;
	uls_post(blocker, (abi_u32)&b);
	check_equal("leaves.call_did_not_return", b.survived, 0);
}

/* ---- taking away ---- */

static void test_revoked(const char *name, int mode, abi_u32 event, int more, unsigned state)
{
	struct uls_info i;
	int bound;

	revive(mode);
	bound = uls_bind(blocker, ULS_SOURCE_TIMER, 50);
	if (event)
		uls_raise(blocker, 0, event);
	for (int k = 0; k < more; k++)
		uls_raise(blocker, 0, op(BLOCK_SPIN, 1));
	if (state == ULS_STATE_BLOCKED || state == ULS_STATE_RUNNING)
		sched_yield();
	check(name, bound == 0 && info_of(blocker).state == state, "state %u", info_of(blocker).state);
	check_equal("revoke", uls_revoke(blocker), 0);
	i = info_of(blocker);
	check("revoked", i.state == ULS_STATE_REVOKED && i.queued == 0, "state %u queued %u", i.state, i.queued);
	check_equal("revoked.dropped", i.dropped, (event != 0) + more);
	check_adds_up("revoked.adds_up", blocker);
	check("revoked.post", fails_with(uls_post(blocker, op(BLOCK_SPIN, 1)), EINVAL), "errno %d", errno);
	check("revoked.register", fails_with(uls_register("blocker"), EACCES), "errno %d", errno);
	check("revoked.lookup", fails_with(uls_lookup("blocker"), ENOENT), "errno %d", errno);
	sleep_ms(60);                            /* a sleeper would have woken, the timer would have come */
	check_equal("revoked.stays", info_of(blocker).delivered, i.delivered);
	check("revoked.sandbox_closed", probe_read(ULS_PROTECTED_BASE).error == 5, "open");
	check("revoked.we_are_whole", !hold_registers(1000, 0xcd5), "registers differ");
}

/* From the upcall of another extension, and of its own. */
static void test_revoked_by_extension(int mode)
{
	revive(ULS_MODE_DIRECT);
	uls_control(counter, ULS_CONTROL_MODE, mode);
	uls_raise(counter, 0, 1);
	check_equal("by_extension.posted", uls_post(blocker, op(BLOCK_REVOKE, counter)), 0);
	check_equal("by_extension.revoked", info_of(counter).state, ULS_STATE_REVOKED);
	check_adds_up("by_extension.adds_up", counter);
	uls_control(counter, ULS_CONTROL_ALLOW, 1);
	uls_register("counter");
	uls_post(blocker, op(BLOCK_REVOKE, blocker));
	check_equal("by_itself", info_of(blocker).state, ULS_STATE_REVOKED);
	check_adds_up("by_itself.adds_up", blocker);
}

/* What the upcall takes away is the very thread that it has interrupted: that has to get out of the kernel, no farther. */
static void test_revoked_when_interrupted(void)
{
	static struct nesting n;
	int nester = uls_register("nester");

	revive(ULS_MODE_DIRECT);
	uls_control(nester, ULS_CONTROL_MODE, ULS_MODE_THREADED);
	for (int i = 0; i < 3; i++)
		uls_raise(nester, 0, NEST_REVOKED | (abi_u32)nester << 8 | (abi_u32)blocker);
	sleep_ms(20);
	struct uls_info i = info_of(nester);
	check("interrupted.revoked", i.state == ULS_STATE_REVOKED && i.dropped == 3, "state %u dropped %u", i.state, i.dropped);
	check_adds_up("interrupted.adds_up", nester);
	check_equal("interrupted.upcall_done", info_of(blocker).delivered, 1);
	check("interrupted.sandbox_closed", probe_read(ULS_PROTECTED_BASE).error == 5, "open");
	uls_control(nester, ULS_CONTROL_ALLOW, 1);
	check_equal("interrupted.registered_again", uls_register("nester"), nester);
	n.seen = 7;
	check_equal("interrupted.works_again", uls_post(nester, (abi_u32)&n), 0);
	check_equal("interrupted.handler_went_no_farther", n.seen, 0);
	uls_unregister(nester);
}

static void test_rights(void)
{
	int child, status;

	revive(ULS_MODE_DIRECT);
	if (!(child = fork())) {
		setuid(7);
		int ok = fails_with(uls_revoke(blocker), EPERM) && fails_with(uls_control(blocker, ULS_CONTROL_ALLOW, 1), EPERM) &&
			 fails_with(uls_control(blocker, ULS_CONTROL_BUDGET, 1), EPERM) &&
			 fails_with(uls_ioperm(blocker, 0x80, 1, 1), EPERM) && fails_with(uls_unregister(blocker), EPERM) &&
			 fails_with(uls_bind(blocker, ULS_SOURCE_TIMER, 1), EPERM) && uls_post(blocker, op(BLOCK_SPIN, 1)) == 0;
		_exit(ok ? 0 : 1);
	}
	waitpid(child, &status, 0);
	check_equal("rights.only_the_owner_and_root", status, 0);
	if (!(child = fork()))
		_exit(uls_control(blocker, ULS_CONTROL_BUDGET, 33) == 100 && uls_revoke(blocker) == 0 ? 0 : 1);
	waitpid(child, &status, 0);
	check_equal("rights.root_may_for_others", status, 0);
	check("rights.unknown", fails_with(uls_revoke(999), EINVAL), "errno %d", errno);
}

int main(void)
{
	probe_setup();
	counter = uls_register("counter");
	blocker = uls_register("blocker");
	check("registered", counter >= 0 && blocker >= 0, "errno %d", errno);
	test_faults();
	test_leaves(ULS_MODE_DIRECT);
	test_leaves(ULS_MODE_THREADED);
	test_revoked("revoke_idle.state", ULS_MODE_DIRECT, 0, 0, ULS_STATE_IDLE);
	test_revoked("revoke_blocked.state", ULS_MODE_DIRECT, op(BLOCK_SLEEP, 40), 0, ULS_STATE_BLOCKED);
	test_revoked("revoke_blocked_queued.state", ULS_MODE_DIRECT, op(BLOCK_SLEEP, 40), 5, ULS_STATE_BLOCKED);
	test_revoked("revoke_threaded_idle.state", ULS_MODE_THREADED, 0, 0, ULS_STATE_IDLE);
	test_revoked("revoke_threaded_runnable.state", ULS_MODE_THREADED, op(BLOCK_SPIN, 1), 3, ULS_STATE_IDLE);
	test_revoked("revoke_threaded_blocked.state", ULS_MODE_THREADED, op(BLOCK_SLEEP, 40), 2, ULS_STATE_BLOCKED);
	test_revoked("revoke_threaded_running.state", ULS_MODE_THREADED, op(BLOCK_SPIN, 1000000), 2, ULS_STATE_RUNNING);
	test_revoked_by_extension(ULS_MODE_DIRECT);
	test_revoked_by_extension(ULS_MODE_THREADED);
	test_revoked_when_interrupted();
	test_rights();
	return check_failures() != 0;
}
