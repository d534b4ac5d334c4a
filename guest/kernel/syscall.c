/* syscall.c - the tables, and the calls about processes, time and scheduling. */
#include "uls.h"

static s32 sys_exit(u32 status)
{
	if (current->ext)
		extension_abort("called exit", 0);
	do_exit((status & 0xff) << 8);
}

static s32 sys_exit_group(u32 status)
{
	if (current->ext)
		extension_abort("called exit_group", 0);
	group_exit((status & 0xff) << 8);
}

static s32 sys_times(u32 to)
{
	struct task *p = process();
	struct abi_tms tms = { (s32)p->utime, (s32)p->stime, 0, 0 };
	for (struct task *t = p->threads > 1 ? next_thread(p, 0) : 0; t; t = next_thread(p, t))
		if (t != p) {
			tms.utime += (s32)t->utime;
			tms.stime += (s32)t->stime;
		}
	if (to && copy_to_user(to, &tms, sizeof(tms)) < 0)
		return -EFAULT;
	return (s32)(ticks & 0x7fffffff);
}

/* One tick is added, as Linux does: the current one is already partly over. */
static s32 sys_nanosleep(u32 request, u32 rest)
{
	struct abi_timespec ts;
	const s32 tick_ns = 1000000000 / ABI_HZ;
	if (copy_from_user(&ts, request, sizeof(ts)) < 0)
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_sec > 10000000 || ts.tv_nsec < 0 || ts.tv_nsec >= 1000000000)
		return -EINVAL;
	u32 n = (u32)ts.tv_sec * ABI_HZ + (u32)((ts.tv_nsec + tick_ns - 1) / tick_ns);
	s32 left = sleep_ticks(n + (n != 0));
	if (!left)
		return 0;
	ts.tv_sec = left / ABI_HZ;
	ts.tv_nsec = left % ABI_HZ * tick_ns;
	return rest && copy_to_user(rest, &ts, sizeof(ts)) < 0 ? -EFAULT : -EINTR;
}

static struct task *live_task(s32 pid)
{
	struct task *t = pid == 0 ? process() : pid > 0 ? find_task((u32)pid) : 0;
	return t && t->state != TASK_ZOMBIE ? t : 0;
}

static s32 sys_setscheduler(s32 pid, u32 policy, u32 param)
{
	struct abi_sched_param p;
	struct task *t = live_task(pid);
	if (copy_from_user(&p, param, sizeof(p)) < 0)
		return -EFAULT;
	if (!t)
		return -ESRCH;
	if (policy > SCHED_RR || (policy == SCHED_OTHER ? p.sched_priority != 0 :
				  p.sched_priority < 1 || p.sched_priority > 99))
		return -EINVAL;
	sched_set(t, policy, (u32)p.sched_priority);
	extension_thread_follow(t);
	return 0;
}

static s32 sys_getscheduler(s32 pid)
{
	struct task *t = live_task(pid);
	return t ? (s32)t->policy : -ESRCH;
}

static s32 sys_sched_yield(void)
{
	sched_yield();
	return 0;
}

static s32 sys_uls_pstat(s32 pid, u32 to)
{
	struct task *t = pid == 0 ? process() : pid > 0 ? find_task((u32)pid) : 0;
	if (!t)
		return -ESRCH;
	struct uls_pstat s = { .pid = t->pid, .state = (u32)"RSTZ"[t->state], .policy = t->policy, .priority = t->priority,
			       .timeslice = t->slice, .utime = t->utime, .stime = t->stime, .switches = t->switches };
	u32 flags = irq_save();
	s.cycles = t->cycles + (t == current ? rdtsc() - t->switched_in : 0);
	irq_restore(flags);
	memcpy(s.name, t->name, sizeof(s.name));
	return copy_to_user(to, &s, sizeof(s));
}

static s32 sys_uls_timeslice(s32 pid, u32 n)
{
	struct task *t = live_task(pid);
	if (!t)
		return -ESRCH;
	if (n == 0 || n > 1000)
		return -EINVAL;
	t->slice = n;
	if (t->slice_left > n)
		t->slice_left = n;
	return 0;
}

static s32 sys_uls_sysinfo(u32 to)
{
	struct uls_sysinfo s = { options.flush, options.entry, ABI_HZ, boot.memory_top / 1024, ticks, switch_count,
				 cr3_write_count, extension_count };
	return copy_to_user(to, &s, sizeof(s));
}

s32 sys_sigreturn(void), sys_rt_sigreturn(void);
s32 sys_pause(void), sys_kill(s32, u32), sys_sigaction(u32, u32, u32), sys_rt_sigaction(u32, u32, u32, u32);
s32 sys_sigprocmask(u32, u32, u32), sys_rt_sigprocmask(u32, u32, u32, u32);
s32 sys_sigsuspend(u32, u32, u32), sys_rt_sigsuspend(u32, u32);
s32 sys_brk(u32), sys_mmap2(u32, u32, u32, u32, s32, u32), sys_munmap(u32, u32);
s32 sys_read(u32, u32, u32), sys_write(u32, u32, u32), sys_close(u32), sys_dup(u32), sys_dup2(u32, u32);
s32 sys_pipe(u32), sys_poll(u32, u32, s32);
s32 sys_fork(void), sys_clone(u32, u32), sys_waitpid(s32, u32, u32);
s32 sys_getpid(void), sys_gettid(void), sys_getppid(void), sys_getuid(void), sys_setuid(u32);
s32 sys_ipc(u32, u32, u32, u32, u32), sys_ioperm(u32, u32, u32), sys_iopl(u32);
s32 sys_setrlimit(u32, u32), sys_getrlimit(u32, u32);
s32 sys_uls_register(u32, u32), sys_uls_bind(u32, u32, u32, u32), sys_uls_post(u32, u32), sys_uls_info(u32, u32);
s32 sys_uls_unbind(u32, u32, u32), sys_uls_control(u32, u32, u32), sys_uls_revoke(u32);
s32 sys_uls_ioperm(u32, u32, u32, u32), sys_uls_raise(u32, u32, u32);
s32 sys_uls_bench(u32, u32, u32, u32), sys_uls_shm(u32, u32), sys_uls_return(void), sys_uls_unregister(u32);
s32 sys_uls_lookup(u32), sys_uls_load(u32), sys_uls_unload(u32);

/* Called from entry.S with six arguments; each function takes as many as it wants. */
const void *const linux_call_table[256] = {
	[SYS_exit] = sys_exit,
	[SYS_exit_group] = sys_exit_group,
	[SYS_fork] = sys_fork,
	[SYS_clone] = sys_clone,
	[SYS_read] = sys_read,
	[SYS_write] = sys_write,
	[SYS_close] = sys_close,
	[SYS_waitpid] = sys_waitpid,
	[SYS_getpid] = sys_getpid,
	[SYS_gettid] = sys_gettid,
	[SYS_getppid] = sys_getppid,
	[SYS_getuid] = sys_getuid,
	[SYS_setuid] = sys_setuid,
	[SYS_pause] = sys_pause,
	[SYS_kill] = sys_kill,
	[SYS_dup] = sys_dup,
	[SYS_pipe] = sys_pipe,
	[SYS_times] = sys_times,
	[SYS_brk] = sys_brk,
	[SYS_dup2] = sys_dup2,
	[SYS_sigaction] = sys_sigaction,
	[SYS_setrlimit] = sys_setrlimit,
	[SYS_getrlimit] = sys_getrlimit,
	[SYS_sigsuspend] = sys_sigsuspend,
	[SYS_munmap] = sys_munmap,
	[SYS_ioperm] = sys_ioperm,
	[SYS_iopl] = sys_iopl,
	[SYS_ipc] = sys_ipc,
	[SYS_sigreturn] = sys_sigreturn,
	[SYS_sigprocmask] = sys_sigprocmask,
	[SYS_sched_setscheduler] = sys_setscheduler,
	[SYS_sched_getscheduler] = sys_getscheduler,
	[SYS_sched_yield] = sys_sched_yield,
	[SYS_nanosleep] = sys_nanosleep,
	[SYS_poll] = sys_poll,
	[SYS_rt_sigreturn] = sys_rt_sigreturn,
	[SYS_rt_sigaction] = sys_rt_sigaction,
	[SYS_rt_sigprocmask] = sys_rt_sigprocmask,
	[SYS_rt_sigsuspend] = sys_rt_sigsuspend,
	[SYS_mmap2] = sys_mmap2,
};

const void *const uls_call_table[32] = {
	[SYS_uls_register - 0x200] = sys_uls_register,
	[SYS_uls_bind - 0x200] = sys_uls_bind,
	[SYS_uls_post - 0x200] = sys_uls_post,
	[SYS_uls_info - 0x200] = sys_uls_info,
	[SYS_uls_bench - 0x200] = sys_uls_bench,
	[SYS_uls_shm - 0x200] = sys_uls_shm,
	[SYS_uls_return - 0x200] = sys_uls_return,
	[SYS_uls_unregister - 0x200] = sys_uls_unregister,
	[SYS_uls_lookup - 0x200] = sys_uls_lookup,
	[SYS_uls_pstat - 0x200] = sys_uls_pstat,
	[SYS_uls_timeslice - 0x200] = sys_uls_timeslice,
	[SYS_uls_sysinfo - 0x200] = sys_uls_sysinfo,
	[SYS_uls_unbind - 0x200] = sys_uls_unbind,
	[SYS_uls_control - 0x200] = sys_uls_control,
	[SYS_uls_revoke - 0x200] = sys_uls_revoke,
	[SYS_uls_ioperm - 0x200] = sys_uls_ioperm,
	[SYS_uls_load - 0x200] = sys_uls_load,
	[SYS_uls_unload - 0x200] = sys_uls_unload,
	[SYS_uls_raise - 0x200] = sys_uls_raise,
};
