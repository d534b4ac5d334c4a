/*
 * context.c - in a program: the context of a thread, found from the stack pointer.
 *
 * Stacks grow down and do not overlap, so a stack pointer belongs to the stack with the nearest top above it. clone()
 * notes the top of every stack that it starts a thread on; a pointer below none of them is the first thread's.
 *
 *      ... | thread A's stack    |top A ... | thread B's stack    |top B ...        first thread's stack |
 *                     ^ ESP: nearest top above is A's
 *
 * A thread that ends leaves its arena to the next one in its slot: others may still use what it allocated.
 */
#include "context.h"
#include "thread.h"

static struct { unsigned long top; struct context context; } slot[MAX_THREADS];
static struct context first, *break_owner;
static volatile int threaded;

int __thread_enter(unsigned long top)
{
	threaded = 1;
	for (int i = 0; i < MAX_THREADS; i++)
		if (__sync_bool_compare_and_swap(&slot[i].top, 0, top)) {
			slot[i].context.error = 0;
			return i;
		}
	return -1;
}

void __thread_leave(int i) { slot[i].top = 0; }

struct context *__context(void)
{
	unsigned long esp = (unsigned long)__builtin_frame_address(0), nearest = ~0ul;
	struct context *where = &first;

	for (int i = 0; threaded && i < MAX_THREADS; i++)
		if (slot[i].top > esp && slot[i].top < nearest) {
			nearest = slot[i].top;
			where = &slot[i].context;
		}
	return where;
}

int __may_move_break(void)
{
	struct context *own = __context();

	return break_owner == own || __sync_bool_compare_and_swap(&break_owner, 0, own);
}

void __context_each(void (*visit)(struct context *))
{
	visit(&first);
	for (int i = 0; i < MAX_THREADS; i++)
		visit(&slot[i].context);
}
