/*
 * sleeper.c - sleeps as many milliseconds as the event's value says: a handler may block in a system call.
 * nanosleep() is the libc's, which the sandbox has once for all extensions.
 */
#include <ringtoll/abi.h>
#include <time.h>

static abi_u32 woken;

void handler(const struct uls_event *event)
{
	struct timespec t = { 0, event->value * 1000000 };

	if (nanosleep(&t, 0) == 0)
		woken++;
}
