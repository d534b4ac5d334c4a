/* sys_memory.c - brk, mmap2, munmap. In an extension brk works on the heap of the protected area. */
#include "uls.h"

s32 sys_brk(u32 address);
s32 sys_mmap2(u32 address, u32 length, u32 prot, u32 flags, s32 fd, u32 offset);
s32 sys_munmap(u32 address, u32 length);

/* As Linux: the result is the break, unchanged if the request cannot be met. */
s32 sys_brk(u32 address)
{
	struct mm *mm = current->mm;
	if (!mm)
		return (s32)sandbox_brk(address);
	if (address < mm->brk_start || address > ULS_PUBLIC_BASE)
		return (s32)mm->brk;
	u32 old_end = ALIGN_UP(mm->brk, PAGE_SIZE), new_end = ALIGN_UP(address, PAGE_SIZE);
	if (new_end > old_end && mm_add(mm, old_end, new_end, true, false) < 0)
		return (s32)mm->brk;
	if (new_end < old_end)
		mm_remove(mm, new_end, old_end);
	mm->brk = address;
	return (s32)address;
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
	if (!mm) {
		u32 start = ALIGN_UP(sandbox_brk(0), PAGE_SIZE);
		return sandbox_brk(start + length) == start + length ? (s32)start : -ENOMEM;
	}
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
	s32 error = mm_add(mm, address, address + length, prot & PROT_WRITE, false);
	return error ? error : (s32)address;
}

s32 sys_munmap(u32 address, u32 length)
{
	if (!current->mm)
		return 0;                       /* sandbox heap: kept */
	if ((address & (PAGE_SIZE - 1)) || address >= KERNEL_BASE || length == 0 || length > KERNEL_BASE - address)
		return -EINVAL;
	return mm_remove(current->mm, address, address + ALIGN_UP(length, PAGE_SIZE));
}
