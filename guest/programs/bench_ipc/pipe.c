/*
 * pipe.c - a pipe there and a pipe back, as programs on Unix do it: between processes (fork) or threads (clone).
 *
 *   client  write(there)  ->  wakes the server, which waits in read(there); same priority, so it does not run yet
 *           read(back)    ->  sleeps: switch to the server
 *   server                    write(back) wakes the client, read(there) sleeps: switch to the client
 */
#include "ipc.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

static int there[2], back[2];

static long open_pipes(void)
{
	real_time(0, CLIENT_PRIORITY);     /* the server inherits it */
	return pipe(there) < 0 || pipe(back) < 0 ? -errno : 0;
}

/* Until the message 0 or the end of the pipe. */
static int serve(struct mailbox *box)
{
	uint32_t message;

	while (CALL(read, there[0], &message, sizeof message) == sizeof message && message) {
		message = answer_to(message);
		CALL(write, back[1], &message, sizeof message);
	}
	(void)box;
	return 0;
}

static long open_process(struct mailbox *box)
{
	long error = open_pipes();

	if (error)
		return error;
	box->server = fork();
	if (!box->server)
		_exit(serve(box));
	return box->server < 0 ? -errno : 0;
}

static char stack[16384] __attribute__((aligned(16)));

static int thread(void *box) { return serve(box); }

static long open_thread(struct mailbox *box)
{
	long error = open_pipes();

	return error ? error : clone(thread, stack + sizeof stack, CLONE_THREAD_FLAGS, box) < 0 ? -errno : 0;
}

static uint32_t trip(struct mailbox *box, uint32_t message)
{
	CALL(write, there[1], &message, sizeof message);
	if (CALL(read, back[0], &message, sizeof message) != sizeof message)
		message = 0;
	(void)box;
	return message;
}

static void close_server(struct mailbox *box)
{
	const uint32_t end = 0;

	CALL(write, there[1], &end, sizeof end);
	(void)box;
}

const struct mechanism process_pipe = { "pipe", open_process, trip, close_server, 0 };
const struct mechanism thread_pipe = { "thread-pipe", open_thread, trip, close_server, 0 };
