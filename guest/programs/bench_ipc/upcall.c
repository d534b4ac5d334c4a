/*
 * upcall.c - the server is an extension in the sandbox: uls_post() carries the message as the event's value.
 *
 * The kernel opens the sandbox, enters the handler on the client's own page tables, and closes it again. The handler
 * writes its answer into the client's mailbox, whose address is its first message: the protected area, where it could
 * leave it otherwise, is closed when the client reads. How the kernel enters and what it invalidates are options of
 * its command line (entry=, flush=, global=).
 */
#include "ipc.h"

#include <ringtoll/abi.h>
#include <uls.h>

static int id;

static long open_extension(struct mailbox *box)
{
	id = syscall_entry(SYS_uls_register, (long)"echo", 0, 0, 0, 0, 0);
	return id < 0 ? id : CALL(uls_post, id, &box->answer, 0);
}

static uint32_t trip(struct mailbox *box, uint32_t message)
{
	CALL(uls_post, id, message, 0);     /* 0: the handler has run */
	return box->answer;
}

static void close_extension(struct mailbox *box)
{
	(void)box;
	uls_unregister(id);
}

const struct mechanism upcall_post = { "upcall", open_extension, trip, close_extension, 0 };
