#ifndef ERRNO_H
#define ERRNO_H
#include <ringtoll/abi.h>     /* the numbers */
extern int errno;
#endif
