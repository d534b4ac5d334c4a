/* main.c - I/O ports: the scratch register of COM1 (0x3ff) as the one that does no harm. */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/io.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCRATCH 0x3ff
#define MODEM   0x3fc     /* its neighbours are UART registers, too */
#define BEYOND  0x408     /* no device, and not in the small bitmap */

int read_port(int port), read_word(int port), write_port(int port, int value), disable_interrupts(void);
void access_denied(void);

static volatile int trap;

static void on_fault(int sig, siginfo_t *info, ucontext_t *context)
{
	(void)sig;
	(void)info;
	trap = context->mcontext.trapno;
	context->mcontext.eip = (uint32_t)access_denied;
}

static int fails_with(int result, int error) { return result == -1 && errno == error; }

static int denied(int result)
{
	int was = trap;

	trap = 0;
	return result == -1 && was == 13;        /* #GP */
}

static int in_child(int (*body)(void))
{
	int status = -1, pid = fork();

	if (pid == 0)
		_exit(body());
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static int child_has_a_copy(void)
{
	write_port(SCRATCH, 0x11);
	if (read_port(SCRATCH) != 0x11 || !denied(read_port(MODEM)))
		return 1;
	ioperm(SCRATCH, 1, 0);
	if (!denied(read_port(SCRATCH)))
		return 2;
	return ioperm(MODEM, 1, 1) || read_port(MODEM) < 0 ? 3 : 0;
}

static int without(void)
{
	ioperm(SCRATCH, 1, 0);
	for (int i = 0; i < 20; i++) {           /* the other one has the port, and runs in between */
		if (!denied(read_port(SCRATCH)))
			return 1;
		sched_yield();
	}
	return 0;
}

static int as_user(void)
{
	setuid(3);
	return fails_with(ioperm(SCRATCH, 1, 1), EPERM) && fails_with(iopl(3), EPERM) &&
	       read_port(SCRATCH) >= 0 ? 0 : 1;  /* what it has, it keeps */
}

static char stack[4096] __attribute__((aligned(16)));
static volatile int thread_result = -1;

static int thread(void *argument)
{
	(void)argument;
	thread_result = read_port(SCRATCH) < 0;
	ioperm(SCRATCH, 1, 0);
	thread_result += 2 * !denied(read_port(SCRATCH));
	return 0;
}

static void test_switching(void)
{
	int pid = fork(), status = -1, ok = 1;

	if (pid == 0)
		_exit(without());
	for (int i = 0; i < 20; i++) {
		write_port(SCRATCH, i);
		ok &= read_port(SCRATCH) == i;
		sched_yield();
	}
	check("switch.keeps_the_port", ok, "denied");
	waitpid(pid, &status, 0);
	check_equal("switch.takes_it_from_the_other", status, 0);
}

int main(void)
{
	struct sigaction a = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &a, 0);
	check("none.read", denied(read_port(SCRATCH)), "allowed");
	check("none.write", denied(write_port(SCRATCH, 0)), "allowed");
	check("ioperm.range", fails_with(ioperm(0x400, 1, 1), EINVAL) && fails_with(ioperm(0x3ff, 2, 1), EINVAL) &&
	      fails_with(ioperm(0, 0, 1), EINVAL) && fails_with(ioperm(0x3ff, 0xffffffff, 1), EINVAL), "errno %d", errno);
	check("ioperm.refused_gives_nothing", denied(read_port(SCRATCH)), "allowed");
	check_equal("ioperm", ioperm(SCRATCH, 1, 1), 0);
	check("ioperm.write_and_read", write_port(SCRATCH, 0x5a) == 0 && read_port(SCRATCH) == 0x5a, "trap %d", trap);
	check("ioperm.neighbour", denied(read_port(SCRATCH - 1)), "allowed");
	check("ioperm.word_across_the_end", denied(read_word(SCRATCH)), "allowed");
	check("ioperm.beyond_the_bitmap", denied(read_port(BEYOND)) && denied(read_port(0xffff)), "allowed");
	check_equal("fork.copies", in_child(child_has_a_copy), 0);
	check("fork.copy_is_its_own", read_port(SCRATCH) == 0x11 && denied(read_port(MODEM)), "trap %d", trap);
	test_switching();
	check_equal("user", in_child(as_user), 0);
	int tid = clone(thread, stack + sizeof stack, CLONE_THREAD_FLAGS, 0);
	while (kill(tid, 0) == 0)
		sched_yield();
	check("thread.has_a_copy", thread_result == 0 && read_port(SCRATCH) >= 0, "%d", thread_result);
	check_equal("ioperm.off", ioperm(SCRATCH, 1, 0), 0);
	check("ioperm.off_denies", denied(read_port(SCRATCH)), "allowed");
	check("iopl.level", fails_with(iopl(4), EINVAL), "errno %d", errno);
	check_equal("iopl", iopl(3), 0);
	check("iopl.all_ports", read_port(SCRATCH) >= 0 && read_port(BEYOND) >= 0 && read_port(0xffff) >= 0, "trap %d", trap);
	check("iopl.no_CLI", denied(disable_interrupts()), "allowed");
	check_equal("iopl.0", iopl(0), 0);
	check("iopl.0_denies", denied(read_port(SCRATCH)) && denied(read_port(BEYOND)), "allowed");
	return check_failures() != 0;
}
