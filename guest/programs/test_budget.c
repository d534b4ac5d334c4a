/* test_budget.c - the tick budget: whatever an extension is doing in ring 3, it ends in time and nothing else suffers. */
#include <errno.h>
#include <ringtoll/extensions.h>
#include <sched.h>
#include <time.h>
#include <uls_check.h>
#include <unistd.h>

#define op(what, argument) ((abi_u32)(what) << 24 | (abi_u32)(argument))
#define BUDGET 3

static int counter;

static int fresh(const char *name, int mode)
{
	int id = uls_register(name);

	uls_control(id, ULS_CONTROL_BUDGET, BUDGET);
	uls_control(id, ULS_CONTROL_MODE, mode);
	return id;
}

static void check_aborted(const char *name, int id, long ticks)
{
	struct uls_info i = info_of(id);

	check(name, i.state == ULS_STATE_FAULTED && i.over_budget == 1 && i.faulted == 1, "state %u over %u faulted %u", i.state,
	      i.over_budget, i.faulted);
	check("in_time", ticks >= BUDGET && ticks <= BUDGET + 6, "%ld ticks", ticks);
	check_adds_up("adds_up", id);
	check("refused_then", fails_with(uls_post(id, 1), EHOSTDOWN), "errno %d", errno);
	check_equal("others_go_on", uls_post(counter, 1), 0);
	check("sandbox_closed", probe_read(ULS_PROTECTED_BASE).error == 5, "open");
}

static void test_direct(void)
{
	int id = fresh("spinner", ULS_MODE_DIRECT);
	long start = times(0);

	uls_raise(id, 1, 1);                     /* done at once: within budget */
	check_equal("direct.short_ones_pass", info_of(id).delivered, 1);
	check("direct.post", fails_with(uls_post(id, 0), EIO), "errno %d", errno);
	check_aborted("direct.aborted", id, times(0) - start);
}

/* The upcall comes from the clock, over code that watches its registers. */
static void test_interrupted(void)
{
	int id = fresh("spinner", ULS_MODE_DIRECT);
	const char *wrong = 0;
	long start;

	uls_bind(id, ULS_SOURCE_TIMER, 1);       /* its value is the tick count: short until ... */
	uls_unbind(id, ULS_SOURCE_TIMER, 1);
	start = times(0);
	uls_control(id, ULS_CONTROL_MODE, ULS_MODE_THREADED);
	uls_raise(id, 0, 0);
	uls_raise(id, 0, 0);                     /* goes with the first */
	uls_control(id, ULS_CONTROL_MODE, ULS_MODE_DIRECT);
	for (int i = 0; i < 10 && !wrong; i++)
		wrong = hold_registers(20000, i & 1 ? 0xcd5 : 0x200000);
	check("interrupted.registers_kept", !wrong, "%s differs", wrong);
	check_equal("interrupted.queued_dropped", info_of(id).dropped, 1);
	check_aborted("interrupted.aborted", id, times(0) - start);
}

static void test_blocked(void)
{
	int id = fresh("blocker", ULS_MODE_DIRECT);
	long start = times(0);

	check_equal("blocked.posted", uls_post(id, op(BLOCK_SLEEP_SPIN, 100)), 1);
	sleep_ms(80);
	check_equal("blocked.sleeping_costs_nothing", info_of(id).state, ULS_STATE_BLOCKED);
	wait_state(id, ULS_STATE_FAULTED);
	check("blocked.resumed_and_aborted", info_of(id).over_budget == 1, "state %u", info_of(id).state);
	check("blocked.in_time", times(0) - start < 60, "%ld ticks", times(0) - start);
	check_adds_up("blocked.adds_up", id);
	check_equal("blocked.others_go_on", uls_post(counter, 1), 0);
}

static void test_threaded(void)
{
	int id = fresh("spinner", ULS_MODE_THREADED);
	const char *wrong = 0;

	uls_raise(id, 0, 0);
	for (int i = 0; i < 400 && info_of(id).state != ULS_STATE_FAULTED && !wrong; i++)
		wrong = hold_registers(100000, i & 1 ? 0xcd5 : 0x200000);
	check("threaded.registers_kept", !wrong, "%s differs", wrong);
	check_equal("threaded.aborted", info_of(id).over_budget, 1);
	check_adds_up("threaded.adds_up", id);
	check("threaded.sandbox_closed", probe_read(ULS_PROTECTED_BASE).error == 5, "open");
}

/* No budget, no abort: it needs a revocation. Before that, it takes turns with us. */
static void test_unlimited(void)
{
	int id = fresh("spinner", ULS_MODE_THREADED);

	uls_control(id, ULS_CONTROL_BUDGET, 0);
	uls_raise(id, 0, 0);
	long start = times(0);
	while (times(0) - start < 30)
		;
	check_equal("unlimited.still_runs", info_of(id).state, ULS_STATE_RUNNING);
	check_equal("unlimited.revoked", uls_revoke(id), 0);
	check_equal("unlimited.gone", info_of(id).state, ULS_STATE_REVOKED);
	check_adds_up("unlimited.adds_up", id);
}

int main(void)
{
	probe_setup();
	counter = uls_register("counter");
	check("registered", counter >= 0, "errno %d", errno);
	test_direct();
	test_interrupted();
	test_blocked();
	test_threaded();
	test_unlimited();
	return check_failures() != 0;
}
