/* spinner.c - runs until it is stopped, or through as many rounds as the event's value says. */
#include <ringtoll/abi.h>

static volatile abi_u32 rounds;

void handler(const struct uls_event *event)
{
	for (abi_u32 i = 0; event->value == 0 || i < event->value; i++)
		rounds++;
}
