/*
 * extension_thread.c - extensions as schedulable threads.
 *
 *   ULS_MODE_THREADED                                 kernel stack of the thread
 *
 *   event raised ---> extension_thread_start()        esp0 -> +----------------------+
 *                       |  run queue, the owner's             | pt_regs, next entry  |
 *                       v  class and priority                 +----------------------+ <- begins here
 *                     begin(): take an event, ring 3 ------>  | begin()              |
 *                       ^                                     +----------------------+
 *                       |        SYS_uls_return
 *   another event ------+--- extension_thread_next() <----- handler
 *   none: sleeps until it is started again, from the top
 *
 * The thread has no address space. It runs on the page directory that happens to be loaded, with the sandbox open in
 * that one (schedule() sees to it), and after it has blocked on whichever is loaded then. No CR3 write is needed for it.
 * A handler that began as a direct upcall and blocked is such a thread until it ends.
 */
#include "uls.h"

/* The thread structure and kernel stack; made at the first registration and kept. */
struct task *extension_thread(struct extension *x)
{
	if (!x->task) {
		x->task = task_create(x->name);
		x->task->ext = x;
		x->task->flags = TASK_SANDBOX_OPEN;
	}
	return x->task;
}

/* First thing on a fresh stack, interrupts off. */
static void __attribute__((noreturn)) begin(void)
{
	struct task *t = current;
	struct extension *x = t->ext;
	struct uls_event event;
	exit_to_user(task_regs(t));             /* what every way to ring 3 does first; it may switch away for a while */
	x->started = false;
	if (x->mode != ULS_MODE_THREADED || !event_queue_take(&x->queue, &event))
		extension_thread_next();        /* an upcall in between has made it direct */
	x->info.last_cr3 = physical(loaded_pgd);
	x->info.last_pid = 0;
	u32 esp = upcall_prepare(x, &event);
	x->state = ULS_STATE_RUNNING;
	upcall_enter(&t->esp, x->entry, esp, options.entry == ULS_ENTRY_SYSEXIT);
	panic("a thread came back");            /* its system calls start at the top of this stack */
}

/* pt_regs and some words below it are the frame of the next kernel entry and what begin() gives to exit_to_user(). */
static u32 *stack_top(struct task *t) { return (u32 *)task_regs(t) - 1; }

/* Interrupts off; x is idle, threaded, and has an event. */
void extension_thread_start(struct extension *x)
{
	struct task *t = x->task;
	u32 *frame = stack_top(t) - 7;          /* a switch frame (switch.S) */
	memset(task_regs(t), 0, sizeof(struct pt_regs));
	memset(frame, 0, 6 * sizeof(*frame));
	frame[6] = (u32)begin;
	t->esp = (u32)frame;
	t->work = 0;
	t->policy = x->owner->policy;
	t->priority = x->owner->priority;
	x->started = true;
	wake_up(t);
}

/* Interrupts off, on the thread's own stack, its handler over: the next event, or sleep. */
void extension_thread_next(void)
{
	struct task *t = current;
	struct extension *x = t->ext;
	if (x->state == ULS_STATE_IDLE && x->queue.count && x->mode == ULS_MODE_THREADED) {
		x->started = true;
		memset(task_regs(t), 0, sizeof(struct pt_regs));
		asm volatile("movl %0, %%esp\n\tjmp *%1" : : "r"(stack_top(t)), "r"(begin) : "memory");
		__builtin_unreachable();
	}
	if (x->queue.count)
		bottom_half_pending = 1;
	t->state = TASK_SLEEPING;
	schedule();
	panic("a finished extension runs");
}

/* Interrupts off. What the thread was doing in ring 0 it will never finish: it was asleep or between two instructions
 * of ring 3, and extension_abandon() gives back what it held. If it is the task that a direct upcall has interrupted, it
 * still has to get from there to exit_to_user(), and no farther. Not for the task that is running. */
void extension_thread_stop(struct extension *x)
{
	struct task *t = x->task;
	if (!t || t == current)
		return;
	sleep_cancel(t);
	sched_remove(t);
	t->state = TASK_SLEEPING;
	t->work |= WORK_RESCHED;
}

/* The owner's class or priority has changed. */
void extension_thread_follow(struct task *owner)
{
	for (u32 i = 0; i < extension_count; i++)
		if (extension[i].owner == owner && extension[i].task)
			sched_set(extension[i].task, owner->policy, owner->priority);
}

/* schedule(), interrupts off: the handler of x waits in a system call ... */
void extension_blocks(struct extension *x)
{
	if (!handling(x))
		return;
	x->state = ULS_STATE_BLOCKED;
	x->info.blocked++;
}

/* ... and goes on, with what is loaded now. */
void extension_resumes(struct extension *x)
{
	if (!handling(x))
		return;
	x->info.last_cr3 = physical(loaded_pgd);
	if (x->mode == ULS_MODE_THREADED)
		x->state = ULS_STATE_RUNNING;
}
