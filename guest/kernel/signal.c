/* signal.c - raising signals, default actions, and choosing what to deliver on the way to ring 3. */
#include "task.h"

#define BIT(sig)     (1u << (sig))
#define STOP_SIGNALS (BIT(SIGSTOP) | BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU))
#define IGNORED      (BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGURG) | BIT(SIGWINCH))
#define UNBLOCKABLE  (BIT(SIGKILL) | BIT(SIGSTOP))

void recalc_signals(struct task *t)
{
	u32 flags = irq_save();
	t->blocked &= ~UNBLOCKABLE;
	if (t->pending & ~t->blocked)
		t->work |= WORK_SIGNAL;
	else
		t->work &= ~WORK_SIGNAL;
	irq_restore(flags);
}

static bool ignored(struct task *t, u32 sig)
{
	u32 h = t->action[sig].handler;
	return h == SIG_IGN_ADDR || (h == SIG_DFL_ADDR && (BIT(sig) & IGNORED));
}

s32 send_signal(struct task *t, u32 sig, s32 code, u32 value)
{
	if (sig >= ABI_NSIG)
		return -EINVAL;
	u32 flags = irq_save();
	if (sig && t->state != TASK_ZOMBIE) {
		if (sig == SIGCONT)
			t->pending &= ~STOP_SIGNALS;
		else if (BIT(sig) & STOP_SIGNALS)
			t->pending &= ~BIT(SIGCONT);
		if (t->state == TASK_STOPPED && (sig == SIGCONT || sig == SIGKILL))
			wake_up(t);
		if (!ignored(t, sig) || (t->blocked & BIT(sig))) {
			t->pending |= BIT(sig);         /* one that is pending already is merged */
			t->info[sig].code = code;
			t->info[sig].value = value;
			recalc_signals(t);
			if (t->state == TASK_SLEEPING && (t->work & WORK_SIGNAL))
				wake_up(t);
		}
	}
	irq_restore(flags);
	return 0;
}

/* A fault must not be ignored or blocked: the instruction would fault for ever. */
void force_signal(u32 sig, s32 code, u32 address)
{
	struct task *t = current;
	if ((t->blocked & BIT(sig)) || t->action[sig].handler == SIG_IGN_ADDR)
		t->action[sig].handler = SIG_DFL_ADDR;
	t->blocked &= ~BIT(sig);
	send_signal(t, sig, code, address);
}

static void __attribute__((noreturn)) killed(struct pt_regs *regs, u32 sig)
{
	struct task *t = current;
	printk("process %u %s: killed by signal %u, eip %08x", t->pid, t->name, sig, regs->eip);
	if (sig == SIGSEGV && t->trap == 14)
		printk(" #PF error=%x cr2=%08x", t->error, t->cr2);
	printk("\n");
	do_exit(sig);
}

static void stop(void)
{
	u32 flags = irq_save();
	current->state = TASK_STOPPED;
	schedule();
	irq_restore(flags);
}

static bool interrupted_call(const struct pt_regs *regs)
{
	return (regs->vector == VECTOR_SYSCALL || regs->vector == VECTOR_SYSENTER) && (s32)regs->eax == -ERESTARTSYS;
}

/* INT 0x80 and SYSENTER are both two bytes long. */
static void restart(struct pt_regs *regs)
{
	regs->eax = regs->error;
	regs->eip -= 2;
}

void do_signal(struct pt_regs *regs)
{
	struct task *t = current;
	for (;;) {
		u32 ready = t->pending & ~t->blocked;
		if (!ready)
			break;
		u32 sig = ready & BIT(SIGKILL) ? SIGKILL : (u32)__builtin_ctz(ready);
		t->pending &= ~BIT(sig);
		recalc_signals(t);
		struct kernel_sigaction *a = &t->action[sig];
		if (ignored(t, sig))
			continue;
		if (a->handler == SIG_DFL_ADDR) {
			if (!(BIT(sig) & STOP_SIGNALS))
				killed(regs, sig);
			stop();
			continue;
		}

		if (interrupted_call(regs)) {
			if (a->flags & SA_RESTART)
				restart(regs);
			else
				regs->eax = (u32)-EINTR;
		}
		u32 old_mask = t->restore_blocked ? t->saved_blocked : t->blocked;
		t->restore_blocked = false;
		if (setup_frame(regs, sig, old_mask, t->info[sig].code, t->info[sig].value) < 0)
			killed(regs, SIGSEGV);
		t->blocked |= a->mask[0] << 1 | (a->flags & SA_NODEFER ? 0 : BIT(sig));
		if (a->flags & SA_RESETHAND)
			a->handler = SIG_DFL_ADDR;
		recalc_signals(t);
		return;
	}
	if (interrupted_call(regs))
		restart(regs);
	if (t->restore_blocked) {
		t->restore_blocked = false;
		t->blocked = t->saved_blocked;
		recalc_signals(t);
	}
}
