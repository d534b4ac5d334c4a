/*
 * sched.c - which task runs.
 *
 * One list per priority: 0 holds SCHED_OTHER (round robin among equals), 1..99 real time. The highest non-empty list
 * runs; a bitmap finds it. SCHED_RR and SCHED_OTHER rotate when their slice is used up, SCHED_FIFO does not.
 * Ring 0 is not preempted: a switch happens in schedule(), called by a task that blocks or on the way to ring 3.
 */
#include "io_ports.h"
#include "uls.h"

#define PRIORITIES 100

static struct task *queue_head[PRIORITIES], *queue_tail[PRIORITIES];
static u32 bitmap[(PRIORITIES + 31) / 32];
static struct task *idle;
u32 switch_count, bottom_half_pending;
struct task *task_list;

static void enqueue(struct task *t, bool at_head)
{
	u32 p = t->priority;
	t->queued = true;
	t->next_run = at_head ? queue_head[p] : 0;
	t->prev_run = at_head ? 0 : queue_tail[p];
	if (t->next_run)
		t->next_run->prev_run = t;
	else
		queue_tail[p] = t;
	if (t->prev_run)
		t->prev_run->next_run = t;
	else
		queue_head[p] = t;
	bitmap[p / 32] |= 1u << p % 32;
}

static void dequeue(struct task *t)
{
	u32 p = t->priority;
	if (t->prev_run)
		t->prev_run->next_run = t->next_run;
	else
		queue_head[p] = t->next_run;
	if (t->next_run)
		t->next_run->prev_run = t->prev_run;
	else
		queue_tail[p] = t->prev_run;
	t->queued = false;
	if (!queue_head[p])
		bitmap[p / 32] &= ~(1u << p % 32);
}

static struct task *pick(void)
{
	for (u32 i = ARRAY_SIZE(bitmap); i-- > 0;)
		if (bitmap[i])
			return queue_head[i * 32 + 31 - (u32)__builtin_clz(bitmap[i])];
	return idle;
}

/* Runnable tasks, the running one included, are on a list. The extension of a direct upcall is on none: it is not
 * scheduled, it runs as part of the task it interrupted - which is `running` here. */
static struct task *running(void) { return upcall_running ? upcall_caller : current; }

void wake_up(struct task *t)
{
	u32 flags = irq_save();
	if (t->state != TASK_ZOMBIE && !t->queued) {
		t->state = TASK_RUNNABLE;
		enqueue(t, false);
		struct task *r = running();
		if (r == idle || t->priority > r->priority)
			r->work |= WORK_RESCHED;
	} else if (t->state == TASK_SLEEPING) {
		t->state = TASK_RUNNABLE;       /* about to sleep, not yet off the queue */
	}
	irq_restore(flags);
}

void sched_remove(struct task *t)
{
	u32 flags = irq_save();
	if (t->queued)
		dequeue(t);
	irq_restore(flags);
}

/* The clock's view: one more tick for the running task's slice. */
void sched_tick(void)
{
	struct task *t = running();
	if (t == idle || !t->queued || t->policy == SCHED_FIFO)
		return;
	if (t->slice_left > 1) {
		t->slice_left--;
		return;
	}
	t->slice_left = t->slice;
	if (t->next_run) {
		dequeue(t);
		enqueue(t, false);
		t->work |= WORK_RESCHED;
	}
}

void sched_set(struct task *t, u32 policy, u32 priority)
{
	u32 flags = irq_save();
	bool queued = t->queued;
	if (queued)
		dequeue(t);
	t->policy = policy;
	t->priority = priority;
	if (queued)
		enqueue(t, false);
	running()->work |= WORK_RESCHED;
	irq_restore(flags);
}

void sched_yield(void)
{
	u32 flags = irq_save();
	struct task *t = current;
	if (t->queued) {
		dequeue(t);
		enqueue(t, false);
		schedule();
	}
	irq_restore(flags);
}

/*
 * Interrupts off. A task without an address space of its own (idle, an extension's thread) borrows the
 * page directory that is loaded: no CR3 write. The sandbox follows the task's flag: closed before the directory
 * changes (its TLB entry may be global and would survive), opened again in the new one.
 */
void schedule(void)
{
	struct task *prev = current;
	if (prev->ext && upcall_running == prev->ext) {         /* a direct upcall cannot be scheduled, it can only block */
		prev->work &= ~WORK_RESCHED;
		if (prev->state != TASK_RUNNABLE)
			upcall_block();
		return;
	}
	if (prev->ext && prev->state != TASK_RUNNABLE)
		extension_blocks(prev->ext);
	prev->work &= ~WORK_RESCHED;
	if (prev->state != TASK_RUNNABLE && prev->queued)
		dequeue(prev);
	struct task *next = pick();
	if (next == prev)
		return;

	u64 now = rdtsc();
	prev->cycles += now - prev->switched_in;
	next->switched_in = now;
	next->switches++;
	switch_count++;

	if (prev->flags & TASK_SANDBOX_OPEN)
		sandbox_close();
	if (next->mm && next->mm->pgd != loaded_pgd)
		load_page_directory(next->mm->pgd);
	if (next->flags & TASK_SANDBOX_OPEN)
		sandbox_open();
	fpu_switch(next);
	io_bitmap_switch(next);
	set_kernel_stack(next->esp0);
	switch_stack(&prev->esp, next->esp);
	if (prev->ext)                                          /* prev runs again */
		extension_resumes(prev->ext);
}

void sched_init(void)
{
	idle = current;
	memset(idle, 0, sizeof(*idle));
	copy_string(idle->name, "idle", sizeof(idle->name));
	idle->leader = idle;
	idle->esp0 = (u32)idle + STACK_SIZE;
	idle->switched_in = rdtsc();
}

void cpu_idle(void)
{
	for (;;) {
		cli();
		if (bottom_half_pending) {
			sti();
			run_bottom_halves();
		} else if (pick() != idle) {
			schedule();
		} else {
			sti_hlt();
		}
	}
}
