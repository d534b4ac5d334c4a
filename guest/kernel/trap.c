/* trap.c - exceptions to signals, interrupts to drivers, and the work done before returning to ring 3. */
#include "uls.h"

static const struct { const char *name; u8 signal; s32 code; } exceptions[20] = {
	[0]  = { "#DE", SIGFPE,  FPE_INTDIV },  [1]  = { "#DB", SIGTRAP, TRAP_TRACE }, [2]  = { "NMI", 0, 0 },
	[3]  = { "#BP", SIGTRAP, SI_KERNEL },   [4]  = { "#OF", SIGSEGV, SI_KERNEL },  [5]  = { "#BR", SIGSEGV, SI_KERNEL },
	[6]  = { "#UD", SIGILL,  ILL_ILLOPN },  [7]  = { "#NM", 0, 0 },                [8]  = { "#DF", 0, 0 },
	[9]  = { "#9",  SIGFPE,  SI_KERNEL },   [10] = { "#TS", SIGSEGV, SI_KERNEL },  [11] = { "#NP", SIGBUS, SI_KERNEL },
	[12] = { "#SS", SIGBUS,  SI_KERNEL },   [13] = { "#GP", SIGSEGV, SI_KERNEL },  [14] = { "#PF", SIGSEGV, 0 },
	[15] = { "#15", 0, 0 },                 [16] = { "#MF", SIGFPE,  FPE_FLTINV }, [17] = { "#AC", SIGBUS, SI_KERNEL },
	[18] = { "#MC", 0, 0 },                 [19] = { "#XF", SIGFPE,  FPE_FLTINV },
};

void handle_exception(struct pt_regs *regs)
{
	u32 vector = regs->vector;
	if (vector == 14) {
		page_fault(regs);
		return;
	}
	if (vector == 7 && user_mode(regs)) {
		fpu_not_available();
		return;
	}
	if (!user_mode(regs) || !exceptions[vector].signal)
		panic_regs(exceptions[vector].name, regs);
	if (regs->eflags & EFLAGS_IF)
		sti();
	if (current->ext)
		extension_abort(exceptions[vector].name, regs);
	current->trap = vector;
	current->error = regs->error;
	force_signal(exceptions[vector].signal, exceptions[vector].code, regs->eip);
}

void handle_irq(struct pt_regs *regs)
{
	u32 irq = regs->vector - VECTOR_IRQ;
	pic_eoi(irq);
	if (irq == 0)
		timer_interrupt(regs);
	else if (irq == 4)
		console_interrupt();
}

/*
 * The last stop before ring 3. Interrupts are off at entry and at exit, and each round looks again, because a bottom
 * half may have raised a signal or woken a task of higher priority.
 *
 * An extension inside a direct upcall is itself bottom-half work: it is neither preempted nor interrupted by other
 * upcalls. What came up meanwhile waits until the upcall is done.
 */
void exit_to_user(struct pt_regs *regs)
{
	for (;;) {
		struct task *t = current;
		cli();
		if (t->ext && t->state != TASK_RUNNABLE)        /* taken away: schedule() does not come back */
			schedule();
		if (t->ext && t->ext->over_budget)
			extension_abort("tick budget used up", regs);
		if (upcall_running && t == upcall_running->task)
			return;
		if (bottom_half_pending) {
			sti();
			run_bottom_halves();
		} else if (t->work & WORK_RESCHED) {
			schedule();
		} else if (t->work & WORK_SIGNAL) {
			sti();
			do_signal(regs);
		} else {
			t->work = 0;
			return;
		}
	}
}
