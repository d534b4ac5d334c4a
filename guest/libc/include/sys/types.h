#ifndef SYS_TYPES_H
#define SYS_TYPES_H
#include <stddef.h>
typedef int ssize_t;
typedef int pid_t;
#endif
