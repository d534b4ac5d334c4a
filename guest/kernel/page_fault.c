/*
 * page_fault.c - #PF (vector 14).
 *
 *   from ring 3, in a VMA, page absent ............ allocate a zero page, retry
 *   from ring 3, write to a copy-on-write page .... copy it, retry
 *   from ring 3, in an extension, anything else ... abort the upcall
 *   from ring 3, otherwise ........................ SIGSEGV
 *   from ring 0, in copy_user() ................... the same two, or continue at the fix-up (-EFAULT)
 *   from ring 0, otherwise ........................ panic
 */
#include "uls.h"

static bool repair(u32 address, u32 error)
{
	struct mm *mm = current->mm;
	struct vma *v = mm ? mm_find(mm, address) : 0;
	if (!v || ((error & PF_W) && !v->writable))
		return false;
	if (error & PF_P)                       /* a protection fault; a read cannot be repaired */
		return (error & PF_W) && mm_unshare(mm, address);
	return mm_touch(mm, address) != 0;
}

void page_fault(struct pt_regs *regs) { page_fault_at(regs, read_cr2()); }

/* `address` is the user's: in a small space not what CR2 holds (small.c). */
void page_fault_at(struct pt_regs *regs, u32 address)
{
	if (regs->eflags & EFLAGS_IF)           /* CR2 is safe now: interrupts may come again */
		sti();

	if (!user_mode(regs)) {
		u32 fixup = find_fixup(regs->eip);
		if (!fixup)
			panic_regs("page fault in the kernel", regs);
		if (address >= KERNEL_BASE || !repair(address, regs->error))
			regs->eip = fixup;
		return;
	}
	if (current->ext) {
		current->cr2 = address;
		extension_abort("#PF", regs);
	}
	if (repair(address, regs->error))
		return;
	current->trap = 14;
	current->error = regs->error;
	current->cr2 = address;
	force_signal(SIGSEGV, regs->error & PF_P ? SEGV_ACCERR : SEGV_MAPERR, address);
}
