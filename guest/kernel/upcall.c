/*
 * upcall.c - delivering an event to an extension, on whatever address space is loaded.
 *
 *   interrupted task (its page directory stays)            extension's thread
 *   -----------------------------------------------        -----------------------------------------
 *   interrupt, or SYS_uls_post
 *     ... frame on its kernel stack ...
 *   run_bottom_halves()
 *     deliver()
 *       sandbox_open()            U/S in the PDE, invalidate
 *       upcall()
 *         event -> extension's user stack
 *         TSS.esp0 = extension's kernel stack              (SYSENTER takes its stack from there, too)
 *         upcall_enter()          STI; SYSEXIT  -------->  handler(event), ring 3
 *                                                          its system calls use its own kernel stack
 *         returns  <------------- upcall_resume() <------  return stub: SYSENTER, EAX = SYS_uls_return
 *         TSS.esp0 = task's kernel stack
 *       [another event queued for it: upcall() again, still open]
 *       sandbox_close()           U/S in the PDE, invalidate
 *   ret_to_user: IRET             SYSEXIT would destroy ECX and EDX of the interrupted code
 *
 * No scheduling, no CR3 write (with flush=invlpg). A handler that blocks is detached (upcall_block): upcall_enter()
 * returns UPCALL_BLOCKED to the interrupted task, and the extension's thread becomes an ordinary task that borrows
 * whatever page directory is loaded and runs with the sandbox open.
 */
#include "uls.h"

struct extension *upcall_running;
struct task *upcall_caller;

/*
 * The stack a handler starts on. ESP + 4 is a multiple of 16, as after a call in the System V ABI.
 *      ESP -> return stub | event pointer | 12 bytes unused | struct uls_event | 8 bytes unused
 */
struct first_frame { u32 return_stub, event_pointer, unused[3]; struct uls_event event; u32 tail[2]; };

int __attribute__((noinline)) upcall(struct extension *x, const struct uls_event *event)
{
	struct task *caller = current;
	struct first_frame *frame = (struct first_frame *)(x->stack_base + x->stack_size) - 1;
	frame->return_stub = sandbox_return_stub;       /* the sandbox is mapped everywhere: no copy through the direct map */
	frame->event_pointer = (u32)&frame->event;
	frame->event = *event;

	u32 flags = irq_save();
	x->state = ULS_STATE_RUNNING;
	x->task->state = TASK_RUNNABLE;
	x->used = 0;
	x->over_budget = false;
	upcall_running = x;
	upcall_caller = caller;
	set_kernel_stack(x->task->esp0);
	fpu_switch(x->task);
	int status = upcall_enter(&caller->esp, event->source == ULS_SOURCE_INIT ? x->init : x->entry, (u32)frame,
				  options.entry == ULS_ENTRY_SYSEXIT);
	fpu_switch(caller);
	set_kernel_stack(caller->esp0);
	upcall_running = 0;
	irq_restore(flags);
	return status;
}

static bool next_event(struct extension *x, struct uls_event *event)
{
	u32 flags = irq_save();
	bool some = x->count != 0;
	if (some) {
		*event = x->queue[x->head].event;
		x->head = (x->head + 1) % ULS_QUEUE_LEN;
		x->count--;
	}
	irq_restore(flags);
	return some;
}

/* One event, and what was queued for the same extension while its handler ran. */
int deliver(struct extension *x, const struct uls_event *event)
{
	struct uls_event next = *event;
	bool was_open = current->flags & TASK_SANDBOX_OPEN;
	u32 switches = switch_count, writes = cr3_write_count;
	int status;
	x->info.last_cr3 = physical(loaded_pgd);
	x->info.last_pid = current->pid;

	if (!was_open)
		sandbox_open();
	do
		status = upcall(x, &next);
	while (status == UPCALL_DONE && next_event(x, &next));
	if (!was_open)
		sandbox_close();

	x->info.last_switches = switch_count - switches;
	x->info.last_cr3_writes = cr3_write_count - writes;
	return status;
}

/* Events of all extensions in the order in which they were raised. */
void run_bottom_halves(void)
{
	for (;;) {
		struct extension *first = 0;
		struct uls_event event;
		u32 flags = irq_save();
		for (u32 i = 0; i < extension_count; i++) {
			struct extension *x = &extension[i];
			if (x->count && x->state == ULS_STATE_IDLE &&
			    (!first || (s32)(x->queue[x->head].order - first->queue[first->head].order) < 0))
				first = x;
		}
		if (!first)
			bottom_half_pending = 0;        /* raised again by the next event, or when a blocked handler is done */
		irq_restore(flags);
		if (!first)
			return;
		next_event(first, &event);
		deliver(first, &event);
	}
}

/* schedule(), interrupts off: the handler of a direct upcall wants to sleep. Returns when it is scheduled again. */
void upcall_block(void)
{
	struct extension *x = upcall_running;
	x->state = ULS_STATE_BLOCKED;
	x->info.blocked++;
	x->task->policy = x->owner->policy;
	x->task->priority = x->owner->priority;
	upcall_detach(&x->task->esp, upcall_caller->esp, UPCALL_BLOCKED);
}

/* The handler is done or dead. A direct upcall returns to the interrupted task; a detached thread goes to sleep until
 * the next upcall starts it from the top of its kernel stack. */
static void __attribute__((noreturn)) leave(struct extension *x, u32 state, int status)
{
	cli();
	x->state = state;
	if (upcall_running == x)
		upcall_resume(upcall_caller->esp, status);
	if (x->count)
		bottom_half_pending = 1;
	current->state = TASK_SLEEPING;
	schedule();
	panic("a finished extension runs");
}

s32 sys_uls_return(void);
s32 sys_uls_return(void)
{
	struct extension *x = current->ext;
	if (!x)
		return -ENOSYS;
	x->info.delivered++;
	leave(x, ULS_STATE_IDLE, UPCALL_DONE);
}

void extension_abort(const char *why, const struct pt_regs *regs)
{
	struct extension *x = current->ext;
	if (regs) {
		printk("extension %s: %s error=%x cr2=%08x eip=%08x aborted\n", x->name, why, regs->error, current->cr2,
		       regs->eip);
		x->info.last_eip = regs->eip;
		x->info.last_cr2 = current->cr2;
		x->info.last_error = regs->error;
		x->info.last_trap = regs->vector;
	} else {
		printk("extension %s: %s, aborted\n", x->name, why);
	}
	x->info.faulted++;
	x->count = 0;
	x->period = 0;
	fpu_forget(current);
	current->flags &= ~TASK_USED_FPU;
	leave(x, ULS_STATE_FAULTED, UPCALL_FAULTED);
}
