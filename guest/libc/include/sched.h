#ifndef SCHED_H
#define SCHED_H
#include <ringtoll/abi.h>

#define sched_param abi_sched_param
int sched_yield(void);
int sched_setscheduler(int pid, int policy, const struct sched_param *p);
int sched_getscheduler(int pid);

/* A thread (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD: CLONE_THREAD_FLAGS) or a process (a signal
 * number) that runs fn(arg) on the stack that ends at `stack`; what fn returns is the exit status. -> its pid or -1.
 * At most 64 threads at a time (EAGAIN), besides the first. */
#define CLONE_THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
int clone(int (*fn)(void *), void *stack, int flags, void *arg);
#endif
