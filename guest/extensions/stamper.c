/* stamper.c - its first statement reads the time; the event's value, if any, is where to put it (benchmarks). */
#include <ringtoll/abi.h>

void handler(const struct uls_event *event)
{
	abi_u64 now;

	if (!event->value)
		return;
	__asm__ volatile("rdtsc" : "=A"(now));
	*(abi_u64 *)event->value = now;
}
