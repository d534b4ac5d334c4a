/*
 * yield.c - a mailbox in shared memory, and sched_yield() as the way to the other side.
 *
 * Both run at the same real-time priority and nobody else does, so that a yield is a switch to the other one: the
 * kernel's shortest path from process to process, with no copying and nothing to wake.
 */
#include "ipc.h"

#include <unistd.h>

static long open_process(struct mailbox *box)
{
	if (!server_is_there(box))
		return -ESRCH;
	real_time(0, CLIENT_PRIORITY);
	real_time(box->server, CLIENT_PRIORITY);
	return 0;
}

static uint32_t trip(struct mailbox *box, uint32_t message)
{
	box->message = message;
	do
		CALL(sched_yield, 0, 0, 0);
	while (box->answer != answer_to(message) && !box->over);
	return box->answer;
}

static void close_server(struct mailbox *box) { box->over = 1; }

static int serve(struct mailbox *box)
{
	box->server = getpid();
	while (!box->over) {
		if (box->message)
			box->answer = answer_to(box->message);
		CALL(sched_yield, 0, 0, 0);
	}
	return 0;
}

const struct mechanism process_yield = { "yield", open_process, trip, close_server, serve };
