/*
 * malloc.c - memory on request: small blocks from the caller's own arena, large ones by mmap.
 *
 * A block that another thread or extension has allocated is pushed to its arena's list of foreign frees, one atomic word,
 * and taken from there by its owner's next call.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "context.h"

#define MOST 0x7fff0000u
#define PAGE 4096

static void *no_memory(void)
{
	errno = ENOMEM;
	return 0;
}

static void __attribute__((noreturn)) broken(const char *what, void *p)
{
	fprintf(stderr, "malloc: %s %p\n", what, p);
	abort();
}

static void release(struct arena *a, struct block *b)
{
	if (b->state == BLOCK_USED) {
		__arena_give(a, b);
	} else {
		a->large--;
		a->large_bytes -= b->size;
		munmap((char *)b - b->before, b->size);
	}
}

static struct arena *own_arena(void)
{
	struct arena *a = &__context()->arena;

	if (a->foreign)
		for (struct block *b = __sync_lock_test_and_set(&a->foreign, 0), *next; b; b = next) {
			next = *(struct block **)payload(b);
			release(a, b);
		}
	return a;
}

/* A mapping in which a payload at a multiple of `align` has room. */
static void *large(struct arena *a, size_t n, size_t align)
{
	size_t length = (n + (align > ALIGN ? align : 0) + HEADER + PAGE - 1) & -PAGE;
	char *at = mmap(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return no_memory();
	struct block *b = block_of((void *)(((size_t)at + HEADER + align - 1) & -align));
	b->size = length;
	b->before = (char *)b - at;
	b->arena = a;
	b->state = BLOCK_LARGE;
	a->large++;
	a->large_bytes += length;
	return payload(b);
}

static uint32_t block_size(size_t n)
{
	size_t size = (n + HEADER + ALIGN - 1) & -ALIGN;

	return size < SMALLEST ? SMALLEST : size;
}

void *malloc(size_t n)
{
	struct arena *a = own_arena();

	if (n > MOST)
		return no_memory();
	if (n >= LARGE)
		return large(a, n, ALIGN);
	struct block *b = __arena_take(a, block_size(n));
	return b ? payload(b) : no_memory();
}

static struct block *checked(void *p, const char *what)
{
	struct block *b = block_of(p);

	if ((size_t)p & (ALIGN - 1) || (b->state != BLOCK_USED && b->state != BLOCK_LARGE))
		broken(what, p);
	return b;
}

void free(void *p)
{
	if (!p)
		return;
	struct block *b = checked(p, "free of what is not allocated:");
	struct arena *a = own_arena(), *owner = b->arena;

	if (owner == a) {
		release(a, b);
		return;
	}
	struct block *first;
	do
		*(struct block **)p = first = owner->foreign;
	while (!__sync_bool_compare_and_swap(&owner->foreign, first, b));
}

void *calloc(size_t n, size_t size)
{
	void *p = size && n > MOST / size ? no_memory() : malloc(n * size);

	return p ? memset(p, 0, n * size) : 0;
}

size_t malloc_usable_size(void *p)
{
	if (!p)
		return 0;
	struct block *b = checked(p, "malloc_usable_size of what is not allocated:");
	return b->size - HEADER - (b->state == BLOCK_LARGE ? b->before : 0);
}

void *realloc(void *p, size_t n)
{
	struct arena *a = own_arena();

	if (!p)
		return malloc(n);
	struct block *b = checked(p, "realloc of what is not allocated:");
	size_t had = malloc_usable_size(p);
	if (b->state == BLOCK_USED && b->arena == a && n < LARGE) {
		uint32_t size = block_size(n);
		if (size <= b->size) {
			__arena_shorten(a, b, size);
			return p;
		}
		if (__arena_extend(a, b, size))
			return p;
	} else if (n <= had && (b->state == BLOCK_USED || n > had / 2)) {
		return p;
	}
	void *q = malloc(n);
	if (!q)
		return 0;
	memcpy(q, p, n < had ? n : had);
	free(p);
	return q;
}

/* A longer block, of which the part before the aligned address is given back. */
static void *small_aligned(struct arena *a, size_t align, size_t n)
{
	struct block *b = __arena_take(a, block_size(n + align + SMALLEST)), *at;

	if (!b)
		return no_memory();
	size_t p = ((size_t)payload(b) + align - 1) & -align;
	if (p != (size_t)payload(b)) {
		if (p - (size_t)payload(b) < SMALLEST)
			p += align;
		at = block_of((void *)p);
		uint32_t front = (char *)at - (char *)b;
		at->size = b->size - front;
		at->before = front;
		at->arena = a;
		at->state = BLOCK_USED;
		block_after(at)->before = at->size;
		b->size = front;
		__arena_give(a, b);
		b = at;
	}
	__arena_shorten(a, b, block_size(n));
	return payload(b);
}

void *memalign(size_t align, size_t n)
{
	struct arena *a = own_arena();

	if (!align || align & (align - 1)) {
		errno = EINVAL;
		return 0;
	}
	if (align <= ALIGN)
		return malloc(n);
	if (n > MOST || align > MOST - n)
		return no_memory();
	return n + 2 * align >= LARGE ? large(a, n, align) : small_aligned(a, align, n);
}

void *aligned_alloc(size_t align, size_t n) { return memalign(align, n); }

int posix_memalign(void **p, size_t align, size_t n)
{
	int kept = errno;

	if (align < sizeof(void *) || align & (align - 1))
		return EINVAL;
	void *q = memalign(align, n);
	errno = kept;
	if (!q)
		return ENOMEM;
	*p = q;
	return 0;
}

int malloc_trim(size_t pad)
{
	(void)pad;
	return __arena_trim(own_arena());
}

struct mallinfo mallinfo(void)
{
	struct arena *a = own_arena();

	return (struct mallinfo){ a->region_bytes, a->large, a->large_bytes, a->used_bytes, a->region_bytes - a->used_bytes };
}
