/*
 * ipc.h - what the mechanisms of bench_ipc share.
 *
 *   client (has the working set, measures)             server: process, thread or extension
 *   --------------------------------------             -----------------------------------
 *   t0  touch the working set, warm
 *   t1  message, 4 bytes  ------------------------->   answer = message + 1
 *       answer, 4 bytes   <-------------------------
 *       touch the working set again
 *   t2
 *
 * The client has the working set under every mechanism: it is the thread that pays when a crossing empties the TLBs.
 */
#ifndef IPC_H
#define IPC_H
#include <stdint.h>
#include <syscall.h>

#define MAX_DATA_PAGES 512     /* 2 MB */
#define MAX_CODE_PAGES 256     /* 1 MB: PAGES in pages.S */
#define CLIENT_PRIORITY 50     /* SCHED_FIFO: no slice ends inside a round trip */
#define SERVER_PRIORITY 60     /* signals only: the server must preempt the client */

/* One page that client and server share: the message, the answer, and who the server is. */
struct mailbox {
	volatile uint32_t message, answer;
	volatile int client, server;     /* pids; 0: not there yet */
	volatile int over;
};

struct mechanism {
	const char *name;
	long (*open)(struct mailbox *box);                          /* before measuring; not 0: minus an error number */
	uint32_t (*trip)(struct mailbox *box, uint32_t message);    /* there and back: the answer */
	void (*close)(struct mailbox *box);                         /* ends the server; may be 0 */
	int (*serve)(struct mailbox *box);                          /* main() of a server that is a boot module; may be 0 */
};

extern const struct mechanism bare_call, upcall_post, process_yield, thread_yield, process_signal, process_pipe,
	thread_pipe;

extern syscall_entry_t ipc_syscall;     /* INT 0x80, as Linux 2.4 did, unless asked otherwise */

#define CALL(number, a, b, c) ipc_syscall(SYS_##number, (long)(a), (long)(b), (long)(c), 0, 0, 0)

/* The messages are 1, 2, 3 ..., so that 0 in the mailbox is none. */
static inline uint32_t answer_to(uint32_t message) { return message + 1; }

int server_is_there(struct mailbox *box);
void real_time(int pid, int priority);
void touch_pages(unsigned dpages, unsigned cpages, const void *data);
#endif
