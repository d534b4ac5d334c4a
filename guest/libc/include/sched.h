#ifndef SCHED_H
#define SCHED_H
#include <ringtoll/abi.h>

#define sched_param abi_sched_param
int sched_yield(void);
int sched_setscheduler(int pid, int policy, const struct sched_param *p);
int sched_getscheduler(int pid);
#endif
