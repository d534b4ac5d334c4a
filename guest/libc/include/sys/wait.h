#ifndef SYS_WAIT_H
#define SYS_WAIT_H
#include <ringtoll/abi.h>

int waitpid(int pid, int *status, int options);     /* pid > 0: any process; -1: a child */
int wait(int *status);

#define WIFEXITED(s)   (((s) & 0x7f) == 0)
#define WEXITSTATUS(s) (((s) >> 8) & 0xff)
#define WIFSIGNALED(s) (((s) & 0x7f) != 0)
#define WTERMSIG(s)    ((s) & 0x7f)
#endif
