/* credentials.c - who a process is: ids, and the user that it acts for. An extension has its creator's. */
#include "uls.h"

s32 sys_getpid(void);
s32 sys_getppid(void);
s32 sys_gettid(void);
s32 sys_getuid(void);
s32 sys_setuid(u32 uid);

s32 sys_getpid(void) { return (s32)process()->pid; }
s32 sys_gettid(void) { return (s32)(current->ext ? process() : current)->pid; }
s32 sys_getuid(void) { return (s32)process()->uid; }

s32 sys_getppid(void)
{
	struct task *parent = process()->parent;
	return parent ? (s32)parent->pid : 0;
}

s32 sys_setuid(u32 uid)
{
	struct task *p = process();
	if (p->uid != 0 && p->uid != uid)
		return -EPERM;
	p->uid = uid;
	return 0;
}
