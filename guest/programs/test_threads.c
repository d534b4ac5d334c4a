/*
 * test_threads.c - threads of one address space: shared memory and descriptors, own registers and errno, signals, end.
 *
 *     test_threads: parts that end a whole process run in a child.
 */
#include <check.h>
#include <cpu.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syscall.h>
#include <uls.h>
#include <unistd.h>

#define STACK 16384
static char stack[4][STACK] __attribute__((aligned(16)));

static int start(int i, int (*fn)(void *), void *argument)
{
	return clone(fn, stack[i] + STACK, CLONE_THREAD_FLAGS, argument);
}

/* A thread leaves nothing behind to wait for: it has ended when nobody has its number any more. */
static void join(int tid)
{
	while (kill(tid, 0) == 0)
		sched_yield();
}

static int in_child(int (*body)(void))
{
	int status = -1, pid = fork();

	if (pid == 0)
		_exit(body());
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* ---- what is shared and what is not ---- */
static volatile int counter, thread_pid, thread_tid;

static int count(void *argument)
{
	for (int i = 0; i < *(int *)argument; i++)
		__sync_fetch_and_add(&counter, 1);
	thread_pid = getpid();
	thread_tid = gettid();
	return 0;
}

static void test_sharing(void)
{
	int n = 1000, tid[3];

	for (int i = 0; i < 3; i++)
		tid[i] = start(i, count, &n);
	for (int i = 0; i < 3; i++)
		join(tid[i]);
	check_equal("thread.shares_memory", counter, 3000);
	check_equal("thread.getpid_is_the_process", thread_pid, getpid());
	check("thread.gettid_is_its_own", thread_tid != getpid() && gettid() == getpid(), "%d", thread_tid);
	check("thread.cannot_be_waited_for", waitpid(tid[0], 0, 0) == -1 && errno == ECHILD, "errno %d", errno);
}

static int open_pipe(void *fd) { return pipe(fd); }

static int block_in_read(void *argument)
{
	int *fd = argument;

	return read(fd[0], (char *)&fd[2], 1);
}

static void test_files(void)
{
	int fd[3] = { -1, -1, 0 };

	join(start(0, open_pipe, fd));
	check_equal("thread.shares_descriptors", write(fd[1], "", 0), 0);
	int tid = start(0, block_in_read, fd);
	sleep_ms(20);
	check_equal("thread.blocks_alone", kill(tid, 0), 0);
	write(fd[1], "z", 1);
	join(tid);
	check_equal("thread.read", fd[2], 'z');
	close(fd[0]);
	close(fd[1]);
}

static int fail_often(void *argument)
{
	int *bad = argument;

	for (int i = 0; i < 200; i++) {
		kill(9999, 0);                   /* ESRCH here, EBADF in the first thread */
		sched_yield();
		*bad += errno != ESRCH;
	}
	return 0;
}

static void test_errno(void)
{
	int bad = 0, mine = 0, tid = start(0, fail_often, &bad), second = start(1, fail_often, &bad);

	for (int i = 0; i < 200; i++) {
		close(77);
		sched_yield();
		mine += errno != EBADF;
	}
	join(tid);
	join(second);
	check("thread.errno_of_its_own", bad == 0 && mine == 0, "%d %d", bad, mine);
}

static int hold(void *result)
{
	*(const char **)result = hold_registers(3000000, 0x202);
	return 0;
}

static int scramble(void *stop)
{
	while (!*(volatile int *)stop)
		__asm__ volatile("fninit; fld1; fldz" : : : "memory");
	return 0;
}

static void test_registers(void)
{
	const char *wrong = "nothing";
	int stop = 0, other = start(1, scramble, &stop), tid = start(0, hold, &wrong);

	join(tid);
	stop = 1;
	join(other);
	check("thread.registers_and_fpu", wrong == 0, "%s", wrong);
}

/* ---- a stack page that two threads of two address spaces have after fork ---- */
static volatile int go, answer;

static int wait_then_answer(void *argument)
{
	while (!go)
		sched_yield();
	answer = *(int *)argument;
	return 0;
}

static int fork_with_threads(void)
{
	int number = 5, status = -1, tid = start(0, wait_then_answer, &number), pid = fork();

	if (pid == 0) {                          /* the thread is not in the child: nobody answers */
		go = 1;
		sleep_ms(30);
		_exit(answer != 0 || kill(tid, 0) != 0);
	}
	waitpid(pid, &status, 0);
	if (status || answer || go)
		return 1;
	go = 1;
	join(tid);
	return answer != 5;
}

/* ---- the end ---- */
static int forever(void *argument)
{
	(void)argument;
	for (;;)
		;
}

static int sleep_forever(void *argument)
{
	int fd[2];

	(void)argument;
	pipe(fd);
	return read(fd[0], fd, 1);
}

static int exit_whole(void *argument)
{
	(void)argument;
	exit(6);
}

static int fault(void *argument)
{
	*(volatile int *)argument = 1;
	return 0;
}

static int main_exits_group(void)
{
	start(0, forever, 0);
	start(1, sleep_forever, 0);
	return 5;
}

static int thread_exits_group(void)
{
	start(0, forever, 0);
	start(1, exit_whole, 0);
	for (;;)
		pause();
}

static int thread_faults(void)
{
	start(0, sleep_forever, 0);
	start(1, fault, (void *)16);
	for (;;)
		;
}

static int last_thread(void *argument)
{
	sleep_ms(30);
	write(*(int *)argument, "l", 1);
	return 9;
}

static int first_thread_ends_first(void)
{
	static int out = 1;

	start(0, last_thread, &out);
	for (;;)
		syscall_entry(SYS_exit, 4, 0, 0, 0, 0, 0);
}

static int killed(void)
{
	start(0, forever, 0);
	start(1, sleep_forever, 0);
	kill(getpid(), SIGKILL);
	return 1;
}

static void test_end(void)
{
	int status = in_child(main_exits_group);

	check("end.exit_ends_all", WIFEXITED(status) && WEXITSTATUS(status) == 5, "0x%x", status);
	status = in_child(thread_exits_group);
	check("end.exit_in_a_thread", WIFEXITED(status) && WEXITSTATUS(status) == 6, "0x%x", status);
	status = in_child(thread_faults);
	check("end.fault_in_a_thread", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "0x%x", status);
	status = in_child(killed);
	check("end.SIGKILL", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "0x%x", status);
	status = in_child(first_thread_ends_first);
	check("end.the_last_thread_ends_the_process", WIFEXITED(status) && WEXITSTATUS(status) == 4, "0x%x", status);
}

/* ---- signals ---- */
static volatile int handled_by, handled;

static void on_signal(int sig)
{
	handled_by = gettid();
	handled = sig;
}

static int unblock_and_wait(void *argument)
{
	sigset_t set = sigmask(SIGUSR1);

	(void)argument;
	sleep_ms(30);
	sigprocmask(SIG_UNBLOCK, &set, 0);
	return 0;
}

static void test_signals(void)
{
	struct sigaction a = { .sa_handler = on_signal };
	sigset_t set = sigmask(SIGUSR1);

	sigaction(SIGUSR1, &a, 0);
	int stop = 0, tid = start(0, scramble, &stop);
	sigprocmask(SIG_BLOCK, &set, 0);
	kill(getpid(), SIGUSR1);
	for (int i = 0; i < 100 && !handled; i++)
		sched_yield();
	check("signal.goes_to_a_thread_that_takes_it", handled == SIGUSR1 && handled_by == tid, "%d by %d", handled,
	      handled_by);
	stop = 1;
	join(tid);
	handled = 0;
	tid = start(0, unblock_and_wait, 0);             /* it starts with the mask of its creator: all block */
	kill(getpid(), SIGUSR1);
	check_equal("signal.waits_while_all_block_it", handled, 0);
	join(tid);
	check("signal.taken_by_who_unblocks_it", handled == SIGUSR1 && handled_by == tid, "%d by %d", handled, handled_by);
	handled = 0;
	tid = start(0, last_thread, &(int){ 1 });
	kill(getpid(), SIGUSR1);
	join(tid);
	sigprocmask(SIG_UNBLOCK, &set, 0);
	check("signal.survives_the_end_of_a_thread", handled == SIGUSR1 && handled_by == getpid(), "%d by %d", handled,
	      handled_by);
}

static int state_of(int tid)
{
	struct uls_pstat s;

	return uls_pstat(tid, &s) ? -1 : (int)s.state;
}

static int stopped_process(void)
{
	int fd[2], status = -1, tid[2];

	pipe(fd);
	int pid = fork();
	if (pid == 0) {                          /* one spins, one reads, one pauses */
		tid[0] = start(0, forever, 0);
		tid[1] = start(1, sleep_forever, 0);
		write(fd[1], tid, sizeof tid);
		for (;;)
			pause();
	}
	read(fd[0], tid, sizeof tid);
	kill(pid, SIGSTOP);
	sleep_ms(200);                           /* some time slices: the first thread tells the others */
	if (state_of(pid) != 'T' || state_of(tid[0]) != 'T' || state_of(tid[1]) != 'T')
		return 1;
	kill(pid, SIGCONT);
	sleep_ms(200);
	if (state_of(pid) != 'S' || state_of(tid[0]) != 'R' || state_of(tid[1]) != 'S')
		return 3;
	kill(pid, SIGSTOP);
	sleep_ms(20);
	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL ? 0 : 2;
}

static void test_many(void)
{
	int n = 10, ok = 1;

	counter = 0;
	for (int i = 0; i < 200; i++) {
		int tid = start(i & 3, count, &n);
		ok &= tid > 0;
		join(tid);
	}
	check("thread.two_hundred_in_turn", ok && counter == 2000, "%d", counter);
}

int main(void)
{
	test_sharing();
	test_files();
	test_errno();
	test_registers();
	check_equal("fork.takes_the_calling_thread_only", in_child(fork_with_threads), 0);
	test_end();
	test_signals();
	check_equal("stop.whole_process", in_child(stopped_process), 0);
	test_many();
	return check_failures() != 0;
}
