/*
 * test_signals.c - delivery to oneself and to others, masks, nesting, faults, and what a handler must leave alone.
 *
 *     test_signals, and as a second module test_signals partner
 */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <uls.h>
#include <unistd.h>

struct shared { volatile int main, partner, send, received; };

static char order[16];     /* what the handlers did, one letter each */
static volatile int async_count;

static void note(char c)
{
	size_t n = strlen(order);

	if (n + 1 < sizeof order)
		order[n] = c;
}

static void check_order(const char *name, const char *wanted)
{
	check(name, !strcmp(order, wanted), "%s instead of %s", order, wanted);
	memset(order, 0, sizeof order);
}

static void handle(int sig, void (*handler)(int), sigset_t mask, uint32_t flags)
{
	struct sigaction a = { .sa_handler = handler, .sa_mask = mask, .sa_flags = flags };

	sigaction(sig, &a, 0);
}

static void inner(int sig) { note(sig == SIGUSR2 ? 'i' : '?'); }

static void outer(int sig)
{
	note('(');
	raise(sig == SIGUSR1 ? SIGUSR2 : SIGUSR1);
	note(')');
}

static int raises;

static void twice(int sig)
{
	static int depth;

	note('a' + depth++);
	if (raises-- > 0)
		raise(sig);
	note('A' + --depth);
}

static void test_self(void)
{
	sigset_t usr2 = sigmask(SIGUSR2), old = 0;

	handle(SIGUSR2, inner, 0, 0);
	raise(SIGUSR2);
	check_order("self", "i");
	handle(SIGUSR1, outer, 0, 0);
	raise(SIGUSR1);
	check_order("nested", "(i)");
	handle(SIGUSR1, outer, usr2, 0);
	raise(SIGUSR1);
	check_order("masked_by_sa_mask", "()i");
	handle(SIGUSR1, twice, 0, 0);
	raises = 1;
	raise(SIGUSR1);
	check_order("same_signal_waits", "aAaA");
	handle(SIGUSR1, twice, 0, SA_NODEFER);
	raises = 1;
	raise(SIGUSR1);
	check_order("SA_NODEFER_nests", "abBA");
	sigprocmask(SIG_BLOCK, &usr2, 0);
	raise(SIGUSR2);
	raise(SIGUSR2);
	check_order("blocked_is_pending", "");
	sigprocmask(SIG_UNBLOCK, &usr2, &old);
	check_order("unblocked_arrives_once", "i");
	check_equal("old_mask", old, usr2);
	handle(SIGUSR2, inner, 0, SA_RESETHAND);
	raise(SIGUSR2);
	handle(SIGUSR1, SIG_IGN, 0, 0);
	raise(SIGUSR1);
	check_order("ignored", "i");
	struct sigaction now;
	sigaction(SIGUSR2, 0, &now);
	check("SA_RESETHAND", now.sa_handler == SIG_DFL, "0x%p", (void *)now.sa_handler);
	check("SIGKILL_cannot_be_caught",
	      sigaction(SIGKILL, &(struct sigaction){ .sa_handler = inner }, 0) == -1 && errno == EINVAL, "%d", errno);
}

static void test_faults(void)
{
	uint32_t stack;

	probe_setup();
	check_fault("fault.read_unmapped", probe_read(0x30000123), 4, 0x30000123);
	check_fault("fault.write_unmapped", probe_write(0x30000120), 6, 0x30000120);
	check_fault("fault.write_code", probe_write((uint32_t)test_faults), 7, (uint32_t)test_faults);
	check_fault("fault.read_kernel", probe_read(0xC0000000), 5, 0xC0000000);
	check_fault("fault.write_kernel", probe_write(0xC0000000), 7, 0xC0000000);
	check_fault("fault.jump_kernel", probe_jump(0xC0000000), 5, 0xC0000000);
	check_equal("fault.code_maperr", probe_read(0x30000000).si_code, SEGV_MAPERR);
	check_equal("fault.code_accerr", probe_write((uint32_t)test_faults).si_code, SEGV_ACCERR);
	check("fault.own_stack_is_fine", !probe_write((uint32_t)&stack).signal, "signal");
}

/* Changes whatever a signal handler may change. */
static void scrambling_handler(int sig)
{
	(void)sig;
	async_count++;
	__asm__ volatile("movl $-1, %%eax\n\t movl $-2, %%ecx\n\t movl $-3, %%edx\n\t"
			 "fninit\n\t fldpi\n\t fldpi\n\t fldl2t\n\t fldl2t\n\t xorl %%eax, %%eax"
			 : : : "eax", "ecx", "edx", "cc", "memory");
}

/* The counter-check: somebody does change a register, and the watch must see it. */
static void tampering_handler(int sig, siginfo_t *info, ucontext_t *context)
{
	(void)sig;
	(void)info;
	async_count++;
	context->mcontext.edx ^= 1;
}

static void test_watch(struct shared *s)
{
	struct sigaction a = { .sa_sigaction = tampering_handler, .sa_flags = SA_SIGINFO };
	const char *wrong = 0;

	sigaction(SIGUSR1, &a, 0);
	s->send = 1;
	for (int i = 0; i < 4000 && !wrong; i++)
		wrong = hold_registers(200000, 0);
	s->send = 0;
	sleep_ms(30);
	check("changed_register_is_noticed", wrong && !strcmp(wrong, "EDX"), "%s", wrong ? wrong : "nothing");
}

static void test_preserved(struct shared *s)
{
	const char *wrong = 0;

	handle(SIGUSR1, scrambling_handler, 0, 0);
	s->send = 1;
	for (int i = 0; i < 4000 && async_count < 10 && !wrong; i++)
		wrong = hold_registers(200000, i & 1 ? 0xcd5 : 0x200000);
	s->send = 0;
	check("other.arrives", async_count >= 10, "only %d came", async_count);
	check("registers_flags_x87_sse_preserved", !wrong, "%s differs", wrong);
}

static void test_other(struct shared *s)
{
	int status = 0;

	for (int i = 0; i < 50 && !s->partner; i++)
		sleep_ms(10);
	if (!check("partner", s->partner != 0, "no second module `test_signals partner`"))
		return;
	test_preserved(s);
	test_watch(s);
	kill(s->partner, SIGUSR2);
	for (int i = 0; i < 50 && !s->received; i++)
		sleep_ms(10);
	check_equal("to_other", s->received, SIGUSR2);
	kill(s->partner, SIGTERM);
	check_equal("waitpid", waitpid(s->partner, &status, 0), s->partner);
	check("default_action_ends", WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "0x%x", status);
}

static struct shared *shared;
static void on_received(int sig) { shared->received = sig; }

static int partner(void)
{
	struct sched_param p = { 50 };     /* it sleeps most of the time, and should come when it wakes */

	sched_setscheduler(0, SCHED_FIFO, &p);
	handle(SIGUSR2, on_received, 0, 0);
	shared->partner = getpid();
	for (;;) {
		sleep_ms(10);
		if (shared->send)
			kill(shared->main, SIGUSR1);
	}
}

int main(int argc, char **argv)
{
	shared = uls_shm("test_signals", sizeof *shared);
	if (argc > 1 && !strcmp(argv[1], "partner"))
		return partner();
	shared->main = getpid();
	test_self();
	test_faults();
	test_other(shared);
	return check_failures() != 0;
}
