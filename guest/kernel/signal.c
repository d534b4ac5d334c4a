/* signal.c - raising signals, default actions, and choosing what to deliver on the way to ring 3. */
#include "uls.h"

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
	u32 h = t->leader->action[sig].handler;
	return h == SIG_IGN_ADDR || (h == SIG_DFL_ADDR && (BIT(sig) & IGNORED));
}

/* SIGCONT, whatever becomes of it after that. */
static void go_on(struct task *leader)
{
	for (struct task *t = next_thread(leader, 0); t; t = next_thread(leader, t)) {
		t->pending &= ~STOP_SIGNALS;
		t->stopping = false;
		recalc_signals(t);
		if (t->state == TASK_STOPPED)
			wake_up(t);
	}
}

s32 send_signal(struct task *t, u32 sig, s32 code, u32 value)
{
	if (sig >= ABI_NSIG)
		return -EINVAL;
	u32 flags = irq_save();
	if (sig && t->state != TASK_ZOMBIE) {
		if (sig == SIGCONT)
			go_on(t->leader);
		else if (BIT(sig) & STOP_SIGNALS)
			t->pending &= ~BIT(SIGCONT);
		if (t->state == TASK_STOPPED && sig == SIGKILL)
			wake_up(t);
		if (!ignored(t, sig) || (t->blocked & BIT(sig))) {
			t->pending |= BIT(sig);         /* one that is pending already is merged */
			t->info[sig].code = code;
			t->info[sig].value = value;
			t->info[sig].uid = code == SI_USER ? process()->uid : 0;
			recalc_signals(t);
			if (t->state == TASK_SLEEPING && (t->work & WORK_SIGNAL))
				wake_up(t);
		}
	}
	irq_restore(flags);
	return 0;
}

/* The leader if it can, another thread if it cannot. If all block it, it waits at one of them. */
s32 signal_process(struct task *leader, u32 sig, s32 code, u32 value)
{
	struct task *to = leader;
	if (sig < ABI_NSIG && (leader->threads > 1 || leader->state == TASK_ZOMBIE)) {
		to = next_thread(leader, 0);
		for (struct task *t = to; t; t = next_thread(leader, t))
			if (!(t->blocked & BIT(sig))) {
				to = t;
				break;
			}
	}
	return send_signal(to ? to : leader, sig, code, value);
}

/* Signals come to processes; only faults mean a thread, and those are never blocked. */
static void move_signals(struct task *from, struct task *to, u32 set)
{
	for (u32 sig = 1; sig < ABI_NSIG; sig++)
		if (set & BIT(sig))
			to->info[sig] = from->info[sig];
	from->pending &= ~set;
	to->pending |= set;
	recalc_signals(to);
}

void signals_take_over(struct task *t)
{
	if (t->leader->threads == 1)
		return;
	for (struct task *o = next_thread(t->leader, 0); o; o = next_thread(t->leader, o))
		if (o != t)
			move_signals(o, t, o->pending & o->blocked & ~t->blocked);
}

void signals_hand_over(struct task *t)
{
	for (u32 sig = 1; sig < ABI_NSIG; sig++)
		if (t->pending & BIT(sig) & ~UNBLOCKABLE)
			signal_process(t->leader, sig, t->info[sig].code, t->info[sig].value);
}

/* A fault must not be ignored or blocked: the instruction would fault for ever. */
void force_signal(u32 sig, s32 code, u32 address)
{
	struct task *t = current;
	struct kernel_sigaction *a = &t->leader->action[sig];
	if ((t->blocked & BIT(sig)) || a->handler == SIG_IGN_ADDR)
		a->handler = SIG_DFL_ADDR;
	t->blocked &= ~BIT(sig);
	send_signal(t, sig, code, address);
}

static void __attribute__((noreturn)) killed(struct pt_regs *regs, u32 sig)
{
	struct task *t = current;
	if (t->leader->exiting)                 /* it was told so by the thread that ended the process */
		group_exit(sig);
	printk("process %u %s: killed by signal %u, eip %08x", t->pid, t->name, sig, regs->eip);
	if (sig == SIGSEGV && t->trap == 14)
		printk(" #PF error=%x cr2=%08x", t->error, t->cr2);
	printk("\n");
	group_exit(sig);
}

/* The whole process stops: the first thread tells the others. */
static void stop(void)
{
	u32 flags = irq_save();
	struct task *leader = current->leader;
	if (!current->stopping && leader->threads > 1)
		for (struct task *t = next_thread(leader, 0); t; t = next_thread(leader, t))
			if (t != current && t->state != TASK_STOPPED) {
				t->stopping = true;
				send_signal(t, SIGSTOP, SI_KERNEL, 0);
			}
	current->stopping = false;
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
		struct kernel_sigaction *a = &t->leader->action[sig];
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
		if (setup_frame(regs, sig, old_mask) < 0)
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
