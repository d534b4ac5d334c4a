#ifndef SYS_RESOURCE_H
#define SYS_RESOURCE_H
#include <ringtoll/abi.h>

struct rlimit { abi_u32 rlim_cur, rlim_max; };
int setrlimit(int resource, const struct rlimit *limit);
int getrlimit(int resource, struct rlimit *limit);
#endif
