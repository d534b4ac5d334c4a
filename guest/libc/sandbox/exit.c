/*
 * exit.c - in the sandbox there is nothing to exit: a handler returns. The kernel aborts one that calls exit or _exit,
 * and an invalid instruction is how it tells abort() apart.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void exit(int status) { _exit(status); }
void abort(void) { __builtin_trap(); }

/* An extension's end, its owner's or its own unregistering, is not an end of its code. */
int atexit(void (*function)(void))
{
	(void)function;
	errno = ENOSYS;
	return -1;
}
