/*
 * test_kernel.c - system calls both ways, memory, bad pointers, time, preemption and priorities.
 *
 *     test_kernel, and as a second module test_kernel spinner: it counts in shared memory and never gives way
 */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <syscall.h>
#include <time.h>
#include <uls.h>
#include <unistd.h>

struct shared { volatile int spinner; volatile uint32_t count; };

static long sys(syscall_entry_t call, long n, long a, long b, long c) { return call(n, a, b, c, 0, 0, 0); }

static void test_entry(const char *way, syscall_entry_t call)
{
	char name[64];
	struct abi_timespec none = { 0, 0 };

	snprintf(name, sizeof name, "%s.getpid", way);
	check_equal(name, sys(call, SYS_getpid, 0, 0, 0), getpid());
	snprintf(name, sizeof name, "%s.unknown_is_ENOSYS", way);
	check_equal(name, sys(call, 0x3ff, 0, 0, 0), -ENOSYS);
	snprintf(name, sizeof name, "%s.huge_number_is_ENOSYS", way);
	check_equal(name, sys(call, 0x80000000, 0, 0, 0), -ENOSYS);
	snprintf(name, sizeof name, "%s.three_arguments", way);
	check_equal(name, sys(call, SYS_write, 1, (long)"", 0), 0);
	snprintf(name, sizeof name, "%s.bad_descriptor", way);
	check_equal(name, sys(call, SYS_write, 77, (long)"x", 1), -EBADF);
	snprintf(name, sizeof name, "%s.nanosleep_zero", way);
	check_equal(name, sys(call, SYS_nanosleep, (long)&none, 0, 0), 0);
}

/* Every register but EAX comes back as it was. */
static void test_registers_kept(void)
{
	uint32_t b = 0x1111, c = 0x2222, d = 0x3333, s = 0x4444, i = 0x5555, a = SYS_getpid;

	__asm__ volatile("int $0x80" : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+S"(s), "+D"(i) : : "memory", "cc");
	check("int80.registers_kept", b == 0x1111 && c == 0x2222 && d == 0x3333 && s == 0x4444 && i == 0x5555,
	      "%x %x %x %x %x", b, c, d, s, i);
}

static void test_sysenter_registers_kept(void)
{
	uint32_t b = 0x1111, c = 0x2222, d = 0x3333, s = 0x4444, i = 0x5555, a = SYS_getpid;

	__asm__ volatile("pushl %%edx\n\t pushl %%ecx\n\t movl %%esp, %%ecx\n\t movl $1f, %%edx\n\t sysenter\n"
			 "1:\t popl %%ecx\n\t popl %%edx"
			 : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+S"(s), "+D"(i) : : "memory", "cc");
	check("sysenter.registers_kept", b == 0x1111 && c == 0x2222 && d == 0x3333 && s == 0x4444 && i == 0x5555,
	      "%x %x %x %x %x", b, c, d, s, i);
}

static void test_sysenter_stack(void)
{
	long r = SYS_getpid, d;

	/* ECX points at nothing: the kernel cannot fetch the two words, and must still find the way back. */
	__asm__ volatile("movl %%esp, %%esi\n\t movl $0x00001000, %%ecx\n\t movl $1f, %%edx\n\t sysenter\n"
			 "1:\t movl %%esi, %%esp"
			 : "+a"(r), "=d"(d) : : "ecx", "esi", "memory", "cc");
	check_equal("sysenter.bad_stack_is_EFAULT", r, -EFAULT);
}

static void test_pointers(void)
{
	static const struct { const char *name; uint32_t address; } bad[] = {
		{ "null", 0 }, { "unmapped", 0x30000000 }, { "kernel", 0xC0000000 }, { "top", 0xfffffffc },
		{ "closed_protected_area", ULS_PROTECTED_BASE },
	};
	char name[64];

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(name, sizeof name, "pointer.%s.read", bad[i].name);
		check_equal(name, syscall_int80(SYS_write, 1, bad[i].address, 8, 0, 0, 0), -EFAULT);
		snprintf(name, sizeof name, "pointer.%s.write", bad[i].name);
		check_equal(name, syscall_int80(SYS_sigprocmask, SIG_BLOCK, 0, bad[i].address, 0, 0, 0),
			    bad[i].address ? -EFAULT : 0);
	}
	check_equal("pointer.public_area.write",
		    syscall_int80(SYS_sigprocmask, SIG_BLOCK, 0, ULS_PUBLIC_BASE, 0, 0, 0), -EFAULT);
	check_equal("pointer.own_code.write", syscall_int80(SYS_sigprocmask, SIG_BLOCK, 0, (long)test_pointers, 0, 0, 0),
		    -EFAULT);
	long r = syscall_int80(SYS_write, 1, (long)name, 0xffffff00, 0, 0, 0);     /* Linux: EINVAL */
	check("pointer.wraps", r == -EFAULT || r == -EINVAL, "got %ld", r);
}

static void test_memory(void)
{
	char *p = sbrk(0), *q[64];
	int ok = 1;

	check("brk.grow", sbrk(0x10000) == p && sbrk(0) == p + 0x10000, "break 0x%p", sbrk(0));
	for (int i = 0; i < 0x10000; i++)
		ok &= p[i] == 0;
	check("brk.zero_filled", ok, "not zero");
	check("brk.shrink", sbrk(-0x10000) == p + 0x10000 && sbrk(0) == p, "break 0x%p", sbrk(0));
	check("brk.into_sandbox_refused", brk((void *)ULS_PUBLIC_BASE + 4096) == -1, "accepted");
	for (int i = 0; i < 64; i++) {
		q[i] = malloc(i * 37 + 1);
		memset(q[i], i, i * 37 + 1);
	}
	for (int i = 0; i < 64; i += 2)
		free(q[i]);
	for (int i = 0; i < 64; i += 2) {
		q[i] = malloc(i * 37 + 1);
		memset(q[i], i, i * 37 + 1);
	}
	ok = 1;
	for (int i = 0; i < 64; i++)
		for (int j = 0; j <= i * 37; j++)
			ok &= q[i][j] == i;
	check("malloc.blocks_do_not_overlap", ok, "overlap");
	check("malloc.refuses_nonsense", !malloc(0xf0000000u) && !calloc(0x10000, 0x10000), "accepted");
	p = mmap(0, 0x3000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check("mmap.anonymous", p != MAP_FAILED && !p[0] && (p[0x2fff] = 1), "0x%p", p);
	check_equal("munmap", munmap(p, 0x3000), 0);
	check_fault("munmap.then_fault", probe_read((uint32_t)p), 4, (uint32_t)p);
}

static void test_printf(void)
{
	char t[128];

	snprintf(t, sizeof t, "%08x|%-5d|%5s|%llu|%lld|%#x|%c|%.2s|%%|%+d|%05d|%x", 0xbeef, 42, "ab",
		 12345678901234567890ull, -5ll, 255, 'z', "xyz", 7, -42, 0);
	check("printf", !strcmp(t, "0000beef|42   |   ab|12345678901234567890|-5|0xff|z|xy|%|+7|-0042|0"), "%s", t);
	check_equal("printf.length", snprintf(t, 4, "12345"), 5);
	check("printf.cut", !strcmp(t, "123"), "%s", t);
	check("strtoul", strtoul("0x1fz", 0, 0) == 31 && atoi("-12") == -12, "wrong");
}

static void test_time(void)
{
	struct timespec bad = { 0, 1000000000 };
	long before = times(0);

	sleep_ms(50);
	long ticks = times(0) - before;
	check("nanosleep.duration", ticks >= 5 && ticks <= 9, "50 ms were %ld ticks", ticks);
	check("nanosleep.bad_time", nanosleep(&bad, 0) == -1 && errno == EINVAL, "errno %d", errno);
}

static int counted_during(struct shared *s, int ticks)
{
	uint32_t before = s->count;
	long end = times(0) + ticks;

	while (times(0) < end)
		;
	return s->count != before;
}

static void test_scheduling(struct shared *s)
{
	struct sched_param p = { 50 }, bad = { 100 };
	int status = -1;

	for (int i = 0; i < 50 && !s->spinner; i++)
		sleep_ms(10);
	if (!check("partner", s->spinner != 0, "no second module `test_kernel spinner`"))
		return;
	check("preemption", counted_during(s, 60), "the spinner never ran while this process was spinning");
	check("scheduler.bad_priority", sched_setscheduler(0, SCHED_FIFO, &bad) == -1 && errno == EINVAL, "%d", errno);
	check_equal("scheduler.set", sched_setscheduler(0, SCHED_FIFO, &p), 0);
	check_equal("scheduler.get", sched_getscheduler(0), SCHED_FIFO);
	check("priority.real_time_keeps_the_cpu", !counted_during(s, 60), "the spinner ran all the same");
	uint32_t before = s->count;
	sleep_ms(30);
	check("priority.sleeping_gives_way", s->count != before, "the spinner did not run");
	check_equal("kill", kill(s->spinner, SIGKILL), 0);
	check_equal("waitpid", waitpid(s->spinner, &status, 0), s->spinner);
	check("waitpid.status", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "0x%x", status);
	check("waitpid.nobody", waitpid(9999, 0, 0) == -1 && errno == ECHILD, "errno %d", errno);
	check("kill.nobody", kill(9999, SIGUSR1) == -1 && errno == ESRCH, "errno %d", errno);
}

int main(int argc, char **argv)
{
	struct shared *s = uls_shm("test_kernel", sizeof *s);

	if (argc > 1 && !strcmp(argv[1], "spinner")) {
		s->spinner = getpid();
		for (;;)
			s->count++;
	}
	probe_setup();
	test_entry("int80", syscall_int80);
	test_registers_kept();
	if (syscall_entry == syscall_sysenter) {     /* the CPU has it: libc/start.c */
		test_entry("sysenter", syscall_sysenter);
		test_sysenter_registers_kept();
		test_sysenter_stack();
	}
	test_pointers();
	test_memory();
	test_printf();
	test_time();
	test_scheduling(s);
	return check_failures() != 0;
}
