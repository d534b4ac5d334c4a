/*
 * main.c (bench_uls) - the ULS cost table, measured inside the guest with RDTSC.
 *
 *     bench_uls [runs=200] [syscall=int80|sysenter] [dpages=N] [cpages=N]      the sender, which measures
 *     bench_uls receiver                                                     its partner for signal_different
 *
 * Nothing is printed before everything is measured, because output would put the console driver's code and data
 * into the caches and TLBs being measured. Lines:
 *
 *     BENCH-BEGIN uls runs=N dpages=D cpages=C row.runs=M ...     M: of a row that has not N
 *     BENCH row i t0 t1                 cost = t1 - t0
 *     BENCH row i t1 t2 t0 t1           cost = (t2 - t1) - (t1 - t0): paired, see upcalls.c
 *     BENCH-SKIP row reason
 *     BENCH-NOTE text
 *     BENCH-END
 */
#include "bench.h"

#include <cpu.h>
#include <isolation.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uls.h>
#include <unistd.h>

int runs = 200;
unsigned dpages, cpages;
syscall_entry_t bench_syscall = syscall_int80;

static struct row rows[32];
static int nrows;
/*
 * 64 KB: the Pentium III's DTLB has 16 sets of 4 ways, selected by the low bits of the page number. 56 pages from such
 * a boundary leave one way free in sets 8 to 15, where the stack's pages 0xBFFFE and 0xBFFFF go. Within a measured
 * interval nothing else but the working set and the stack is touched by the process.
 */
static char data_pages[MAX_PAGES * 4096] __attribute__((aligned(65536)));

struct row *new_row(const char *name, int paired)
{
	struct row *r = &rows[nrows++];

	r->name = name;
	r->paired = paired;
	r->runs = runs;
	r->samples = calloc(runs, sizeof *r->samples);     /* touches every page now and not while measuring */
	if (!r->samples) {
		printf("BENCH-SKIP %s no memory\n", name);
		exit(1);
	}
	return r;
}

struct working_set working_set(void)
{
	return (struct working_set){ dpages, cpages, data_pages };
}

/*
 * The working set should fill the TLBs and never exceed them. Replacement is LRU and the pages are touched in a
 * cycle: with one page too many, every access of the cycle misses, warm or not, and there is nothing left to see
 * of the flush. So a headroom of 8 stays free for the pages that are in use besides: this code, its stack and
 * static data, the sample array, libc's stubs, and the kernel's where it has no large-page TLB of its own.
 */
#define HEADROOM 8

static int assumed;

void find_working_set(void)
{
	unsigned itlb = 0, dtlb = 0;
	uint32_t r[4];

	cpuid(0, r);
	if (r[0] >= 2) {
		cpuid(2, r);
		r[0] &= ~0xffu;     /* the low byte is a repeat count, not a descriptor; it is 1 on every CPU we know */
		for (int i = 0; i < 16; i++) {
			if (r[i / 4] & 0x80000000u)     /* this register holds no descriptors */
				continue;
			switch (r[i / 4] >> i % 4 * 8 & 0xff) {
			case 0x01: itlb = 32; break;      /* 4 KB pages, 4-way */
			case 0x50: itlb = 64; break;      /* 4 KB and large pages */
			case 0x51: itlb = 128; break;
			case 0x52: itlb = 256; break;
			case 0x03: dtlb = 64; break;      /* 4 KB pages, 4-way */
			case 0x5b: dtlb = 64; break;      /* 4 KB and 4 MB pages share it */
			case 0x5c: dtlb = 128; break;
			case 0x5d: dtlb = 256; break;
			}
		}
	}
	assumed = !itlb || !dtlb;
	itlb = itlb ? itlb : 32;
	dtlb = dtlb ? dtlb : 64;
	cpages = (itlb < MAX_PAGES ? itlb : MAX_PAGES) - HEADROOM;
	dpages = (dtlb < MAX_PAGES ? dtlb : MAX_PAGES) - HEADROOM;
}

static void print(void)
{
	printf("BENCH-BEGIN uls runs=%d dpages=%u cpages=%u", runs, dpages, cpages);
	for (struct row *r = rows; r < rows + nrows; r++)
		if (r->runs != runs)
			printf(" %s.runs=%d", r->name, r->runs);
	printf("\n");
	if (assumed)
		printf("BENCH-NOTE no TLB descriptors in CPUID leaf 2: assumed 32 and 64 entries\n");
	for (struct row *r = rows; r < rows + nrows; r++) {
		if (r->error)
			printf("BENCH-SKIP %s error %ld\n", r->name, r->error);
		for (int i = 0; i < r->runs && !r->error; i++) {
			const uint64_t *t = r->samples[i].t;

			if (r->paired)
				printf("BENCH %s %d %llu %llu %llu %llu\n", r->name, i, t[0], t[1], t[2], t[3]);
			else
				printf("BENCH %s %d %llu %llu\n", r->name, i, t[0], t[1]);
		}
	}
}

/* Tried after everything is measured: see isolation.c. */
static void print_isolation(void)
{
	struct boundary b[BOUNDARIES];
	char line[160];

	if (try_isolation(b) < 0)
		return;
	for (int i = 0; i < BOUNDARIES; i++) {
		describe_boundary(&b[i], line, sizeof line);
		printf("BENCH-NOTE %s\n", line);
	}
}

static int number(const char *text, int low, int high)
{
	int n = atoi(text);

	return n < low ? low : n > high ? high : n;
}

int main(int argc, char **argv)
{
	struct rendezvous *r = uls_shm("bench_uls", sizeof *r);
	int id;

	if (r == (void *)-1) {
		printf("BENCH-SKIP all no shared memory\n");
		return 1;
	}
	find_working_set();
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "receiver"))
			return receive(r);
		if (!strncmp(argv[i], "runs=", 5))
			runs = number(argv[i] + 5, 1, MAX_RUNS);
		else if (!strcmp(argv[i], "syscall=sysenter"))
			bench_syscall = syscall_sysenter;
		else if (!strncmp(argv[i], "dpages=", 7))
			dpages = number(argv[i] + 7, 0, MAX_PAGES);
		else if (!strncmp(argv[i], "cpages=", 7))
			cpages = number(argv[i] + 7, 0, MAX_PAGES);
	}
	measure_loading();     /* before `null` has an owner */
	id = uls_register("null");
	if (id >= 0)
		measure_upcalls(id);
	measure_signals(r);
	print();
	print_isolation();
	if (id < 0)
		printf("BENCH-SKIP upcalls no extension null\n");
	if (!r->receiver)
		printf("BENCH-SKIP signal_different no receiver\n");
	printf("BENCH-END\n");
	return id < 0;
}
