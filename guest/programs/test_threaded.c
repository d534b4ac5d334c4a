/* test_threaded.c - extensions as threads: woken by events, blocking in system calls, at home in any address space. */
#include <errno.h>
#include <ringtoll/extensions.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <uls_check.h>
#include <unistd.h>

static int blocker;
static struct blocking b;
static struct uls_sysinfo system;

#define op(what, argument) ((abi_u32)(what) << 24 | (abi_u32)(argument))

/* The report is an upcall on our page tables: only in direct mode does it certainly write to us. */
static struct blocking *report(void)
{
	memset(&b, 0, sizeof b);                 /* after fork(): make the page ours before an upcall writes to it */
	uls_control(blocker, ULS_CONTROL_MODE, ULS_MODE_DIRECT);
	uls_post(blocker, (abi_u32)&b);
	uls_control(blocker, ULS_CONTROL_MODE, ULS_MODE_THREADED);
	return &b;
}

static void test_wakes(void)
{
	struct uls_info i0 = info_of(blocker), i1;
	struct uls_sysinfo s0, s1;

	uls_sysinfo(&s0);
	check_equal("wakes.post_says_queued", uls_post(blocker, op(BLOCK_SPIN, 1)), 1);
	check_equal("wakes.not_yet", info_of(blocker).delivered, i0.delivered);
	sched_yield();
	i1 = info_of(blocker);
	uls_sysinfo(&s1);
	check_equal("wakes.delivered", i1.delivered - i0.delivered, 1);
	check_equal("wakes.switches_there_and_back", s1.switches - s0.switches, 2);
	check_equal("wakes.cr3_writes", s1.cr3_writes - s0.cr3_writes, system.flush == ULS_FLUSH_CR3 ? 2 : 0);
	check_fault("wakes.closed_after", probe_read(ULS_PROTECTED_BASE), 5, ULS_PROTECTED_BASE);
	check_equal("wakes.borrowed_our_memory", (report(), i1.last_cr3), info_of(blocker).last_cr3);
	check_adds_up("wakes.adds_up", blocker);
}

static void blocked(const char *what, abi_u32 event, void (*end)(int), int argument)
{
	char name[48] = "";
	struct uls_info i0 = info_of(blocker);
	struct fault f;

	strcat(name, what);
	strcat(name, ".");
	char *tail = name + strlen(name);
	uls_raise(blocker, 0, event);
	sched_yield();
	f = probe_read(ULS_PROTECTED_BASE);
	strcpy(tail, "blocked");
	check_equal(name, info_of(blocker).state, ULS_STATE_BLOCKED);
	strcpy(tail, "counted");
	check_equal(name, info_of(blocker).blocked - i0.blocked, 1);
	strcpy(tail, "closed_for_the_interrupted");
	check_fault(name, f, 5, ULS_PROTECTED_BASE);
	strcpy(tail, "adds_up_meanwhile");
	check_adds_up(name, blocker);
	strcpy(tail, "we_go_on");
	check(name, !hold_registers(20000, 0x200000), "registers differ");
	end(argument);
	strcpy(tail, "finished");
	check_equal(name, wait_delivered(blocker, i0.delivered + 1), i0.delivered + 1);
	report();
}

static void wait_a_little(int ms) { sleep_ms(ms); }
static void write_to(int fd) { write(fd, "pipe", 4); }
static void kill_it(int pid) { kill(pid, SIGKILL); }

static void test_blocks(void)
{
	int fd[2], child;

	blocked("sleep", op(BLOCK_SLEEP, 30), wait_a_little, 50);
	check_equal("sleep.result", b.result, 0);
	pipe(fd);
	blocked("pipe", op(BLOCK_READ, fd[0]), write_to, fd[1]);
	check("pipe.result", b.result == 4 && !memcmp(b.bytes, "pipe", 4), "%d", b.result);
	if (!(child = fork()))
		for (;;)
			pause();
	blocked("wait", op(BLOCK_WAIT, child), kill_it, child);
	check("wait.result", b.result == child && b.status == SIGKILL, "%d 0x%x", b.result, b.status);
	close(fd[0]);
	close(fd[1]);
}

/* It falls asleep on our page directory and wakes up while another process spins on its own. */
static void test_elsewhere(void)
{
	int child;
	struct uls_info mine, there;

	if (!(child = fork())) {
		for (;;)
			;
	}
	report();
	mine = info_of(blocker);
	uls_raise(blocker, 0, op(BLOCK_SLEEP, 50));
	sleep_ms(20);
	check_equal("elsewhere.blocked", info_of(blocker).state, ULS_STATE_BLOCKED);
	sleep_ms(100);                           /* only the child runs now */
	there = info_of(blocker);
	check_equal("elsewhere.finished", there.delivered - mine.delivered, 1);
	check("elsewhere.in_the_address_space_that_was_current", there.last_cr3 != mine.last_cr3, "the same: %08x", there.last_cr3);
	kill(child, SIGKILL);
	waitpid(child, 0, 0);
}

static void test_priority(void)
{
	struct sched_param high = { 50 }, none = { 0 };
	int child, fd[2];
	char byte;

	/* The owner's real-time class, and the child's lack of it: the thread preempts the child at once. */
	check_equal("priority.fifo", sched_setscheduler(0, SCHED_FIFO, &high), 0);
	pipe(fd);
	if (!(child = fork())) {
		sched_setscheduler(0, SCHED_OTHER, &none);
		struct uls_info before = info_of(blocker);
		uls_raise(blocker, 0, op(BLOCK_SPIN, 1));
		byte = info_of(blocker).delivered == before.delivered + 1;
		write(fd[1], &byte, 1);
		_exit(0);
	}
	read(fd[0], &byte, 1);
	check_equal("priority.thread_has_its_owners", byte, 1);
	waitpid(child, 0, 0);
	sched_setscheduler(0, SCHED_OTHER, &none);
	uls_raise(blocker, 0, op(BLOCK_SPIN, 1));
	check_equal("priority.follows_its_owner_down", info_of(blocker).queued, 1);
	sched_yield();
	check_equal("priority.and_runs_then", info_of(blocker).queued, 0);
	close(fd[0]);
	close(fd[1]);
}

static void test_modes(void)
{
	struct uls_info i0;

	report();
	i0 = info_of(blocker);
	for (int i = 0; i < 3; i++)
		uls_raise(blocker, 0, op(BLOCK_SPIN, 1));
	check_equal("modes.waiting", info_of(blocker).queued, 3);
	check_equal("modes.to_direct", uls_control(blocker, ULS_CONTROL_MODE, ULS_MODE_DIRECT), ULS_MODE_THREADED);
	check_equal("modes.delivered_on_the_way_out", info_of(blocker).delivered - i0.delivered, 3);
	/* a direct handler that has blocked, and an event that comes in threaded mode */
	check_equal("modes.direct_blocks", uls_post(blocker, op(BLOCK_SLEEP, 20)), 1);
	check_equal("modes.to_threaded", uls_control(blocker, ULS_CONTROL_MODE, ULS_MODE_THREADED), ULS_MODE_DIRECT);
	uls_raise(blocker, 0, op(BLOCK_SPIN, 1));
	check_equal("modes.queued_behind", info_of(blocker).queued, 1);
	check_equal("modes.both", wait_delivered(blocker, i0.delivered + 5), i0.delivered + 5);
	check("modes.unknown", fails_with(uls_control(blocker, ULS_CONTROL_MODE, 2), EINVAL), "errno %d", errno);
	check_adds_up("modes.adds_up", blocker);
}

/* The owner dies while its thread sleeps, reads or waits to run; the machine goes on. */
static void test_killed(abi_u32 event, int mode, const char *name)
{
	int child, status, fd[2];
	char byte;

	uls_unregister(blocker);
	pipe(fd);
	if (!(child = fork())) {
		int id = uls_register("blocker");
		uls_control(id, ULS_CONTROL_MODE, mode);
		uls_raise(id, 0, event);
		uls_raise(id, 0, event);
		write(fd[1], "x", 1);
		for (;;)
			pause();
	}
	read(fd[0], &byte, 1);
	sleep_ms(20);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	check_equal(name, WTERMSIG(status), SIGKILL);
	check("killed.gone", fails_with(uls_lookup("blocker"), ENOENT), "errno %d", errno);
	check_adds_up("killed.adds_up", blocker);
	check("killed.events_dropped", info_of(blocker).dropped >= 1, "%u", info_of(blocker).dropped);
	sleep_ms(60);                            /* when it would have woken */
	check_equal("killed.registered_again", uls_register("blocker"), blocker);
	check_equal("killed.works_again", uls_post(blocker, op(BLOCK_SPIN, 1)), 0);
	close(fd[0]);
	close(fd[1]);
	uls_control(blocker, ULS_CONTROL_MODE, ULS_MODE_THREADED);
}

int main(void)
{
	probe_setup();
	uls_sysinfo(&system);
	blocker = uls_register("blocker");
	check("registered", blocker >= 0, "errno %d", errno);
	check_equal("mode", uls_control(blocker, ULS_CONTROL_MODE, ULS_MODE_THREADED), ULS_MODE_DIRECT);
	test_wakes();
	test_blocks();
	test_elsewhere();
	test_priority();
	test_modes();
	for (int mode = ULS_MODE_DIRECT; mode <= ULS_MODE_THREADED; mode++) {
		test_killed(op(BLOCK_SLEEP, 60), mode, "killed.while_it_sleeps");
		test_killed(op(BLOCK_READ, 0), mode, "killed.while_it_reads");
		test_killed(op(BLOCK_WAIT, getpid()), mode, "killed.while_it_waits");
	}
	test_killed(op(BLOCK_SPIN, 1000000), ULS_MODE_THREADED, "killed.while_it_runs");
	return check_failures() != 0;
}
