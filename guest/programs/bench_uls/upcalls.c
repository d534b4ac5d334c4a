/*
 * upcalls.c - the rows about upcalls, flushes and the bare system call.
 *
 * A flush costs nothing when it happens: one pays afterwards, miss by miss. The cost is therefore the time of a fixed
 * piece of work after the flush minus that of the same work without it, taken in pairs so that both see the same
 * state of the caches:
 *
 *     t0 | uls_bench(NOP)  | touch all pages | t1 | uls_bench(OPEN) | touch all pages | t2
 *          \_____ the work, warm ___________/      \__ the work, with open and flush _/
 *
 *     cost = (t2 - t1) - (t1 - t0)        entering the kernel and the walk over the pages cancel out
 */
#include "bench.h"

#include <cpu.h>
#include <ringtoll/abi.h>
#include <stdlib.h>
#include <uls.h>
#include <unistd.h>

static void keep(struct row *r, int i, uint64_t t0, uint64_t t1, uint64_t u0, uint64_t u1)
{
	struct sample *s;

	if (i < WARM_UP)
		return;
	s = &r->samples[i - WARM_UP];
	s->t[0] = t0;
	s->t[1] = t1;
	s->t[2] = u0;
	s->t[3] = u1;
}

/* op is OPEN or FULL_UPCALL. Warming up in every run: twice, so that LRU has the pages in their final order. */
static void paired(struct row *r, int op, int id)
{
	const struct working_set w = working_set();
	const syscall_entry_t call = bench_syscall;
	uint64_t t0, t1, t2;
	long result;

	for (int i = 0; i < runs + WARM_UP && !r->error; i++) {
		call(SYS_uls_bench, ULS_BENCH_NOP, id, 1, 0, 0, 0);
		touch(w);
		touch(w);
		t0 = rdtsc();
		call(SYS_uls_bench, ULS_BENCH_NOP, id, 1, 0, 0, 0);
		touch(w);
		t1 = rdtsc();
		result = call(SYS_uls_bench, op, id, 1, 0, 0, 0);
		touch(w);
		t2 = rdtsc();
		r->error = result < 0 ? result : 0;
		call(SYS_uls_bench, ULS_BENCH_CLOSE, id, 1, 0, 0, 0);
		keep(r, i, t1, t2, t0, t1);
	}
}

/* Time stamps taken by the kernel itself. */
static void in_kernel(struct row *r, int op, int id)
{
	int n = runs + WARM_UP;
	struct uls_stamp *s = calloc(n, sizeof *s);

	r->error = s ? bench_syscall(SYS_uls_bench, op, id, n, (long)s, 0, 0) : -ENOMEM;
	if (r->error > 0)
		r->error = 0;
	for (int i = 0; i < n && !r->error; i++)
		keep(r, i, s[i].t0, s[i].t1, 0, 0);
	uls_bench(ULS_BENCH_CLOSE, id, 1, 0);
	free(s);
}

static void null_call(struct row *r, syscall_entry_t call)
{
	uint64_t t0, t1;

	for (int i = 0; i < runs + WARM_UP; i++) {
		t0 = rdtsc();
		call(SYS_getpid, 0, 0, 0, 0, 0, 0);
		t1 = rdtsc();
		keep(r, i, t0, t1, 0, 0);
	}
}

/* The ways that an event can take other than at once on the process that is current. */
static void measure_events(int id)
{
	int stamper = uls_register("stamper");

	in_kernel(new_row("queued_event", 0), ULS_BENCH_RAISE, id);
	in_kernel(new_row("queued_delivery", 0), ULS_BENCH_QUEUED, id);
	in_kernel(new_row("raw_upcall_sysexit", 0), ULS_BENCH_RAW_SYSEXIT, id);
	in_kernel(new_row("raw_upcall_iret", 0), ULS_BENCH_RAW_IRET, id);
	uls_control(stamper, ULS_CONTROL_MODE, ULS_MODE_THREADED);
	in_kernel(new_row("threaded_upcall", 0), ULS_BENCH_THREADED, stamper);
	in_kernel(new_row("threaded_upcall_entry", 0), ULS_BENCH_THREADED_ENTRY, stamper);
	uls_unregister(stamper);
}

void measure_upcalls(int id)
{
	struct row *raw = new_row("raw_upcall", 0);
	struct row *flush = new_row("tlb_flush_reload", 1);
	struct row *full = new_row("upcall_flush_reload", 1);
	struct row *post = new_row("upcall_event_post", 0);
	struct row *open = new_row("open_sandbox", 0);
	struct row *stamp = new_row("rdtsc_pair", 0);
	struct row *warm = new_row("working_set_warm", 0);
	struct row *int80 = new_row("null_syscall_int80", 0);
	const struct working_set w = working_set();
	uint64_t t0, t1;

	in_kernel(raw, ULS_BENCH_RAW_UPCALL, id);
	paired(flush, ULS_BENCH_OPEN, id);
	paired(full, ULS_BENCH_FULL_UPCALL, id);
	for (int i = 0; i < runs + WARM_UP && !post->error; i++) {
		t0 = rdtsc();
		post->error = bench_syscall(SYS_uls_post, id, i, 0, 0, 0, 0);     /* 0: the handler has run */
		t1 = rdtsc();
		keep(post, i, t0, t1, 0, 0);
	}
	in_kernel(open, ULS_BENCH_OPEN_CLOSE, id);
	in_kernel(stamp, ULS_BENCH_RDTSC, id);
	for (int i = 0; i < runs + WARM_UP; i++) {
		touch(w);
		t0 = rdtsc();
		touch(w);
		t1 = rdtsc();
		keep(warm, i, t0, t1, 0, 0);
	}
	null_call(int80, syscall_int80);
	if (syscall_entry == syscall_sysenter)     /* the CPU has it: libc/start.c */
		null_call(new_row("null_syscall_sysenter", 0), syscall_sysenter);
	measure_events(id);
}
