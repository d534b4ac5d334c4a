/*
 * loading.c - what it costs to load an extension, by the way in which it is authorised.
 *
 * `null` is in the image twice: as `null`, trusted by name, and as `null_signed`, whose seal the kernel verifies before
 * it copies a byte. The difference of the two rows is the price of Ed25519. Ten runs are enough: the work is the same
 * each time, and a signature takes long.
 */
#include "bench.h"

#include <cpu.h>
#include <ringtoll/abi.h>
#include <unistd.h>

#define LOAD_RUNS    10
#define LOAD_WARM_UP 2

static void load(const char *row, const char *name)
{
	struct row *r = new_row(row, 0);
	uint64_t t0, t1;

	r->runs = runs < LOAD_RUNS ? runs : LOAD_RUNS;
	for (int i = 0; i < r->runs + LOAD_WARM_UP && !r->error; i++) {
		r->error = bench_syscall(SYS_uls_unload, (long)name, 0, 0, 0, 0, 0);
		if (r->error)
			break;
		t0 = rdtsc();
		r->error = bench_syscall(SYS_uls_load, (long)name, 0, 0, 0, 0, 0);
		t1 = rdtsc();
		if (i >= LOAD_WARM_UP) {
			r->samples[i - LOAD_WARM_UP].t[0] = t0;
			r->samples[i - LOAD_WARM_UP].t[1] = t1;
		}
	}
}

void measure_loading(void)
{
	load("load_trusted", "null");
	load("load_signed", "null_signed");
}
