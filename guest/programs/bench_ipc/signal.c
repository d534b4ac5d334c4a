/*
 * signal.c - the mailbox again, but each side tells the other by a signal.
 *
 * kill() wakes the server, which has the higher real-time priority and preempts the client at once. Its handler
 * answers by a signal of its own, which the client takes on its way out of kill(), when the server sleeps again.
 */
#include "ipc.h"

#include <sched.h>
#include <signal.h>
#include <unistd.h>

static struct mailbox *mailbox;
static volatile uint32_t answered;
static volatile int ended;

static void client_handler(int sig)
{
	answered = mailbox->answer;
	(void)sig;
}

static void server_handler(int sig)
{
	mailbox->answer = answer_to(mailbox->message);
	CALL(kill, mailbox->client, SIGUSR1, 0);
	(void)sig;
}

static void end_handler(int sig) { ended = sig; }

static void handle(int sig, void (*handler)(int))
{
	struct sigaction a = { .sa_handler = handler };

	sigaction(sig, &a, 0);
}

static long open_process(struct mailbox *box)
{
	mailbox = box;
	box->client = getpid();
	handle(SIGUSR1, client_handler);
	real_time(0, CLIENT_PRIORITY);
	return server_is_there(box) ? 0 : -ESRCH;
}

static uint32_t trip(struct mailbox *box, uint32_t message)
{
	box->message = message;
	CALL(kill, box->server, SIGUSR1, 0);
	return answered;
}

static void close_server(struct mailbox *box) { kill(box->server, SIGTERM); }

static int serve(struct mailbox *box)
{
	const sigset_t all = ~0u, none = 0;

	mailbox = box;
	handle(SIGUSR1, server_handler);
	handle(SIGTERM, end_handler);
	sigprocmask(SIG_SETMASK, &all, 0);     /* signals arrive in sigsuspend only: none between test and wait */
	real_time(0, SERVER_PRIORITY);
	box->server = getpid();
	while (!ended)
		CALL(sigsuspend, 0, 0, none);
	return 0;
}

const struct mechanism process_signal = { "signal", open_process, trip, close_server, serve };
