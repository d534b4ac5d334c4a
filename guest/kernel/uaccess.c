/*
 * uaccess.c - copying between kernel and user memory.
 *
 * Ring 0 may touch everything, so every user address is checked here: below the kernel, and not in the protected
 * area while the sandbox is closed for this task (that area is supervisor-only then, but ring 0 would get through).
 * What remains is left to the MMU: CR0.WP makes read-only pages read-only for ring 0 as well, and a fault inside
 * copy_user() is either repaired by demand paging or continues at the fix-up address of the exception table.
 */
#include "task.h"

struct fixup { u32 eip, target; };
extern struct fixup _ex_table_start[], _ex_table_end[];

u32 find_fixup(u32 eip)
{
	for (struct fixup *f = _ex_table_start; f < _ex_table_end; f++)
		if (f->eip == eip)
			return f->target;
	return 0;
}

bool access_ok(u32 address, u32 n)
{
	if (address >= KERNEL_BASE || n > KERNEL_BASE - address)
		return false;
	if (address < ULS_PROTECTED_BASE + ULS_AREA_SIZE && address + n > ULS_PROTECTED_BASE)
		return current->flags & TASK_SANDBOX_OPEN;
	return true;
}

s32 copy_from_user(void *to, u32 from, u32 n)
{
	return access_ok(from, n) && copy_user(to, (const void *)from, n) == 0 ? 0 : -EFAULT;
}

s32 copy_to_user(u32 to, const void *from, u32 n)
{
	return access_ok(to, n) && copy_user((void *)to, from, n) == 0 ? 0 : -EFAULT;
}

s32 string_from_user(char *to, u32 from, u32 size)
{
	for (u32 n = 0; n < size; n++) {
		if (copy_from_user(&to[n], from + n, 1) < 0)
			return -EFAULT;
		if (!to[n])
			return (s32)n;
	}
	return -ENAMETOOLONG;
}
