/* thread.c - clone() as a C function. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <syscall.h>
#include "thread.h"

/* clone.S: the child calls fn(arg) on the stack, and __thread_end(slot, result) after it. */
long __clone(int flags, void *stack, int (*fn)(void *), void *arg, int slot);
void __thread_end(int slot, int status) __attribute__((noreturn));

void __thread_end(int slot, int status)
{
	fflush(stdout);
	if (slot >= 0)
		__thread_leave(slot);
	for (;;)
		syscall_entry(SYS_exit, status, 0, 0, 0, 0, 0);
}

/* Another process has its own copy of errno; only who shares the memory needs a slot. */
int clone(int (*fn)(void *), void *stack, int flags, void *arg)
{
	unsigned long top = (unsigned long)stack & ~15ul;
	int slot = flags & CLONE_VM ? __thread_enter(top) : -1;

	if (!stack || (flags & CLONE_VM && slot < 0)) {
		if (slot >= 0)
			__thread_leave(slot);
		errno = stack ? EAGAIN : EINVAL;
		return -1;
	}
	long pid = __clone(flags, (void *)top, fn, arg, slot);
	if (pid < 0 && slot >= 0)
		__thread_leave(slot);
	return __result(pid);
}
