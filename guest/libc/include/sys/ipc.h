#ifndef SYS_IPC_H
#define SYS_IPC_H
#include <ringtoll/abi.h>

typedef int key_t;
#endif
