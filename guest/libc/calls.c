/* calls.c - the system calls as C functions: -1 and errno on an error. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <syscall.h>
#include <time.h>
#include <uls.h>
#include <unistd.h>

long __result(long value)
{
	if (value < 0 && value >= -4095) {
		errno = -value;
		return -1;
	}
	return value;
}

#define CALL(n, a, b, c, d) \
	__result(syscall_entry(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0))

void _exit(int status)
{
	for (;;)
		CALL(SYS_exit_group, status, 0, 0, 0);
}

ssize_t read(int fd, void *buffer, size_t n) { return CALL(SYS_read, fd, buffer, n, 0); }
ssize_t write(int fd, const void *buffer, size_t n) { return CALL(SYS_write, fd, buffer, n, 0); }
int close(int fd) { return CALL(SYS_close, fd, 0, 0, 0); }
int dup(int fd) { return CALL(SYS_dup, fd, 0, 0, 0); }
int dup2(int fd, int to) { return CALL(SYS_dup2, fd, to, 0, 0); }
int pipe(int fd[2]) { return CALL(SYS_pipe, fd, 0, 0, 0); }
int poll(struct pollfd *fds, unsigned n, int milliseconds) { return CALL(SYS_poll, fds, n, milliseconds, 0); }
int getpid(void) { return CALL(SYS_getpid, 0, 0, 0, 0); }
int fork(void) { return CALL(SYS_fork, 0, 0, 0, 0); }
int getppid(void) { return CALL(SYS_getppid, 0, 0, 0, 0); }
int gettid(void) { return CALL(SYS_gettid, 0, 0, 0, 0); }
int getuid(void) { return CALL(SYS_getuid, 0, 0, 0, 0); }
int setuid(int uid) { return CALL(SYS_setuid, uid, 0, 0, 0); }
int setrlimit(int resource, const struct rlimit *limit) { return CALL(SYS_setrlimit, resource, limit, 0, 0); }
int getrlimit(int resource, struct rlimit *limit) { return CALL(SYS_getrlimit, resource, limit, 0, 0); }
int ioperm(unsigned long port, unsigned long count, int on) { return CALL(SYS_ioperm, port, count, on, 0); }
int iopl(int level) { return CALL(SYS_iopl, level, 0, 0, 0); }
int pause(void) { return CALL(SYS_pause, 0, 0, 0, 0); }
int kill(int pid, int sig) { return CALL(SYS_kill, pid, sig, 0, 0); }
int raise(int sig) { return kill(getpid(), sig); }
int sched_yield(void) { return CALL(SYS_sched_yield, 0, 0, 0, 0); }
int waitpid(int pid, int *status, int options) { return CALL(SYS_waitpid, pid, status, options, 0); }
int wait(int *status) { return waitpid(-1, status, 0); }
long times(struct abi_tms *buffer) { return CALL(SYS_times, buffer, 0, 0, 0); }

int nanosleep(const struct timespec *wanted, struct timespec *rest)
{
	return CALL(SYS_nanosleep, wanted, rest, 0, 0);
}

int sched_setscheduler(int pid, int policy, const struct sched_param *p)
{
	return CALL(SYS_sched_setscheduler, pid, policy, p, 0);
}

int sched_getscheduler(int pid) { return CALL(SYS_sched_getscheduler, pid, 0, 0, 0); }

/* The kernel answers with the break there is now, so failure shows as a break that is not the wanted one. */
int brk(void *end)
{
	if ((void *)CALL(SYS_brk, end, 0, 0, 0) == end)
		return 0;
	errno = ENOMEM;
	return -1;
}

void *sbrk(long increment)
{
	char *old = (char *)CALL(SYS_brk, 0, 0, 0, 0);

	if (increment && brk(old + increment))
		return (void *)-1;
	return old;
}

void *mmap(void *address, size_t length, int prot, int flags, int fd, long pages)
{
	return (void *)__result(syscall_entry(SYS_mmap2, (long)address, length, prot, flags, fd, pages));
}

int munmap(void *address, size_t length) { return CALL(SYS_munmap, address, length, 0, 0); }

#define IPC(call, a, b, c, pointer) __result(syscall_entry(SYS_ipc, call, (long)(a), (long)(b), (long)(c), (long)(pointer), 0))

int shmget(key_t key, size_t size, int flags) { return IPC(IPC_SHMGET, key, size, flags, 0); }
int shmdt(const void *address) { return IPC(IPC_SHMDT, 0, 0, 0, address); }
int shmctl(int id, int command, struct shmid_ds *out) { return IPC(IPC_SHMCTL, id, command, 0, out); }

/* An address may look like an error number, so it comes back through memory. */
void *shmat(int id, const void *address, int flags)
{
	void *at;

	return IPC(IPC_SHMAT, id, flags, &at, address) < 0 ? (void *)-1 : at;
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return CALL(SYS_sigprocmask, how, set, old, 0);
}

int sigsuspend(const sigset_t *mask) { return CALL(SYS_sigsuspend, 0, 0, *mask, 0); }

extern void __sigreturn_restorer(void), __rt_sigreturn_restorer(void);

int sigaction(int sig, const struct sigaction *action, struct sigaction *old)
{
	struct kernel_sigaction in, out;

	if (action) {
		in.handler = (abi_u32)action->sa_handler;
		in.flags = action->sa_flags | SA_RESTORER;
		in.restorer = (abi_u32)(action->sa_flags & SA_SIGINFO ? __rt_sigreturn_restorer : __sigreturn_restorer);
		in.mask[0] = action->sa_mask;
		in.mask[1] = 0;
	}
	long r = CALL(SYS_rt_sigaction, sig, action ? &in : 0, old ? &out : 0, 8);
	if (r == 0 && old) {
		old->sa_handler = (void (*)(int))out.handler;
		old->sa_flags = out.flags & ~SA_RESTORER;
		old->sa_mask = out.mask[0];
	}
	return r;
}

int uls_register(const char *name) { return CALL(SYS_uls_register, name, 0, 0, 0); }
int uls_unregister(int id) { return CALL(SYS_uls_unregister, id, 0, 0, 0); }
int uls_lookup(const char *name) { return CALL(SYS_uls_lookup, name, 0, 0, 0); }
int uls_bind(int id, int source, abi_u32 a) { return CALL(SYS_uls_bind, id, source, a, 0); }
int uls_bind_to(int id, int source, abi_u32 a, abi_u32 b) { return CALL(SYS_uls_bind, id, source, a, b); }
int uls_unbind(int id, int source, abi_u32 a) { return CALL(SYS_uls_unbind, id, source, a, 0); }
int uls_raise(int id, int priority, abi_u32 value) { return CALL(SYS_uls_raise, id, priority, value, 0); }
int uls_control(int id, int what, abi_u32 value) { return CALL(SYS_uls_control, id, what, value, 0); }
int uls_load(const char *name) { return CALL(SYS_uls_load, name, 0, 0, 0); }
int uls_unload(const char *name) { return CALL(SYS_uls_unload, name, 0, 0, 0); }
int uls_revoke(int id) { return CALL(SYS_uls_revoke, id, 0, 0, 0); }
int uls_ioperm(int id, int port, int count, int on) { return CALL(SYS_uls_ioperm, id, port, count, on); }
int uls_post(int id, abi_u32 value) { return CALL(SYS_uls_post, id, value, 0, 0); }
int uls_info(int id, struct uls_info *info) { return CALL(SYS_uls_info, id, info, 0, 0); }
int uls_bench(int op, int id, int n, struct uls_stamp *s) { return CALL(SYS_uls_bench, op, id, n, s); }
void *uls_shm(const char *name, size_t length) { return (void *)CALL(SYS_uls_shm, name, length, 0, 0); }
int uls_sysinfo(struct uls_sysinfo *info) { return CALL(SYS_uls_sysinfo, info, 0, 0, 0); }
int uls_pstat(int pid, struct uls_pstat *stat) { return CALL(SYS_uls_pstat, pid, stat, 0, 0); }
int uls_timeslice(int pid, int ticks) { return CALL(SYS_uls_timeslice, pid, ticks, 0, 0); }
