#ifndef TIME_H
#define TIME_H
#include <ringtoll/abi.h>

#define timespec abi_timespec
int nanosleep(const struct timespec *wanted, struct timespec *rest);
long times(struct abi_tms *buffer);     /* ticks since boot, ABI_HZ a second */
#endif
