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
 * whatever page directory is loaded and runs with the sandbox open. In threaded mode it is one from the start
 * (extension_thread.c).
 *
 * Nested: an upcall is not interrupted by another. Events that come meanwhile, for the running extension or for another,
 * wait in their queues until it returns or blocks.
 */
#include "io_ports.h"
#include "uls.h"

struct extension *upcall_running;
struct task *upcall_caller;

/*
 * The stack a handler starts on. ESP + 4 is a multiple of 16, as after a call in the System V ABI.
 *      ESP -> return stub | event pointer | 12 bytes unused | struct uls_event | 8 bytes unused
 */
struct first_frame { u32 return_stub, event_pointer, unused[3]; struct uls_event event; u32 tail[2]; };

/* The stack for a handler -> its ESP. The sandbox is mapped everywhere: no copy through the direct map. */
u32 upcall_prepare(struct extension *x, const struct uls_event *event)
{
	struct first_frame *frame = (struct first_frame *)(x->stack_base + x->stack_size) - 1;
	frame->return_stub = sandbox_return_stub;
	frame->event_pointer = (u32)&frame->event;
	frame->event = *event;
	x->used = 0;
	x->over_budget = false;
	return (u32)frame;
}

int __attribute__((noinline)) upcall(struct extension *x, const struct uls_event *event)
{
	struct task *caller = current;
	u32 esp = upcall_prepare(x, event);

	u32 flags = irq_save();
	x->state = ULS_STATE_RUNNING;
	x->task->state = TASK_RUNNABLE;
	upcall_running = x;
	upcall_caller = caller;
	set_kernel_stack(x->task->esp0);
	fpu_switch(x->task);
	io_bitmap_switch(x->task);
	int status = upcall_enter(&caller->esp, event->source == ULS_SOURCE_INIT ? x->init : x->entry, esp,
				  options.entry == ULS_ENTRY_SYSEXIT);
	io_bitmap_switch(caller);
	fpu_switch(caller);
	set_kernel_stack(caller->esp0);
	upcall_running = 0;
	irq_restore(flags);
	return status;
}

static bool next_event(struct extension *x, struct uls_event *event)
{
	u32 flags = irq_save();
	bool some = x->mode == ULS_MODE_DIRECT && x->state == ULS_STATE_IDLE && event_queue_take(&x->queue, event);
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

/* Among extensions: in the order in which what is next in each queue was raised. */
static struct extension *first_raised(void)
{
	struct extension *first = 0;
	for (u32 i = 0; i < extension_count; i++) {
		struct extension *x = &extension[i];
		if (x->queue.count && x->state == ULS_STATE_IDLE && x->mode == ULS_MODE_DIRECT && x->task != current &&
		    (!first || (s32)(event_queue_order(&x->queue) - event_queue_order(&first->queue)) < 0))
			first = x;
	}
	return first;
}

/* Direct upcalls for what is queued. Threaded extensions are the scheduler's. */
void run_bottom_halves(void)
{
	for (;;) {
		struct uls_event event;
		u32 flags = irq_save();
		struct extension *x = first_raised();
		if (x)
			event_queue_take(&x->queue, &event);
		else
			bottom_half_pending = 0;        /* raised again by the next event, or when a blocked handler is done */
		irq_restore(flags);
		if (!x)
			return;
		deliver(x, &event);
	}
}

/* schedule(), interrupts off: the handler of a direct upcall wants to sleep. Returns when it is scheduled again. */
void upcall_block(void)
{
	struct extension *x = upcall_running;
	extension_blocks(x);
	x->task->policy = x->owner->policy;
	x->task->priority = x->owner->priority;
	upcall_detach(&x->task->esp, upcall_caller->esp, UPCALL_BLOCKED);
}

/* The handler is done, dead or taken away. A direct upcall returns to the interrupted task; a thread takes the next
 * event or sleeps until one starts it from the top of its kernel stack. */
void upcall_leave(struct extension *x, u32 state, int status)
{
	cli();
	x->state = state;
	if (upcall_running == x)
		upcall_resume(upcall_caller->esp, status);
	extension_thread_next();
}

s32 sys_uls_return(void);
s32 sys_uls_return(void)
{
	struct extension *x = current->ext;
	if (!x)
		return -ENOSYS;
	x->info.delivered++;
	upcall_leave(x, ULS_STATE_IDLE, UPCALL_DONE);
}

/* Ring 3 of the extension ends here, wherever it is; ring 0 is never cut short, so no lock and no half-done work of the
 * kernel stays behind. */
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
	cli();
	x->info.faulted++;
	if (x->over_budget)
		x->info.over_budget++;
	x->info.dropped += x->queue.count;
	event_queue_clear(&x->queue);
	sources_clear(x);
	fpu_forget(current);
	current->flags &= ~TASK_USED_FPU;
	upcall_leave(x, ULS_STATE_FAULTED, UPCALL_FAULTED);
}
