/*
 * fpu.c - x87/SSE state, switched lazily.
 *
 * The registers belong to fpu_owner. Whoever else runs has CR0.TS set, so its first FPU instruction raises #NM, and
 * only then is the owner's state saved (FXSAVE) and its own loaded. An upcall is treated like a switch: the
 * interrupted process keeps its registers untouched unless the extension uses the FPU, and gets them back by #NM if
 * it did. CR0 is written only when TS really changes.
 */
#include "task.h"

struct task *fpu_owner;
static bool ts_set;
static struct fxsave clean;                 /* state after FNINIT, all else zero */

static void set_ts(bool on)
{
	if (on == ts_set)
		return;
	ts_set = on;
	if (on)
		write_cr0(read_cr0() | CR0_TS);
	else
		clts();
}

static void fxsave(struct fxsave *f) { asm volatile("fxsave %0" : "=m"(*f)); }
static void fxrstor(const struct fxsave *f) { asm volatile("fxrstor %0" : : "m"(*f)); }

void fpu_init(void)
{
	write_cr0((read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
	write_cr4(read_cr4() | CR4_OSFXSR | (cpu.features & CPUID_SSE ? CR4_OSXMMEXCPT : 0));
	asm volatile("fninit");
	fxsave(&clean);
	memset(clean.st, 0, sizeof(clean.st) + sizeof(clean.xmm));
	clean.mxcsr = 0x1f80;
	set_ts(true);
}

void fpu_switch(struct task *next) { set_ts(fpu_owner != next); }

void fpu_not_available(void)
{
	struct task *t = current;
	set_ts(false);
	if (fpu_owner == t)
		return;
	if (fpu_owner)
		fxsave(&fpu_owner->fpu);
	if (!(t->flags & TASK_USED_FPU))
		t->fpu = clean;
	t->flags |= TASK_USED_FPU;
	fxrstor(&t->fpu);
	fpu_owner = t;
}

void fpu_save(struct task *t)
{
	if (fpu_owner != t)
		return;
	bool was = ts_set;
	set_ts(false);
	fxsave(&t->fpu);
	set_ts(was);
}

void fpu_forget(struct task *t)
{
	if (fpu_owner == t) {
		fpu_owner = 0;
		set_ts(true);
	}
}
