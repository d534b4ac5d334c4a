/* sleep.c - waiting for a wake-up or for a time. */
#include "task.h"

static struct task *sleepers;               /* sorted by wake_tick */

bool signal_waiting(const struct task *t) { return (t->work & WORK_SIGNAL) != 0; }

/* Interrupts are off from the caller's test to the switch: no wake-up is lost. */
void sleep_on(struct wait_queue *q)
{
	struct task *t = current;
	ASSERT(q->count < ARRAY_SIZE(q->waiter));
	q->waiter[q->count++] = t;
	t->waiting = q;
	t->state = TASK_SLEEPING;
	schedule();
	sleep_cancel(t);                        /* woken by a signal: still on the queue */
}

void wake_all(struct wait_queue *q)
{
	u32 flags = irq_save(), n = q->count;
	q->count = 0;
	for (u32 i = 0; i < n; i++)
		wake_up(q->waiter[i]);
	irq_restore(flags);
}

void sleep_cancel(struct task *t)
{
	struct wait_queue *q = t->waiting;
	for (u32 i = 0; q && i < q->count; i++)
		if (q->waiter[i] == t)
			q->waiter[i--] = q->waiter[--q->count];
	t->waiting = 0;
	for (struct task **p = &sleepers; t->timed && *p; p = &(*p)->next_sleep)
		if (*p == t) {
			*p = t->next_sleep;
			break;
		}
	t->timed = false;
}

s32 sleep_ticks(u32 n)
{
	u32 flags = irq_save();
	struct task *t = current, **p = &sleepers;
	t->wake_tick = ticks + n;
	while (*p && (s32)((*p)->wake_tick - t->wake_tick) <= 0)
		p = &(*p)->next_sleep;
	t->next_sleep = *p;
	*p = t;
	t->timed = true;
	t->state = TASK_SLEEPING;
	while (t->timed && !signal_waiting(t)) {
		t->state = TASK_SLEEPING;
		schedule();
	}
	t->state = TASK_RUNNABLE;
	sleep_cancel(t);
	s32 left = (s32)(t->wake_tick - ticks);
	irq_restore(flags);
	return left > 0 ? left : 0;
}

void sleep_tick(void)
{
	while (sleepers && (s32)(ticks - sleepers->wake_tick) >= 0) {
		struct task *t = sleepers;
		sleepers = t->next_sleep;
		t->timed = false;
		wake_up(t);
	}
}
