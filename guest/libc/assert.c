/* assert.c - a broken promise is said, and ends the program or the handler. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void __assert_fail(const char *condition, const char *file, int line, const char *function)
{
	fprintf(stderr, "%s:%d: %s: assertion `%s' failed\n", file, line, function, condition);
	abort();
}
