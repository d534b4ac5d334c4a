#ifndef ERRNO_H
#define ERRNO_H
#include <ringtoll/abi.h>     /* the numbers */
int *__errno_location(void);
#define errno (*__errno_location())
#endif
