/* arena.h - the memory of one thread or extension (arena.c), for malloc.c. */
#ifndef ARENA_H
#define ARENA_H
#include <stddef.h>
#include <stdint.h>

#define ALIGN    16
#define LARGE    0x10000         /* from here on a block is a mapping of its own */
#define BINS     12              /* free blocks by the highest bit of their size: 32, 64, ... 64 KB and more */

enum { BLOCK_USED = 0x55534544, BLOCK_FREE = 0x46524545, BLOCK_LARGE = 0x4c415247, BLOCK_END = 0x454e4421 };

struct block {
	uint32_t size;           /* with this header: a multiple of ALIGN. LARGE: of the mapping */
	uint32_t before;         /* size of the block before it, 0: the first. LARGE: header's distance from the mapping */
	struct arena *arena;
	uint32_t state;
	struct block *next, *previous;     /* in a free block: of its bin */
};

#define HEADER   offsetof(struct block, next)
#define SMALLEST 32

struct region { struct region *next; uint32_t size, is_break, lead; };     /* blocks follow, and BLOCK_END */

struct arena {
	struct block *bin[BINS];
	struct region *regions;
	struct block *volatile foreign;    /* its blocks that others have freed */
	uint32_t spare;                    /* mapped regions that are wholly free */
	uint32_t region_bytes, large, large_bytes, used_bytes;
};

struct block *__arena_take(struct arena *a, uint32_t size);
void __arena_give(struct arena *a, struct block *b);
void __arena_shorten(struct arena *a, struct block *b, uint32_t size);     /* the rest becomes free */
int  __arena_extend(struct arena *a, struct block *b, uint32_t size);      /* into the free block after it */
int  __arena_trim(struct arena *a);                                        /* give back all that is free; -> did it? */

static inline struct block *block_after(struct block *b) { return (struct block *)((char *)b + b->size); }
static inline struct block *block_of(void *p) { return (struct block *)((char *)p - HEADER); }
static inline void *payload(struct block *b) { return (char *)b + HEADER; }
#endif
