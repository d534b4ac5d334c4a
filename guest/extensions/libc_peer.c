/*
 * libc_peer.c - at each tick it frees what libc_user has left in the mail box and allocates itself, wherever in malloc
 * libc_user was interrupted. An event with an address as its value asks for the record.
 */
#include <ringtoll/extensions.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *volatile libc_mail[LIBC_MAIL];

static struct libc_peer_record record;
static unsigned char *own[4];

static void open_mail(void)
{
	for (int i = 0; i < LIBC_MAIL; i++) {
		unsigned *p = __sync_lock_test_and_set(&libc_mail[i], 0);
		if (!p)
			continue;
		for (unsigned n = *p, j = 4; j < n; j++)
			record.damaged += ((unsigned char *)p)[j] != (n & 0xff);
		free(p);
		record.freed++;
	}
}

/* What a former owner's extension had allocated is gone. */
void init(const struct uls_event *event)
{
	(void)event;
	memset(own, 0, sizeof own);
}

void handler(const struct uls_event *event)
{
	int i = record.ticks % 4;

	if (event->value >= COUNTER_ADDRESS) {
		for (i = 0; i < 4; i++)
			free(own[i]);
		memset(own, 0, sizeof own);
		record.in_use = mallinfo().uordblks;
		*(struct libc_peer_record *)event->value = record;
		return;
	}
	open_mail();
	record.ticks++;
	record.without_break += sbrk(0) == 0;
	for (int j = 0; own[i] && j < 200; j++)
		record.damaged += own[i][j] != 0x5a;
	free(own[i]);
	own[i] = malloc(200);
	if (own[i])
		memset(own[i], 0x5a, 200);
}
