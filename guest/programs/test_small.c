/*
 * test_small.c - small address spaces by segmentation (small=on): three processes, started as
 *
 *     test_small_small.elf   test_small small main [limits]    does the checking
 *     test_small_small.elf   test_small small peer
 *     test_small.elf         test_small large [limits]
 *
 * `limits` asks for the tests of segment limits. QEMU (TCG) has no limits on data and stack accesses, so they are for
 * Ringtoll only. All else, bases included, holds on both.
 */
#include <check.h>
#include <cpu.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <syscall.h>
#include <uls.h>
#include <unistd.h>

#define WINDOW    0x400000u
#define AREA      0xBC000000u                  /* windows, in linear addresses */
#define LARGE_TOP AREA
#define ROUNDS    200

enum partner { NOBODY, PEER, LARGE };

struct shared {
	volatile int peer, large;              /* pids */
	volatile enum partner turn;            /* who answers next */
	volatile uint32_t ping, pong;
	volatile int done;
	volatile int spinning, stop_spinning, peers_errors;
};

static struct shared *shared;
static volatile uint32_t mine;                 /* the same offset in both windows */
static int limits;

static long sys(syscall_entry_t call, long n, long a, long b, long c) { return call(n, a, b, c, 0, 0, 0); }

static struct uls_sysinfo sysinfo(void)
{
	struct uls_sysinfo s = { 0 };

	uls_sysinfo(&s);
	return s;
}

static uint32_t fs_read(const volatile uint32_t *at)
{
	uint32_t v;

	__asm__ volatile("movl %%fs:(%1), %0" : "=r"(v) : "r"(at) : "memory");
	return v;
}

static void load_fs(uint32_t selector) { __asm__ volatile("movl %0, %%fs" : : "r"(selector)); }

/* Wait to be asked, answer, until main is done. */
static void answer(enum partner self)
{
	while (!shared->done) {
		if (shared->turn != self) {
			sched_yield();
			continue;
		}
		shared->pong = shared->ping + 1;
		shared->turn = NOBODY;
	}
}

static void spin_with_fs(uint32_t value)
{
	load_fs(0x23);
	mine = value;
	while (!shared->stop_spinning)
		if (mine != value || fs_read(&mine) != value)
			shared->peers_errors++;
	load_fs(0);
}

static int peer(void)
{
	shared->peer = getpid();
	while (!shared->spinning) {
		if (shared->turn == PEER) {
			shared->pong = shared->ping + 1;
			shared->turn = NOBODY;
		}
		sched_yield();
	}
	spin_with_fs(0x2222);
	return 0;
}

static void on_usr1(int sig) { (void)sig; }

/* A large space: flat but for what is above its limit. Sleeps until main sends a signal, so that it writes no CR3. */
static int large(void)
{
	struct sigaction a = { .sa_handler = on_usr1 };

	sigaction(SIGUSR1, &a, 0);
	check("large.stack_below_the_windows", (uint32_t)&a < LARGE_TOP && (uint32_t)&a > LARGE_TOP - 0x100000, "0x%p", &a);
	check_equal("large.window_as_pointer", sys(syscall_int80, SYS_write, 1, AREA + 0x1000, 4), -EFAULT);
	check_equal("large.pointer_across_the_limit", sys(syscall_int80, SYS_write, 1, AREA - 2, 4), -EFAULT);
	check_equal("large.kernel_as_pointer", sys(syscall_sysenter, SYS_write, 1, 0xC0000000, 4), -EFAULT);
	check_equal("large.mmap_stays_below", mmap((void *)AREA, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
						   MAP_FIXED, -1, 0) == MAP_FAILED, 1);
	if (limits) {
		static const uint32_t where[] = { AREA, AREA + 0x1000, AREA - 3, 0xFFFFE000, 0xC0100000 };

		probe_setup();
		for (unsigned i = 0; i < sizeof where / sizeof *where; i++) {
			struct fault f = probe_read(where[i]);
			check("large.read_beyond_the_limit_is_gp", f.signal == SIGSEGV && f.trap == 13 && f.error == 0,
			      "0x%08x: signal %d trap %u", where[i], f.signal, f.trap);
		}
		struct fault f = probe_write(AREA + 0x2000);
		check("large.write_beyond_the_limit_is_gp", f.trap == 13, "trap %u", f.trap);
		f = probe_jump(AREA + 0x1000);
		check("large.jump_beyond_the_limit_is_gp", f.trap == 13, "trap %u", f.trap);
		f = probe_jump(0xFFFFE000);
		check("large.jump_to_the_trampoline_is_gp", f.trap == 13, "trap %u", f.trap);
	}
	shared->large = getpid();
	pause();
	answer(LARGE);
	return check_failures() != 0;
}

/* ---- main ---- */

static void test_addresses(void)
{
	int local;

	check("small.addresses_are_offsets", (uint32_t)test_addresses < 0x100000 && (uint32_t)&local < WINDOW &&
	      (uint32_t)&local > WINDOW - 0x20000, "code 0x%p stack 0x%p", test_addresses, &local);
	check_equal("small.int80", sys(syscall_int80, SYS_getpid, 0, 0, 0), 1);
	check_equal("small.sysenter", sys(syscall_sysenter, SYS_getpid, 0, 0, 0), 1);
	check_equal("small.fork_is_ENOSYS", sys(syscall_int80, SYS_fork, 0, 0, 0), -ENOSYS);
}

static void test_registers(void)
{
	uint32_t b = 0x1111, s = 0x4444, a = SYS_getpid, esp, ecx, edx;
	uint16_t ds, es, ss;

	__asm__ volatile("movl %%esp, %3\n\t movl %%esp, %%ecx\n\t movl $1f, %%edx\n\t subl $8, %%ecx\n\t"
			 "movl $0x77777777, (%%ecx)\n\t sysenter\n1:\t subl %%ecx, %3\n\t subl $1b, %%edx\n\t"
			 "movl %%edx, %4\n\t subl %%esp, %%ecx\n\t movl %%ecx, %5\n\t addl $8, %%esp"
			 : "+a"(a), "+b"(b), "+S"(s), "=&D"(esp), "=m"(edx), "=m"(ecx) : : "ecx", "edx", "memory", "cc");
	check("small.sysenter_leaves_ecx_and_edx", a == 1 && esp == 8 && edx == 0 && ecx == 0 && b == 0x1111 && s == 0x4444,
	      "eax %x esp %x edx %x ecx %x", a, esp, edx, ecx);
	__asm__ volatile("movw %%ds, %0\n\t movw %%es, %1\n\t movw %%ss, %2" : "=r"(ds), "=r"(es), "=r"(ss));
	check("small.selectors", ds == 0x23 && es == 0x23 && ss == 0x23, "%x %x %x", ds, es, ss);
}

static void test_pointers(void)
{
	static const struct { const char *name; uint32_t address, n; } bad[] = {
		{ "null", 0, 4 }, { "end", WINDOW, 4 }, { "across_the_end", WINDOW - 2, 4 }, { "linear", AREA + 0x1000, 4 },
		{ "kernel", 0xC0100000, 4 }, { "sandbox", ULS_PUBLIC_BASE, 4 }, { "wraps", 0xfffffffe, 4 },
		{ "unmapped", 0x300000, 4 }, { "longer_than_the_window", 0x1000, WINDOW },
	};
	char name[64];

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(name, sizeof name, "small.pointer.%s", bad[i].name);
		check_equal(name, sys(syscall_int80, SYS_uls_pstat, 1, bad[i].address, 0), -EFAULT);
	}
	check_equal("small.pointer.own_code", sys(syscall_int80, SYS_uls_pstat, 1, (long)test_pointers, 0), -EFAULT);

	long r = SYS_getpid;                    /* no stack to fetch arguments from: the way back has to be found anyway */
	__asm__ volatile("movl %%esp, %%esi\n\t movl $0x400000, %%ecx\n\t movl $1f, %%edx\n\t sysenter\n1:\t movl %%esi, %%esp"
			 : "+a"(r) : : "ecx", "edx", "esi", "memory", "cc");
	check_equal("small.sysenter_bad_stack_is_EFAULT", r, -EFAULT);
	r = SYS_getpid;                         /* words that can be read, but nothing to write the far address to */
	__asm__ volatile("movl %%esp, %%esi\n\t movl $0x1000, %%ecx\n\t movl $1f, %%edx\n\t sysenter\n1:\t movl %%esi, %%esp"
			 : "+a"(r) : : "ecx", "edx", "esi", "memory", "cc");
	check_equal("small.sysenter_without_room_returns_by_iret", r, 1);
}

static void test_memory(void)
{
	char *p = sbrk(0), *q;
	int ok = 1;

	check("small.brk", sbrk(0x20000) == p && (uint32_t)p < WINDOW, "0x%p", p);
	for (int i = 0; i < 0x20000; i++) {
		ok &= p[i] == 0;
		p[i] = (char)i;
	}
	check("small.brk_zero_filled", ok, "not zero");
	check("small.brk_shrink", sbrk(-0x20000) == p + 0x20000, "refused");
	check("small.brk_again", sbrk(0x1000) == p, "refused");
	for (int i = 0; i < 0x1000; i++)
		ok &= p[i] == 0;
	check("small.brk_freed_pages_are_gone", ok, "old contents: a stale translation");
	q = mmap(0, 0x3000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check("small.mmap", q != MAP_FAILED && (uint32_t)q >= WINDOW / 2 && (uint32_t)q + 0x3000 <= WINDOW, "0x%p", q);
	memset(q, 1, 0x3000);
	check_equal("small.munmap", munmap(q, 0x3000), 0);
	check("small.mmap_too_large", mmap(0, WINDOW, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED, "given");
	check_fault("small.fault.unmapped", probe_read((uint32_t)q), 4, (uint32_t)q);
	check_fault("small.fault.null", probe_write(0), 6, 0);
	check_fault("small.fault.own_code", probe_write((uint32_t)test_memory), 7, (uint32_t)test_memory);
}

static void test_limits(void)
{
	static const uint32_t where[] = { WINDOW, WINDOW - 3, 0x08048000, ULS_PUBLIC_BASE, AREA, 0xC0100000, 0xFFFFFFFC };
	struct fault f;
	uint32_t r;

	for (unsigned i = 0; i < sizeof where / sizeof *where; i++) {
		f = probe_read(where[i]);
		check("small.read_beyond_the_limit_is_gp", f.signal == SIGSEGV && f.trap == 13 && f.error == 0,
		      "0x%08x: signal %d trap %u", where[i], f.signal, f.trap);
	}
	f = probe_write(WINDOW);
	check("small.write_beyond_the_limit_is_gp", f.trap == 13, "trap %u", f.trap);
	f = probe_jump(WINDOW);
	check("small.jump_beyond_the_limit_is_gp", f.trap == 13, "trap %u", f.trap);
	f = probe_jump(0xFFFFE000);
	check("small.jump_to_the_trampoline_is_gp", f.trap == 13, "trap %u", f.trap);
	probe_read(WINDOW - 4);
	__asm__ volatile("movl %1, %0" : "=r"(r) : "m"(*(volatile uint32_t *)(WINDOW - 4)));
	check("small.last_word", 1, "-");
}

/* A far return whose EIP is outside: SYSENTER says where to return to. The IRET faults in its turn: SIGSEGV. */
static volatile int bad_returns;
static uint32_t good_eip, good_esp;

static void on_bad_return(int sig, siginfo_t *info, ucontext_t *context)
{
	(void)info;
	bad_returns += sig == SIGSEGV && context->mcontext.eip == WINDOW;
	context->mcontext.eip = good_eip;
	context->mcontext.esp = good_esp;
}

static void test_bad_return(void)
{
	struct sigaction a = { .sa_sigaction = on_bad_return, .sa_flags = SA_SIGINFO };
	uint32_t r = SYS_getpid;

	sigaction(SIGSEGV, &a, 0);
	__asm__ volatile("movl %%esp, %1\n\t movl $1f, %2\n\t pushl %%ebp\n\t pushl %%edx\n\t pushl %%edx\n\t"
			 "movl %%esp, %%ecx\n\t movl $0x400000, %%edx\n\t sysenter\n1:"
			 : "+a"(r), "=m"(good_esp), "=m"(good_eip) : : "ecx", "edx", "memory", "cc");
	check("small.return_beyond_the_limit_is_a_signal", bad_returns == 1 && r == 1, "%d signals, eax %u", bad_returns, r);
	probe_setup();
}

static int ping(enum partner whom, const char *name)
{
	struct uls_sysinfo before, after;
	char line[64];
	uint64_t time = 0;
	int wrong = 0;

	for (int warm = 0; warm < 2; warm++) {
		before = sysinfo();
		time = rdtsc();
		for (uint32_t i = 0; i < ROUNDS; i++) {
			shared->ping = i;
			shared->turn = whom;
			while (shared->turn != NOBODY)
				sched_yield();
			wrong += shared->pong != i + 1;
		}
		time = rdtsc() - time;
		after = sysinfo();
	}
	snprintf(line, sizeof line, "%s.answers", name);
	check_equal(line, wrong, 0);
	snprintf(line, sizeof line, "%s.switches", name);
	check(line, after.switches - before.switches >= 2 * ROUNDS, "%u", after.switches - before.switches);
	printf("%s: %u switches, %u CR3 writes, %u cycles a round trip\n", name, after.switches - before.switches,
	       after.cr3_writes - before.cr3_writes, (uint32_t)time / ROUNDS);
	return (int)(after.cr3_writes - before.cr3_writes);
}

static volatile int usr1;
static uint32_t on_stack;
static void on_signal(int sig)
{
	int local;

	usr1 += sig == SIGUSR1;
	on_stack = (uint32_t)&local;
}

static void test_signals(void)
{
	struct sigaction a = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &a, 0);
	kill(getpid(), SIGUSR1);
	check("small.signal", usr1 == 1 && on_stack < WINDOW, "%d, stack 0x%08x", usr1, on_stack);
	const char *differs = hold_registers(3000000, 0x202);
	check("small.registers_kept_over_ticks", !differs, "%s", differs);
}

static void test_upcalls(void)
{
	struct uls_info info = { 0 };
	int null = uls_register("null"), scrambler = uls_register("scrambler");

	check("small.uls_register", null >= 0 && scrambler >= 0, "%d %d", null, scrambler);
	for (int i = 0; i < 100; i++)
		if (uls_post(null, i))
			check("small.uls_post", 0, "errno %d", errno);
	uls_info(null, &info);
	check("small.upcalls", info.delivered == 100 && info.faulted == 0, "%u delivered, %u faulted", info.delivered,
	      info.faulted);
	load_fs(0x23);
	mine = 0x1111;
	uls_bind(scrambler, ULS_SOURCE_TIMER, 1);
	const char *differs = 0;
	for (int i = 0; i < 1000 && !differs && (info.delivered < 3 || info.delivered == 100); i++) {
		differs = hold_registers(1000000, 0x202);
		uls_info(scrambler, &info);
	}
	uls_bind(scrambler, ULS_SOURCE_TIMER, 0);
	check("small.upcalls_leave_no_trace", !differs, "%s", differs);
	check_equal("small.fs_after_upcalls", fs_read(&mine), 0x1111);
	load_fs(0);
	uls_info(scrambler, &info);
	check("small.timer_upcalls", info.delivered >= 2 && info.faulted == 0, "%u, %u faulted", info.delivered, info.faulted);
}

/* Ticks fall everywhere in this loop, in the trampoline too. */
static void test_interrupted_returns(void)
{
	int wrong = 0;

	for (uint32_t start = sysinfo().ticks; sysinfo().ticks - start < 12;)
		for (int i = 0; i < 500; i++) {
			uint32_t v = i;

			mine = i;
			wrong += sys(syscall_sysenter, SYS_getpid, 0, 0, 0) != 1 || mine != v;
		}
	check_equal("small.interrupted_returns", wrong, 0);
}

static int checker(void)
{
	int status;

	probe_setup();
	test_addresses();
	test_registers();
	test_pointers();
	test_memory();
	test_signals();
	test_upcalls();
	test_interrupted_returns();
	if (limits) {
		test_limits();
		test_bad_return();
	}
	while (!shared->peer || !shared->large)
		sched_yield();
	check("small_small.no_cr3_write", ping(PEER, "small_small") == 0, "CR3 was written");
	shared->spinning = 1;
	load_fs(0x23);
	mine = 0x1111;
	for (uint32_t start = sysinfo().ticks; sysinfo().ticks - start < 15;)
		for (int i = 0; i < 20000; i++)
			if (mine != 0x1111 || fs_read(&mine) != 0x1111)
				shared->peers_errors++;
	load_fs(0);
	shared->stop_spinning = 1;
	check_equal("peer.exit", waitpid(shared->peer, &status, 0) == shared->peer && status == 0, 1);
	check_equal("small_small.each_sees_its_own_by_ds_and_fs", shared->peers_errors, 0);
	kill(shared->large, SIGUSR1);
	sched_yield();
	int writes = ping(LARGE, "small_large");
	check("small_large.no_cr3_write_either", writes == 0, "%d CR3 writes", writes);
	shared->done = 1;
	check_equal("large.exit", waitpid(shared->large, &status, 0) == shared->large && status == 0, 1);
	return check_failures() != 0;
}

int main(int argc, char **argv)
{
	shared = uls_shm("test_small", sizeof *shared);
	limits = argc > 2 && !strcmp(argv[2], "limits");
	if (argc > 1 && !strcmp(argv[1], "peer"))
		return peer();
	if (argc > 1 && !strcmp(argv[1], "large"))
		return large();
	return checker();
}
