#ifndef TIME_H
#define TIME_H
#include <ringtoll/abi.h>

typedef long clock_t;
#define CLOCKS_PER_SEC 1000000
#define timespec abi_timespec
int nanosleep(const struct timespec *wanted, struct timespec *rest);
long times(struct abi_tms *buffer);     /* ticks since boot, ABI_HZ a second */
clock_t clock(void);                     /* CPU time of the process, in steps of a tick */
#endif
