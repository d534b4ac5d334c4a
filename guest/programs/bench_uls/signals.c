/*
 * signals.c - the rows about signals, the mechanism that ULS competes with.
 *
 * signal_current: kill(getpid()) from before the call until control is back behind it: delivery, handler (empty),
 * sigreturn, and the return of kill. The pid is asked for beforehand.
 *
 * signal_different: the receiver has the higher real-time priority (60 against 50, SCHED_FIFO) and waits in
 * sigsuspend. kill() wakes it, it preempts the sender at once, its handler runs, it waits again, and the sender goes
 * on. That is what a test on Linux would do, since only priorities make the order certain; it holds two process
 * switches. The *_entry rows end at the first statement of the handler and have a handler of their own, so that
 * its RDTSC does not weigh on the other rows.
 */
#include "bench.h"

#include <cpu.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define SENDER_PRIORITY   50
#define RECEIVER_PRIORITY 60
#define PATIENCE_MS       300     /* for the receiver to appear */

static struct rendezvous *shared;
static volatile uint64_t entry;

static void empty_handler(int sig) { (void)sig; }

static void stamp_handler(int sig)
{
	entry = rdtsc();
	(void)sig;
}

static void stamp_shared_handler(int sig)
{
	shared->entry = rdtsc();
	(void)sig;
}

static void handle(int sig, void (*handler)(int))
{
	struct sigaction a = { .sa_handler = handler };

	sigaction(sig, &a, 0);
}

static void real_time(int priority)
{
	struct sched_param p = { priority };

	sched_setscheduler(0, SCHED_FIFO, &p);
}

/* stamped: the interval ends where the handler says. */
static void measure(struct row *r, int pid, int sig, volatile uint64_t *stamped)
{
	uint64_t t0, t1;

	for (int i = 0; i < runs + WARM_UP && !r->error; i++) {
		t0 = rdtsc();
		r->error = bench_syscall(SYS_kill, pid, sig, 0, 0, 0, 0);
		t1 = rdtsc();
		if (i >= WARM_UP) {
			r->samples[i - WARM_UP].t[0] = t0;
			r->samples[i - WARM_UP].t[1] = stamped ? *stamped : t1;
		}
	}
}

void measure_signals(struct rendezvous *r)
{
	struct timespec pause_10ms = { 0, 10000000 };
	int self = getpid();

	handle(SIGUSR1, empty_handler);
	handle(SIGUSR2, stamp_handler);
	real_time(SENDER_PRIORITY);
	measure(new_row("signal_current", 0), self, SIGUSR1, 0);
	measure(new_row("signal_current_entry", 0), self, SIGUSR2, &entry);

	for (int ms = 0; !r->receiver && ms < PATIENCE_MS; ms += 10)
		nanosleep(&pause_10ms, 0);
	if (!r->receiver)
		return;
	measure(new_row("signal_different", 0), r->receiver, SIGUSR1, 0);
	measure(new_row("signal_different_entry", 0), r->receiver, SIGUSR2, &r->entry);
	kill(r->receiver, SIGTERM);     /* nothing else would end it */
}

static volatile int ended;
static void end_handler(int sig) { ended = sig; }

int receive(struct rendezvous *r)
{
	const sigset_t all = ~0u, none = 0;

	shared = r;
	handle(SIGUSR1, empty_handler);
	handle(SIGUSR2, stamp_shared_handler);
	handle(SIGTERM, end_handler);
	sigprocmask(SIG_SETMASK, &all, 0);     /* signals arrive in sigsuspend only: none between test and wait */
	real_time(RECEIVER_PRIORITY);
	r->receiver = getpid();
	while (!ended)
		bench_syscall(SYS_sigsuspend, 0, 0, (long)none, 0, 0, 0);
	return 0;
}
