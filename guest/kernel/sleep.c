/* sleep.c - waiting for a wake-up or for a time. */
#include "task.h"

static struct task *sleepers;               /* sorted by wake_tick */

bool signal_waiting(const struct task *t) { return (t->work & WORK_SIGNAL) != 0; }

/* Interrupts are off from the caller's test to the switch: no wake-up is lost. */
void sleep_on(struct wait_queue *q)
{
	struct task *t = current, **end = &q->first;
	while (*end)
		end = &(*end)->next_waiting;
	*end = t;
	t->next_waiting = 0;
	t->waiting = q;
	t->state = TASK_SLEEPING;
	schedule();
	sleep_cancel(t);                        /* woken by a signal or the time: still on the queue */
}

static void set_timer(struct task *t, u32 tick)
{
	struct task **p = &sleepers;
	t->wake_tick = tick;
	while (*p && (s32)((*p)->wake_tick - tick) <= 0)
		p = &(*p)->next_sleep;
	t->next_sleep = *p;
	*p = t;
	t->timed = true;
}

void sleep_on_until(struct wait_queue *q, u32 tick)
{
	set_timer(current, tick);
	sleep_on(q);
}

void wake_all(struct wait_queue *q)
{
	u32 flags = irq_save();
	struct task *t = q->first;
	q->first = 0;
	while (t) {
		struct task *next = t->next_waiting;
		t->waiting = 0;
		wake_up(t);
		t = next;
	}
	irq_restore(flags);
}

void sleep_cancel(struct task *t)
{
	struct task **at = t->waiting ? &t->waiting->first : 0;
	while (at && *at && *at != t)
		at = &(*at)->next_waiting;
	if (at && *at)
		*at = t->next_waiting;
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
	struct task *t = current;
	set_timer(t, ticks + n);
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
