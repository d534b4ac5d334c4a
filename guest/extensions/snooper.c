/* snooper.c - reads or writes any address, as it is told in the memory of the process that is current (isolation.c). */
#include <ringtoll/extensions.h>

void handler(const struct uls_event *event)
{
	volatile struct snoop *request = (volatile struct snoop *)event->value;
	volatile abi_u32 *address = (volatile abi_u32 *)request->address;

	if (request->write)
		*address = request->value;
	else
		request->value = *address;
}
