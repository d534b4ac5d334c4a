/* sys_signal.c - signal system calls. User masks count signal 1 as bit 0, the kernel's as bit 1. */
#include "uls.h"

s32 sys_pause(void);
s32 sys_kill(s32 pid, u32 sig);
s32 sys_sigaction(u32 sig, u32 new, u32 old);
s32 sys_rt_sigaction(u32 sig, u32 new, u32 old, u32 size);
s32 sys_sigprocmask(u32 how, u32 new, u32 old);
s32 sys_rt_sigprocmask(u32 how, u32 new, u32 old, u32 size);
s32 sys_sigsuspend(u32 unused1, u32 unused2, u32 mask);
s32 sys_rt_sigsuspend(u32 mask, u32 size);

static void wait_for_signal(void)
{
	u32 flags = irq_save();
	struct wait_queue nobody = { 0 };
	while (!signal_waiting(current))
		sleep_on(&nobody);
	irq_restore(flags);
}

s32 sys_pause(void)
{
	if (current->ext)                       /* extensions receive events, not signals */
		return -ENOSYS;
	wait_for_signal();
	return -EINTR;
}

s32 sys_kill(s32 pid, u32 sig)
{
	struct task *t = pid > 0 ? find_task((u32)pid) : 0;
	struct task *sender = process();
	if (!t)
		return -ESRCH;
	if (sender->uid != 0 && sender->uid != t->leader->uid)
		return -EPERM;
	return signal_process(t->leader, sig, SI_USER, sender->pid);
}

static s32 set_action(u32 sig, const struct kernel_sigaction *new)
{
	struct task *t = current;
	if (!new)
		return 0;
	if (sig == SIGKILL || sig == SIGSTOP)
		return -EINVAL;
	t->leader->action[sig] = *new;
	if (new->handler != SIG_IGN_ADDR)
		return 0;
	for (t = next_thread(t->leader, 0); t; t = next_thread(t->leader, t)) {
		t->pending &= ~(1u << sig);     /* what is pending is dropped */
		recalc_signals(t);
	}
	return 0;
}

s32 sys_sigaction(u32 sig, u32 new, u32 old)
{
	struct old_sigaction from;
	if (sig < 1 || sig >= ABI_NSIG || current->ext)
		return -EINVAL;
	struct kernel_sigaction was = current->leader->action[sig], to;
	if (new) {
		if (copy_from_user(&from, new, sizeof(from)) < 0)
			return -EFAULT;
		to = (struct kernel_sigaction){ from.handler, from.flags, from.restorer, { from.mask, 0 } };
	}
	s32 result = set_action(sig, new ? &to : 0);
	from = (struct old_sigaction){ was.handler, was.mask[0], was.flags, was.restorer };
	return result == 0 && old ? copy_to_user(old, &from, sizeof(from)) : result;
}

s32 sys_rt_sigaction(u32 sig, u32 new, u32 old, u32 size)
{
	struct kernel_sigaction to;
	if (sig < 1 || sig >= ABI_NSIG || size != 8 || current->ext)
		return -EINVAL;
	struct kernel_sigaction was = current->leader->action[sig];
	if (new && copy_from_user(&to, new, sizeof(to)) < 0)
		return -EFAULT;
	s32 result = set_action(sig, new ? &to : 0);
	return result == 0 && old ? copy_to_user(old, &was, sizeof(was)) : result;
}

static s32 change_mask(u32 how, u32 new, u32 old, u32 size)
{
	struct task *t = current;
	u32 was[2] = { t->blocked >> 1, 0 }, set[2] = { 0, 0 };
	if (t->ext)
		return -EINVAL;
	if (new) {
		if (copy_from_user(set, new, size) < 0)
			return -EFAULT;
		if (how > SIG_SETMASK)
			return -EINVAL;
		u32 bits = set[0] << 1;
		t->blocked = how == SIG_BLOCK ? t->blocked | bits : how == SIG_UNBLOCK ? t->blocked & ~bits : bits;
		recalc_signals(t);
		signals_take_over(t);
	}
	return old ? copy_to_user(old, was, size) : 0;
}

s32 sys_sigprocmask(u32 how, u32 new, u32 old) { return change_mask(how, new, old, 4); }

s32 sys_rt_sigprocmask(u32 how, u32 new, u32 old, u32 size)
{
	return size == 8 ? change_mask(how, new, old, 8) : -EINVAL;
}

/* The old mask comes back when the handler's frame is built (it is the one saved there) or if none runs. */
static s32 suspend(u32 mask)
{
	struct task *t = current;
	t->saved_blocked = t->blocked;
	t->restore_blocked = true;
	t->blocked = mask << 1;
	recalc_signals(t);
	signals_take_over(t);
	wait_for_signal();
	return -EINTR;
}

s32 sys_sigsuspend(u32 unused1, u32 unused2, u32 mask)
{
	(void)unused1;
	(void)unused2;
	return current->ext ? -ENOSYS : suspend(mask);
}

s32 sys_rt_sigsuspend(u32 mask, u32 size)
{
	u32 set[2];
	if (size != 8 || current->ext)
		return -EINVAL;
	return copy_from_user(set, mask, 8) < 0 ? -EFAULT : suspend(set[0]);
}
