/*
 * errno.c - one errno per thread, found from the stack pointer.
 *
 * Stacks grow down and do not overlap, so a stack pointer belongs to the stack with the nearest top above it. clone()
 * notes the top of every stack that it starts a thread on; a pointer below none of them is the first thread's.
 *
 *      ... | thread A's stack    |top A ... | thread B's stack    |top B ...        first thread's stack |
 *                     ^ ESP: nearest top above is A's
 */
#include <errno.h>
#include "thread.h"

static struct { unsigned long top; int error; } slot[MAX_THREADS];
static int first_error;
static volatile int threaded;

int __thread_enter(unsigned long top)
{
	threaded = 1;
	for (int i = 0; i < MAX_THREADS; i++)
		if (__sync_bool_compare_and_swap(&slot[i].top, 0, top))
			return i;
	return -1;
}

void __thread_leave(int i) { slot[i].top = 0; }

int *__errno_location(void)
{
	unsigned long esp = (unsigned long)__builtin_frame_address(0), nearest = ~0ul;
	int *where = &first_error;

	for (int i = 0; threaded && i < MAX_THREADS; i++)
		if (slot[i].top > esp && slot[i].top < nearest) {
			nearest = slot[i].top;
			where = &slot[i].error;
		}
	return where;
}
