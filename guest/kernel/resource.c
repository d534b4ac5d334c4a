/*
 * resource.c - limits of a process: CPU time, descriptors, address space.
 *
 * Each is checked where the resource is handed out: files->limit in file_install(), mm->limit in mm_add(), CPU time
 * here, at every tick. An extension acts within its creator's limits.
 */
#include "file.h"
#include "uls.h"

static s32 limit_index(u32 resource)
{
	switch (resource) {
	case RLIMIT_CPU:    return LIMIT_CPU;
	case RLIMIT_NOFILE: return LIMIT_NOFILE;
	case RLIMIT_AS:     return LIMIT_AS;
	}
	return -EINVAL;
}

void limits_init(struct task *leader)
{
	leader->limit[LIMIT_CPU] = leader->limit[LIMIT_AS] = (struct abi_rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	leader->limit[LIMIT_NOFILE] = (struct abi_rlimit){ MAX_FILES, MAX_FILES };
}

/* Timer interrupt. As Linux: SIGXCPU at the soft limit and every second after it, SIGKILL at any tick past the hard
 * one. */
void limit_tick(struct task *leader)
{
	const struct abi_rlimit *limit = &leader->limit[LIMIT_CPU];
	u32 used = ++leader->cpu_ticks;
	if (limit->cur == RLIM_INFINITY)
		return;
	if (used / ABI_HZ >= limit->max)
		signal_process(leader, SIGKILL, SI_KERNEL, 0);
	else if (used % ABI_HZ == 0 && used / ABI_HZ >= limit->cur)
		signal_process(leader, SIGXCPU, SI_KERNEL, 0);
}

s32 sys_getrlimit(u32 resource, u32 to);
s32 sys_getrlimit(u32 resource, u32 to)
{
	s32 i = limit_index(resource);
	return i < 0 ? i : copy_to_user(to, &process()->limit[i], sizeof(struct abi_rlimit));
}

s32 sys_setrlimit(u32 resource, u32 from);
s32 sys_setrlimit(u32 resource, u32 from)
{
	struct task *p = process();
	struct abi_rlimit new;
	s32 i = limit_index(resource);
	if (i < 0)
		return i;
	if (copy_from_user(&new, from, sizeof(new)) < 0)
		return -EFAULT;
	if (new.cur > new.max)
		return -EINVAL;
	if ((new.max > p->limit[i].max && p->uid != 0) || (i == LIMIT_NOFILE && new.max > MAX_FILES))
		return -EPERM;
	p->limit[i] = new;
	if (i == LIMIT_NOFILE)
		p->files->limit = new.cur;
	if (i == LIMIT_AS)
		p->mm->limit = new.cur;
	return 0;
}
