/* echo.c - the server of bench_ipc: the first event says where answers go, every other one is answered there. */
#include <ringtoll/abi.h>

static volatile abi_u32 *answer;

void handler(const struct uls_event *event)
{
	if (answer)
		*answer = event->value + 1;
	else
		answer = (volatile abi_u32 *)event->value;
}
