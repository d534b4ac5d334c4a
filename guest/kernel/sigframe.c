/*
 * sigframe.c - the signal frame on the user stack (drawn in abi.h) and its way back, as Linux 2.4 does it.
 *
 * The whole interrupted context travels through user memory, the FPU state included if there is one: 112 bytes of
 * FSAVE format, converted, and the 512 bytes of FXSAVE. That is a large part of what a signal costs.
 * User masks count signal 1 as bit 0; the kernel's count it as bit 1.
 */
#include "task.h"

#define USER_FLAGS 0x00040dd5u          /* AC OF DF TF SF ZF AF PF CF */

/* FXSAVE keeps one bit per register (1 = not empty), FSAVE two: 0 valid, 1 zero, 2 special, 3 empty. */
static u32 full_tag(const struct fxsave *f)
{
	u32 tag = 0, top = f->sw >> 11 & 7;
	for (u32 i = 0; i < 8; i++) {
		u32 t = 3;
		if (f->tag >> i & 1) {
			const u16 *r = (const u16 *)f->st[(i - top) & 7];
			u32 exponent = r[4] & 0x7fff;
			bool zero = !(r[0] | r[1] | r[2] | r[3]);
			t = exponent == 0x7fff ? 2 : exponent == 0 ? (zero ? 1 : 2) : (r[3] & 0x8000 ? 0 : 2);
		}
		tag |= t << i * 2;
	}
	return tag | 0xffff0000;
}

static s32 save_fpu(u32 to)
{
	struct task *t = current;
	struct fpstate s;
	fpu_save(t);
	const struct fxsave *f = &t->fpu;
	s.cw = f->cw | 0xffff0000;
	s.sw = f->sw | 0xffff0000;
	s.tag = full_tag(f);
	s.ipoff = f->ip;
	s.cssel = (f->cs & 0xffff) | (u32)f->op << 16;
	s.dataoff = f->dp;
	s.datasel = f->ds;
	for (u32 i = 0; i < 8; i++)
		memcpy(&s.st[i], f->st[i], 10);
	s.status = f->sw;
	s.magic = 0;
	memcpy(s.fxsave, f, 512);
	return copy_to_user(to, &s, sizeof(s));
}

/* The FXSAVE image is what counts on the way back. Reserved MXCSR bits would make FXRSTOR fault. */
static s32 restore_fpu(u32 from)
{
	struct task *t = current;
	fpu_forget(t);
	if (copy_from_user(&t->fpu, from + offsetof(struct fpstate, fxsave), 512) < 0)
		return -EFAULT;
	t->fpu.mxcsr &= 0xffbf;
	t->flags |= TASK_USED_FPU;
	return 0;
}

static void fill_sigcontext(struct sigcontext *sc, const struct pt_regs *r, u32 old_mask, u32 fpstate)
{
	struct task *t = current;
	memset(sc, 0, sizeof(*sc));
	asm volatile("movw %%gs, %0" : "=r"(sc->gs));
	asm volatile("movw %%fs, %0" : "=r"(sc->fs));
	sc->es = (u16)r->es;
	sc->ds = (u16)r->ds;
	sc->edi = r->edi;
	sc->esi = r->esi;
	sc->ebp = r->ebp;
	sc->esp = sc->esp_at_signal = r->esp;
	sc->ebx = r->ebx;
	sc->edx = r->edx;
	sc->ecx = r->ecx;
	sc->eax = r->eax;
	sc->trapno = t->trap;
	sc->err = t->error;
	sc->eip = r->eip;
	sc->cs = (u16)r->cs;
	sc->eflags = r->eflags;
	sc->ss = (u16)r->ss;
	sc->fpstate = (void *)fpstate;
	sc->oldmask = old_mask >> 1;
	sc->cr2 = t->cr2;
}

/* popl %eax; movl $nr, %eax; int $0x80   -   the rt variant has no popl */
static const u8 retcode[8]    = { 0x58, 0xb8, SYS_sigreturn, 0, 0, 0, 0xcd, 0x80 };
static const u8 rt_retcode[8] = { 0xb8, SYS_rt_sigreturn, 0, 0, 0, 0xcd, 0x80, 0x90 };

#define PUT(type, field, value) \
	(copy_to_user(frame + offsetof(type, field), &(value), sizeof(value)))

s32 setup_frame(struct pt_regs *regs, u32 sig, u32 old_mask)
{
	struct task *t = current;
	struct kernel_sigaction *a = &t->leader->action[sig];
	bool rt = a->flags & SA_SIGINFO, fpu = t->flags & TASK_USED_FPU;
	u32 frame = ALIGN_DOWN(regs->esp - (rt ? sizeof(struct rt_sigframe) : sizeof(struct sigframe)), 8);
	u32 fpstate = frame + (rt ? offsetof(struct rt_sigframe, fpstate) : offsetof(struct sigframe, fpstate));
	u32 code_at = frame + (rt ? offsetof(struct rt_sigframe, retcode) : offsetof(struct sigframe, retcode));
	u32 head[4] = { a->flags & SA_RESTORER ? a->restorer : code_at, sig,
			frame + offsetof(struct rt_sigframe, info), frame + offsetof(struct rt_sigframe, uc) };
	s32 bad = copy_to_user(frame, head, rt ? 16 : 8);

	if (rt) {
		struct abi_siginfo info;
		struct abi_ucontext uc;
		memset(&info, 0, sizeof(info));
		memset(&uc, 0, sizeof(uc));
		info.si_signo = (s32)sig;
		info.si_code = t->info[sig].code;
		info.si_addr = t->info[sig].value;  /* the same place as si_pid */
		info.si_uid = (s32)t->info[sig].uid;
		fill_sigcontext(&uc.mcontext, regs, old_mask, fpu ? fpstate : 0);
		uc.sigmask[0] = old_mask >> 1;
		bad |= PUT(struct rt_sigframe, info, info);
		bad |= PUT(struct rt_sigframe, uc, uc);
	} else {
		struct sigcontext sc;
		u32 extra = 0;
		fill_sigcontext(&sc, regs, old_mask, fpu ? fpstate : 0);
		bad |= PUT(struct sigframe, sc, sc);
		bad |= PUT(struct sigframe, extramask, extra);
	}
	if (fpu)
		bad |= save_fpu(fpstate);
	bad |= copy_to_user(code_at, rt ? rt_retcode : retcode, 8);
	if (bad)
		return -EFAULT;

	regs->esp = frame;
	regs->eip = a->handler;
	regs->eax = sig;
	regs->ds = regs->es = regs->ss = SEL_USER_DS;
	regs->cs = SEL_USER_CS;
	regs->eflags &= ~EFLAGS_TF;
	regs->vector = 0;                           /* no longer a system call: nothing to restart */
	return 0;
}

/* User memory may say anything. Let through only selectors that ring 3 could have loaded itself. */
static u32 user_selector(u32 s)
{
	return s <= 3 || (s & ~3u) == (SEL_USER_DS & ~3u) || (s & ~3u) == (SEL_USER_CS & ~3u) ? s : SEL_USER_DS;
}

static s32 restore_context(const struct sigcontext *sc, u32 mask)
{
	struct task *t = current;
	struct pt_regs *r = task_regs(t);
	t->blocked = mask << 1;
	recalc_signals(t);
	r->edi = sc->edi;
	r->esi = sc->esi;
	r->ebp = sc->ebp;
	r->esp = sc->esp;
	r->ebx = sc->ebx;
	r->edx = sc->edx;
	r->ecx = sc->ecx;
	r->eip = sc->eip;
	r->ds = user_selector(sc->ds);
	r->es = user_selector(sc->es);
	r->cs = SEL_USER_CS;
	r->ss = SEL_USER_DS;
	r->eflags = (r->eflags & ~USER_FLAGS) | (sc->eflags & USER_FLAGS);
	r->vector = 0;
	asm volatile("movl %0, %%fs; movl %1, %%gs" : : "r"(user_selector(sc->fs)), "r"(user_selector(sc->gs)));
	if (sc->fpstate) {
		if (restore_fpu((u32)sc->fpstate) < 0)
			return -EFAULT;
	} else if (t->flags & TASK_USED_FPU) {      /* the handler used the FPU, the interrupted code had not */
		fpu_forget(t);
		t->flags &= ~TASK_USED_FPU;
	}
	t->work |= WORK_IRET;
	return (s32)sc->eax;
}

/* The handler's RET took pretcode off, the trampoline's POP the signal number. */
s32 sys_sigreturn(void);
s32 sys_sigreturn(void)
{
	struct sigcontext sc;
	u32 frame = task_regs(current)->esp - 8;
	if (current->ext)
		return -ENOSYS;
	if (copy_from_user(&sc, frame + offsetof(struct sigframe, sc), sizeof(sc)) < 0)
		goto bad;
	return restore_context(&sc, sc.oldmask);
bad:
	force_signal(SIGSEGV, SI_KERNEL, 0);
	return 0;
}

s32 sys_rt_sigreturn(void);
s32 sys_rt_sigreturn(void)
{
	struct abi_ucontext uc;
	u32 frame = task_regs(current)->esp - 4;
	if (current->ext)
		return -ENOSYS;
	if (copy_from_user(&uc, frame + offsetof(struct rt_sigframe, uc), sizeof(uc)) < 0) {
		force_signal(SIGSEGV, SI_KERNEL, 0);
		return 0;
	}
	return restore_context(&uc.mcontext, uc.sigmask[0]);
}
