/* bench.h - what the parts of bench_uls share. */
#ifndef BENCH_H
#define BENCH_H
#include <stdint.h>
#include <syscall.h>

#define WARM_UP   20
#define MAX_RUNS  2000
#define MAX_PAGES 192

/* One sample; a paired one has the interval of interest in t[0..1] and the one to subtract in t[2..3]. */
struct sample { uint64_t t[4]; };

struct row {
	const char *name;
	int paired;
	int runs;
	struct sample *samples;     /* `runs` of them */
	long error;                 /* not 0: a call failed, so the samples mean nothing */
};

/* Shared between sender and receiver. */
struct rendezvous {
	volatile int sender, receiver;     /* pids */
	volatile uint64_t entry;           /* receiver: first statement of the stamping handler */
};

extern int runs;
extern unsigned dpages, cpages;
extern syscall_entry_t bench_syscall;     /* for signals: INT 0x80, as Linux 2.4 did, unless asked otherwise */

struct row *new_row(const char *name, int paired);
void touch_pages(unsigned dpages, unsigned cpages, const void *data);

/* Lives on the stack while measuring: a global would be one more page in the DTLB. */
struct working_set { unsigned dpages, cpages; const void *data; };

struct working_set working_set(void);
#define touch(w) touch_pages((w).dpages, (w).cpages, (w).data)

void find_working_set(void);
void measure_upcalls(int id);
void measure_signals(struct rendezvous *r);
void measure_loading(void);
int receive(struct rendezvous *r);
#endif
