/*
 * exit.c - the end of threads and processes, and waiting for it.
 *
 *   thread, not the first   gone at once; its block is freed when another task next runs (reap_dead): it still stands
 *                           on that stack
 *   process                 its leader stays as a zombie until the parent's waitpid(). Freed at once if there is no
 *                           parent (it ended first) or the parent ignores SIGCHLD
 *   from a boot module      never freed: pstat and waitpid find it to the end, and the machine's status is theirs
 */
#include "file.h"
#include "io_ports.h"
#include "uls.h"

static struct wait_queue exit_wait;
static struct task *dead;
static u32 exit_count;
u32 process_count, bad_modules;

bool process_ended(const struct task *leader) { return leader->threads == 0 && leader->state == TASK_ZOMBIE; }

/* Of the processes from boot modules that did not exit with 0, the first to end; killed by a signal counts as
 * 128 + signal, a module that could not be started as 127. What fork() made is its parent's business. */
static u32 final_status(void)
{
	u32 status = 0, order = ~0u;
	if (bad_modules)
		return 127;
	for (struct task *t = task_list; t; t = t->next_task)
		if (t->from_boot && t->exit_code && t->exit_order < order && !(options.unwaited && t->collected)) {
			order = t->exit_order;
			status = t->exit_code & 0x7f ? 128 + (t->exit_code & 0x7f) : t->exit_code >> 8;
		}
	return status;
}

static void unlink_task(struct task *t)
{
	struct task **at = &task_list;
	while (*at != t)
		at = &(*at)->next_task;
	*at = t->next_task;
}

static void bury(struct task *t)
{
	unlink_task(t);
	t->next_task = dead;
	dead = t;
}

/* Called by a task that is not dead: all of these have left the processor. */
void reap_dead(void)
{
	while (dead) {
		struct task *t = dead;
		dead = t->next_task;
		free_pages(t, STACK_ORDER);
	}
}

static void release_memory(struct task *t)
{
	files_put(t->files);
	mm_put(t->mm);
	t->files = 0;
	t->mm = 0;
}

/* An orphan is nobody's: it vanishes when it ends, or now. */
static void abandon_children(struct task *leader)
{
	for (struct task *t = task_list, *next; t; t = next) {
		next = t->next_task;
		if (t->parent != leader)
			continue;
		t->parent = 0;
		if (process_ended(t))
			bury(t);
	}
}

/* Interrupts off; the last thread of p is `current`, p itself or another. */
static void end_process(struct task *p)
{
	struct task *parent = p->parent;
	abandon_children(p);
	p->exit_order = ++exit_count;
	if (parent && p->exit_signal)
		signal_process(parent, p->exit_signal, p->exit_code & 0x7f ? CLD_KILLED : CLD_EXITED, p->pid);
	if (!p->from_boot && (!parent || parent->action[SIGCHLD].handler == SIG_IGN_ADDR))
		bury(p);
	wake_all(&exit_wait);
	if (--process_count == 0) {
		u32 status = final_status();
		printk("all processes have exited, status %u\n", status);
		machine_exit(status);
	}
}

void do_exit(u32 code)
{
	struct task *t = current, *p = t->leader;
	sti();
	reap_dead();
	if (t == p && !p->exiting)
		p->exit_code = code;
	bool last = --p->threads == 0;
	fpu_forget(t);
	io_release(t);
	if (t != p) {
		release_memory(t);
		p->utime += t->utime;
		p->stime += t->stime;
	}
	if (last) {
		extension_release(p);
		release_memory(p);
	}
	cli();
	t->state = TASK_ZOMBIE;
	if (!last)
		signals_hand_over(t);
	if (t->flags & TASK_SANDBOX_OPEN)
		sandbox_close();
	t->flags = 0;
	if (t != p)
		bury(t);
	if (last)
		end_process(p);
	schedule();
	panic("a zombie runs");
}

void group_exit(u32 code)
{
	struct task *p = current->leader;
	if (!p->exiting) {
		p->exiting = true;
		p->exit_code = code;
		for (struct task *t = next_thread(p, 0); t; t = next_thread(p, t))
			if (t != current)
				send_signal(t, SIGKILL, SI_KERNEL, 0);
	}
	do_exit(code);
}

/* The process that `pid` means for waitpid(), or 0. -1: a child, one that has ended if there is one. */
static struct task *awaited(s32 pid)
{
	struct task *self = process(), *child = 0;
	if (pid > 0) {
		struct task *t = find_task((u32)pid);
		return t && t->leader == t && t != self ? t : 0;
	}
	for (struct task *t = task_list; pid == -1 && t; t = t->next_task) {
		if (t->leader != t || t->parent != self)
			continue;
		child = t;
		if (process_ended(t))
			break;
	}
	return child;
}

/* Somebody else may reap it while we sleep: look it up again every time. */
s32 sys_waitpid(s32 pid, u32 status, u32 options_);
s32 sys_waitpid(s32 pid, u32 status, u32 options_)
{
	u32 flags = irq_save(), code = 0;
	s32 result = 0;
	struct task *t;
	while ((t = awaited(pid)) && !process_ended(t) && !(options_ & WNOHANG) && result == 0) {
		if (signal_waiting(current))
			result = -ERESTARTSYS;
		else
			sleep_on(&exit_wait);
	}
	if (!t) {
		result = -ECHILD;
	} else if (process_ended(t)) {
		result = (s32)t->pid;
		code = t->exit_code;
		t->collected = true;
		if (t->parent == process())
			bury(t);
	}
	irq_restore(flags);
	return result > 0 && status && copy_to_user(status, &code, 4) < 0 ? -EFAULT : result;
}
