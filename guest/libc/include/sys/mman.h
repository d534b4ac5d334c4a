#ifndef SYS_MMAN_H
#define SYS_MMAN_H
#include <ringtoll/abi.h>
#include <stddef.h>

#define MAP_FAILED ((void *)-1)
void *mmap(void *address, size_t length, int prot, int flags, int fd, long pages);
int munmap(void *address, size_t length);
#endif
