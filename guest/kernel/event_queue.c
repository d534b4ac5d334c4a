/*
 * event_queue.c - the events that wait for one extension, as POSIX.4 queues signals.
 *
 *   present   ...0010 0000 1000          bit p: there are events of priority p
 *   first[p] -> slot -> slot -> last[p]  FIFO within a priority; the highest bit is served first
 *   free     -> slot -> slot ...
 *
 * Nothing is merged, nothing is allocated, and every operation takes constant time: it runs in interrupts. The caller
 * has them off.
 */
#include "uls.h"

#define NONE 0xff

static u32 next_order;

void event_queue_clear(struct event_queue *q)
{
	q->count = q->present = 0;
	q->free = 0;
	for (u32 i = 0; i < ULS_QUEUE_LEN; i++)
		q->slot[i].next = i + 1 < ULS_QUEUE_LEN ? (u8)(i + 1) : NONE;
}

/* False: full. */
bool event_queue_put(struct event_queue *q, const struct uls_event *event, u32 priority)
{
	if (q->count == ULS_QUEUE_LEN)
		return false;
	u8 i = q->free;
	struct queued_event *e = &q->slot[i];
	q->free = e->next;
	e->event = *event;
	e->order = next_order++;
	e->next = NONE;
	if (q->present & 1u << priority)
		q->slot[q->last[priority]].next = i;
	else
		q->first[priority] = i;
	q->last[priority] = i;
	q->present |= 1u << priority;
	q->count++;
	return true;
}

static u32 highest(const struct event_queue *q) { return 31 - (u32)__builtin_clz(q->present); }

bool event_queue_take(struct event_queue *q, struct uls_event *event)
{
	if (!q->count)
		return false;
	u32 priority = highest(q);
	u8 i = q->first[priority];
	struct queued_event *e = &q->slot[i];
	*event = e->event;
	q->first[priority] = e->next;
	if (e->next == NONE)
		q->present &= ~(1u << priority);
	e->next = q->free;
	q->free = i;
	q->count--;
	return true;
}

u32 event_queue_order(const struct event_queue *q) { return q->slot[q->first[highest(q)]].order; }
