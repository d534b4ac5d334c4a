/*
 * main.c (bench_ipc) - round trips of a 4-byte message between two protection domains, measured with RDTSC.
 *
 *     bench_ipc MECHANISM [runs=10] [dpages=N] [cpages=N] [syscall=int80|sysenter]       the client
 *     bench_ipc MECHANISM server [syscall=int80|sysenter]                                its partner, where it needs one
 *
 * Nothing is printed before everything is measured (see bench_uls). Lines:
 *
 *     BENCH-BEGIN ipc runs=N mechanism=M dpages=D cpages=C
 *     BENCH touch_warm i t0 t1              the working set alone
 *     BENCH round_trip i t1 t2              message, answer, and the working set
 *     BENCH added i t1 t2 t0 t1             their difference: what the mechanism costs, and the misses it causes
 *     BENCH-SKIP mechanism reason
 *     BENCH-END
 */
#include "ipc.h"

#include <cpu.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uls.h>

#define WARM_UP     8
#define MAX_RUNS    2000
#define PATIENCE_MS 300     /* for the server to appear */

struct sample { uint64_t t0, t1, t2; };

/* Lives on the stack while measuring: a global would be one more page in the DTLB. */
struct working_set { unsigned dpages, cpages; const void *data; };

syscall_entry_t ipc_syscall = syscall_int80;

static const struct mechanism *const mechanisms[] = {
	&bare_call, &upcall_post, &process_yield, &thread_yield, &process_signal, &process_pipe, &thread_pipe,
};

static int runs = 10;
static unsigned dpages, cpages;
static char data_pages[MAX_DATA_PAGES * 4096] __attribute__((aligned(65536)));     /* as in bench_uls */

void real_time(int pid, int priority)
{
	struct sched_param p = { priority };

	sched_setscheduler(pid, SCHED_FIFO, &p);
}

int server_is_there(struct mailbox *box)
{
	struct timespec pause_10ms = { 0, 10000000 };

	for (int ms = 0; !box->server && ms < PATIENCE_MS; ms += 10)
		nanosleep(&pause_10ms, 0);
	return box->server != 0;
}

/* Twice warm before t0, so that LRU has the pages in the order in which they are touched. */
static int measure(const struct mechanism *m, struct mailbox *box, struct sample *samples)
{
	const struct working_set w = { dpages, cpages, data_pages };
	uint64_t t0, t1, t2;
	uint32_t answer;

	for (int i = 0; i < runs + WARM_UP; i++) {
		touch_pages(w.dpages, w.cpages, w.data);
		touch_pages(w.dpages, w.cpages, w.data);
		t0 = rdtsc();
		touch_pages(w.dpages, w.cpages, w.data);
		t1 = rdtsc();
		answer = m->trip(box, i + 1);
		touch_pages(w.dpages, w.cpages, w.data);
		t2 = rdtsc();
		if (answer != answer_to(i + 1))
			return 0;
		if (i >= WARM_UP)
			samples[i - WARM_UP] = (struct sample){ t0, t1, t2 };
	}
	return 1;
}

static void print(const struct sample *s)
{
	for (int i = 0; i < runs; i++) {
		printf("BENCH touch_warm %d %llu %llu\n", i, s[i].t0, s[i].t1);
		printf("BENCH round_trip %d %llu %llu\n", i, s[i].t1, s[i].t2);
		printf("BENCH added %d %llu %llu %llu %llu\n", i, s[i].t1, s[i].t2, s[i].t0, s[i].t1);
	}
}

static int client(const struct mechanism *m, struct mailbox *box)
{
	static struct sample samples[MAX_RUNS];     /* not malloc: a small space has little room between heap and mappings */
	long error = m->open(box);
	int right;

	memset(samples, 0, runs * sizeof *samples);     /* touches every page now and not while measuring */
	right = !error && measure(m, box, samples);
	printf("BENCH-BEGIN ipc runs=%d mechanism=%s dpages=%u cpages=%u\n", runs, m->name, dpages, cpages);
	if (error)
		printf("BENCH-SKIP %s error %ld\n", m->name, error);
	else if (!right)
		printf("BENCH-SKIP %s a wrong answer\n", m->name);
	else
		print(samples);
	printf("BENCH-END\n");
	if (m->close && !error)
		m->close(box);
	return !right;
}

static int number(const char *text, int low, int high)
{
	int n = atoi(text);

	return n < low ? low : n > high ? high : n;
}

static const struct mechanism *find(const char *name)
{
	for (unsigned i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
		if (!strcmp(name, mechanisms[i]->name))
			return mechanisms[i];
	printf("BENCH-SKIP %s no such mechanism\n", name);
	exit(1);
}

int main(int argc, char **argv)
{
	const struct mechanism *m = find(argc > 1 ? argv[1] : "");
	struct mailbox *box = uls_shm("bench_ipc", sizeof *box);
	int server = 0;

	if (box == (void *)-1) {
		printf("BENCH-SKIP %s no shared memory\n", m->name);
		return 1;
	}
	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "server"))
			server = 1;
		else if (!strncmp(argv[i], "runs=", 5))
			runs = number(argv[i] + 5, 1, MAX_RUNS);
		else if (!strncmp(argv[i], "dpages=", 7))
			dpages = number(argv[i] + 7, 0, MAX_DATA_PAGES);
		else if (!strncmp(argv[i], "cpages=", 7))
			cpages = number(argv[i] + 7, 0, MAX_CODE_PAGES);
		else if (!strcmp(argv[i], "syscall=sysenter"))
			ipc_syscall = syscall_entry;     /* INT 0x80 on a CPU without it: libc/start.c */
	}
	if (!server)
		return client(m, box);
	return m->serve ? m->serve(box) : 1;
}
