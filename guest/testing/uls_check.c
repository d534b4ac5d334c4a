/* uls_check.c - looking at extensions. */
#include "uls_check.h"

#include <string.h>

struct uls_info info_of(int id)
{
	struct uls_info i;

	memset(&i, 0xff, sizeof i);
	uls_info(id, &i);
	return i;
}

void check_adds_up(const char *name, int id)
{
	struct uls_info i = info_of(id);
	unsigned now = i.state == ULS_STATE_RUNNING || i.state == ULS_STATE_BLOCKED;

	check(name, i.raised == i.delivered + i.faulted + i.dropped + i.queued + now,
	      "raised %u, delivered %u + faulted %u + dropped %u + queued %u + %u", i.raised, i.delivered, i.faulted, i.dropped,
	      i.queued, now);
}

unsigned wait_delivered(int id, unsigned n)
{
	for (int i = 0; i < 200 && info_of(id).delivered < n; i++)
		sleep_ms(10);
	return info_of(id).delivered;
}

void wait_state(int id, unsigned state)
{
	for (int i = 0; i < 200 && info_of(id).state != state; i++)
		sleep_ms(10);
}
