/* check.c - the lines a test run is judged by. */
#include "check.h"

#include <stdio.h>
#include <time.h>

static int failures;

int check(const char *name, int ok, const char *detail, ...)
{
	char text[160] = "";
	va_list a;

	va_start(a, detail);
	vsnprintf(text, sizeof text, detail, a);
	va_end(a);
	if (ok) {
		printf("PASS %s\n", name);
	} else {
		printf("FAIL %s %s\n", name, text);
		failures++;
	}
	return ok;
}

int check_equal(const char *name, long got, long wanted)
{
	return check(name, got == wanted, "got %ld (0x%lx), wanted %ld (0x%lx)", got, got, wanted, wanted);
}

int check_failures(void) { return failures; }

void sleep_ms(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, 0);
}
