/* malloc.h - what the allocator holds for the calling thread or extension. */
#ifndef MALLOC_H
#define MALLOC_H
#include <stddef.h>

struct mallinfo {
	size_t arena;            /* bytes got for blocks of less than 64 KB */
	size_t hblks, hblkhd;    /* larger blocks, each a mapping of its own: how many, bytes */
	size_t uordblks;         /* of `arena`: in use, headers included ... */
	size_t fordblks;         /* ... and not */
};

struct mallinfo mallinfo(void);
int malloc_trim(size_t pad);                 /* give all that is free back to the kernel; 1: something was given */
size_t malloc_usable_size(void *p);
void *memalign(size_t align, size_t n);
#endif
