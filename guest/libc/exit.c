/* exit.c - the end of a program: functions of atexit, destructors, held output. A program's only; see sandbox/exit.c */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "start.h"

static void (*at_exit[32])(void);
static int count;

int atexit(void (*function)(void))
{
	int i = count;

	if (i == 32)
		return -1;
	at_exit[i] = function;
	count = i + 1;
	return 0;
}

void exit(int status)
{
	while (count)
		at_exit[--count]();
	for (function_t *f = __fini_array_end; f > __fini_array_start;)
		(*--f)();
	__flush_all();
	_exit(status);
}

/* No handler and no mask can prevent it. */
void abort(void)
{
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t own = sigmask(SIGABRT);

	__flush_all();
	raise(SIGABRT);
	sigaction(SIGABRT, &by_default, 0);
	sigprocmask(SIG_UNBLOCK, &own, 0);
	raise(SIGABRT);
	_exit(127);
}
