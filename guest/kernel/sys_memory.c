/* sys_memory.c - brk, mmap2, munmap. In an extension they work on the heap of the protected area. */
#include "uls.h"

s32 sys_brk(u32 address);
s32 sys_mmap2(u32 address, u32 length, u32 prot, u32 flags, s32 fd, u32 offset);
s32 sys_munmap(u32 address, u32 length);

static u8 heap_owner(const struct extension *x) { return (u8)(x - extension + 1); }

/* The creator's RLIMIT_AS covers what its extensions have. */
static s32 extension_brk(u32 address)
{
	struct mm *mm = process()->mm;
	u8 who = heap_owner(current->ext);
	u32 before = ALIGN_UP(sandbox_brk(0, who), PAGE_SIZE), after = ALIGN_UP(address, PAGE_SIZE);
	if (address > before && !mm_allows(mm, after - before))
		return (s32)sandbox_brk(0, who);
	address = sandbox_brk(address, who);
	if (address)
		mm->elsewhere += ALIGN_UP(address, PAGE_SIZE) - before;
	return (s32)address;
}

/* As Linux: the result is the break, unchanged if the request cannot be met. */
s32 sys_brk(u32 address)
{
	struct mm *mm = current->mm;
	if (!mm)
		return extension_brk(address);
	if (address < mm->brk_start || address > ULS_PUBLIC_BASE)
		return (s32)mm->brk;
	u32 old_end = ALIGN_UP(mm->brk, PAGE_SIZE), new_end = ALIGN_UP(address, PAGE_SIZE);
	if (new_end > old_end && mm_add(mm, old_end, new_end, true, 0) < 0)
		return (s32)mm->brk;
	if (new_end < old_end)
		mm_remove(mm, new_end, old_end);
	mm->brk = address;
	return (s32)address;
}

static s32 extension_mmap(u32 length, u32 flags)
{
	struct mm *mm = process()->mm;
	if (flags & MAP_FIXED)
		return -EINVAL;
	u32 at = mm_allows(mm, length) ? sandbox_alloc(length >> PAGE_SHIFT, heap_owner(current->ext)) : 0;
	if (at)
		mm->elsewhere += length;
	return at ? (s32)at : -ENOMEM;
}

static s32 extension_munmap(u32 address, u32 length)
{
	u32 end = ULS_PROTECTED_BASE + ULS_AREA_SIZE;
	if ((address & (PAGE_SIZE - 1)) || address < ULS_PROTECTED_BASE || address >= end || length == 0 ||
	    length > end - address)
		return -EINVAL;
	u32 pages = sandbox_free(address, ALIGN_UP(length, PAGE_SIZE) >> PAGE_SHIFT, heap_owner(current->ext));
	process()->mm->elsewhere -= pages << PAGE_SHIFT;
	return 0;
}

void extension_unmap_all(struct extension *x)
{
	u32 pages = sandbox_free_all(heap_owner(x)) + sandbox_break_release(heap_owner(x));
	struct task *leader = x->owner ? x->owner->leader : 0;
	if (leader && leader->mm)
		leader->mm->elsewhere -= pages << PAGE_SHIFT;
}

s32 sys_mmap2(u32 address, u32 length, u32 prot, u32 flags, s32 fd, u32 offset)
{
	struct mm *mm = current->mm;
	(void)fd;
	(void)offset;
	if (length == 0 || length > 0x40000000)
		return -EINVAL;
	length = ALIGN_UP(length, PAGE_SIZE);
	if (!(flags & MAP_ANONYMOUS))
		return -ENODEV;
	if (!mm)
		return extension_mmap(length, flags);
	if (flags & MAP_FIXED) {
		if (address & (PAGE_SIZE - 1))
			return -EINVAL;
		if (address < KERNEL_BASE && length <= KERNEL_BASE - address)
			mm_remove(mm, address, address + length);
	} else {
		address = mm_find_gap(mm, length);
		if (!address)
			return -ENOMEM;
	}
	s32 error = mm_add(mm, address, address + length, prot & PROT_WRITE, 0);
	return error ? error : (s32)address;
}

s32 sys_munmap(u32 address, u32 length)
{
	if (!current->mm)
		return extension_munmap(address, length);
	if ((address & (PAGE_SIZE - 1)) || address >= KERNEL_BASE || length == 0 || length > KERNEL_BASE - address)
		return -EINVAL;
	return mm_remove(current->mm, address, address + ALIGN_UP(length, PAGE_SIZE));
}
