/* null.c - does nothing: what an upcall costs without what it is for. */
#include <ringtoll/abi.h>

void handler(const struct uls_event *event)
{
	(void)event;
}
