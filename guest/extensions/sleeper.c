/*
 * sleeper.c - sleeps as many milliseconds as the event's value says: a handler may block in a system call.
 *
 * The one extension that is linked with libc (userland.mk): its errno and syscall_entry lie in the protected area,
 * its code in the public one, like those of any extension.
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
