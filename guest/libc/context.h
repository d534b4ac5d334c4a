/*
 * context.h - what the library keeps for each thread of a program, and for each extension in the sandbox.
 *
 * Nobody takes a lock for it. A direct upcall runs to its end before the handler that it interrupted goes on: had that
 * one held a lock, the upcall would wait for ever. So each has its own, and what is not its own goes through one atomic
 * word (arena.c).
 */
#ifndef CONTEXT_H
#define CONTEXT_H
#include "arena.h"

#ifdef SANDBOX
#define LINE_ROOM 0      /* a handler has no end at which the library could write what it holds: it holds nothing */
#else
#define LINE_ROOM 256
#endif

struct context {         /* all zero: nothing allocated, nothing held */
	int error;
	char *token;             /* strtok */
	struct arena arena;
	unsigned held;           /* bytes of stdout's line */
	char line[LINE_ROOM];
};

struct context *__context(void);
int  __may_move_break(void);             /* one arena has the break; the others live on mmap */
void __context_each(void (*visit)(struct context *));
#endif
