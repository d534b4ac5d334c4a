/*
 * fork.c - a second process, or a second thread of this one.
 *
 *   fork()    copies: memory (copy-on-write), the descriptor table, signal actions, limits, uid, ports, registers
 *   thread    shares memory, descriptors, signal actions; has a pid of its own (gettid) and the leader's as getpid
 *
 * The child returns from the same call with EAX = 0.
 */
#include "file.h"
#include "io_ports.h"
#include "uls.h"

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

static void copy_thread(struct task *t, u32 stack)
{
	struct task *from = current;
	struct pt_regs *regs = task_regs(t);
	*regs = *task_regs(from);
	regs->eax = 0;
	if (stack)
		regs->esp = stack;
	fpu_save(from);
	t->fpu = from->fpu;
	t->flags = from->flags & TASK_USED_FPU;
	t->blocked = from->blocked;
	t->policy = from->policy;
	t->priority = from->priority;
	t->slice = t->slice_left = from->slice;
	t->pid = ++last_pid;
}

/* Pages that a fork must find: for itself, and for the first writes of both to what they share from then on. Without, a
 * fork could take the last page and its caller be killed by the next push. */
#define RESERVE 64

static void join_process(struct task *t)
{
	struct task *from = current;
	t->leader = from->leader;
	t->leader->threads++;
	t->mm = from->mm;
	t->mm->users++;
	t->files = from->files;
	t->files->refs++;
}

static bool copy_process(struct task *t, u32 exit_signal)
{
	struct task *from = current->leader;
	t->mm = mm_copy(current->mm);
	t->files = files_copy(current->files);
	if (!t->mm || !t->files) {
		if (t->mm)
			mm_put(t->mm);
		if (t->files)
			files_put(t->files);
		return false;
	}
	t->threads = 1;
	t->parent = from;
	t->exit_signal = exit_signal;
	t->uid = from->uid;
	memcpy(t->limit, from->limit, sizeof(t->limit));
	memcpy(t->action, from->action, sizeof(t->action));
	process_count++;
	return true;
}

s32 sys_clone(u32 flags, u32 stack);
s32 sys_clone(u32 flags, u32 stack)
{
	u32 kind = flags & ~0xffu, exit_signal = flags & 0xff;
	if (current->ext)                               /* it is a guest in whatever address space is loaded */
		return -EPERM;
	if ((kind != 0 && kind != THREAD_FLAGS) || exit_signal >= ABI_NSIG)
		return -EINVAL;
	if (kind == 0 && free_page_count() < RESERVE)
		return -ENOMEM;
	if (kind == 0 && current->mm->window)           /* its copy would need the same window */
		return -ENOSYS;
	struct task *t = task_alloc(current->name);
	if (!t)
		return -ENOMEM;
	if (!io_copy(t, current) || (kind == 0 && !copy_process(t, exit_signal))) {
		io_release(t);
		free_pages(t, STACK_ORDER);
		return -ENOMEM;
	}
	if (kind)
		join_process(t);
	copy_thread(t, stack);
	task_start(t);
	return (s32)t->pid;
}

s32 sys_fork(void);
s32 sys_fork(void) { return sys_clone(SIGCHLD, 0); }
