/*
 * malloc.c - first fit over brk.
 *
 *     | header | payload ... | header | payload ... | <- break        blocks follow each other without gaps
 *
 * A header holds its block's size and whether it is free; walking the blocks from the first finds room and, on the
 * way, joins free neighbours. Slow with many blocks and hard to break, which is the right trade for a test guest.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALIGN 16
#define CHUNK 0x4000     /* grow by at least this */

struct header {
	size_t size;     /* of the whole block, header included: a multiple of ALIGN */
	size_t free;
	size_t pad[2];   /* keeps the payload aligned */
};

static struct header *first, *end;

static struct header *next(struct header *h) { return (struct header *)((char *)h + h->size); }

static void split(struct header *h, size_t size)
{
	struct header *rest = (struct header *)((char *)h + size);

	if (h->size - size < sizeof *h + ALIGN)
		return;
	rest->size = h->size - size;
	rest->free = 1;
	h->size = size;
}

static void join(struct header *h)
{
	while (next(h) < end && next(h)->free)
		h->size += next(h)->size;
}

static struct header *grow(size_t size)
{
	size_t wanted = size > CHUNK ? size : CHUNK;
	struct header *h;

	if (!first) {
		size_t at = (size_t)sbrk(0);

		if (sbrk(-at & (ALIGN - 1)) == (void *)-1)
			return 0;
	}
	if ((intptr_t)wanted < 0 || (h = sbrk(wanted)) == (void *)-1)
		return 0;
	if (!first)
		first = h;
	h->size = wanted;
	h->free = 1;
	end = next(h);
	return h;
}

void *malloc(size_t n)
{
	size_t size = (n + sizeof(struct header) + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	struct header *h;

	if (n > SIZE_MAX / 2)
		return 0;
	for (h = first; h && h < end; h = next(h)) {
		if (!h->free)
			continue;
		join(h);
		if (h->size >= size)
			break;
	}
	if (!h || h >= end)
		h = grow(size);
	if (!h)
		return 0;
	split(h, size);
	h->free = 0;
	return h + 1;
}

void free(void *p)
{
	if (p)
		((struct header *)p - 1)->free = 1;
}

void *calloc(size_t n, size_t size)
{
	void *p = size && n > SIZE_MAX / size ? 0 : malloc(n * size);

	return p ? memset(p, 0, n * size) : 0;
}

void *realloc(void *p, size_t n)
{
	size_t had = p ? ((struct header *)p - 1)->size - sizeof(struct header) : 0;
	void *q;

	if (p && had >= n)
		return p;
	q = malloc(n);
	if (q && p) {
		memcpy(q, p, had);
		free(p);
	}
	return q;
}
