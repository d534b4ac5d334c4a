/*
 * arena.c - blocks of less than 64 KB, in regions got by brk, or by mmap for who does not have the break.
 *
 *   region:  | struct region | block | block | ... | END |         block:  | size  before  arena  state | payload ... |
 *
 * Blocks follow each other without gaps and know their neighbour's size on both sides, so a free one is joined with free
 * neighbours at once. A region that is free again goes back by munmap (one is kept), the end of the break's by brk.
 */
#include "arena.h"
#include "context.h"
#include <sys/mman.h>
#include <unistd.h>

#define GROW 0x4000
#define KEEP 0x10000             /* of free memory at the break */
#define PAGE 4096

static int bin_of(uint32_t size)
{
	int bin = 31 - __builtin_clz(size) - 5;

	return bin < BINS ? bin : BINS - 1;
}

static void link_free(struct arena *a, struct block *b)
{
	struct block **bin = &a->bin[bin_of(b->size)];

	b->state = BLOCK_FREE;
	b->arena = a;
	b->previous = 0;
	b->next = *bin;
	if (*bin)
		(*bin)->previous = b;
	*bin = b;
}

static void unlink_free(struct arena *a, struct block *b)
{
	*(b->previous ? &b->previous->next : &a->bin[bin_of(b->size)]) = b->next;
	if (b->next)
		b->next->previous = b->previous;
}

static void resize(struct block *b, uint32_t size)
{
	b->size = size;
	block_after(b)->before = size;
}

static void put_end(struct block *end, uint32_t before)
{
	end->size = 0;
	end->before = before;
	end->state = BLOCK_END;
}

static struct block *join(struct arena *a, struct block *b)
{
	struct block *after = block_after(b), *before = (struct block *)((char *)b - b->before);

	if (after->state == BLOCK_FREE) {
		unlink_free(a, after);
		resize(b, b->size + after->size);
	}
	if (b->before && before->state == BLOCK_FREE) {
		unlink_free(a, before);
		resize(before, before->size + b->size);
		b = before;
	}
	return b;
}

static struct block *first_block(struct region *r) { return (struct block *)(r + 1); }
static struct block *end_block(struct region *r) { return (struct block *)((char *)r + r->size - HEADER); }
static int all_free(struct region *r)
{
	return first_block(r)->state == BLOCK_FREE && block_after(first_block(r)) == end_block(r);
}

static void add_region(struct arena *a, void *at, uint32_t size, int is_break, uint32_t lead)
{
	struct region *r = at;
	struct block *b = first_block(r);

	*r = (struct region){ a->regions, size, is_break, lead };
	a->regions = r;
	a->region_bytes += size;
	b->before = 0;
	b->size = size - sizeof *r - HEADER;
	put_end(block_after(b), b->size);
	link_free(a, b);
}

/* The region that ends at the break, if nobody else has moved it. */
static struct region *at_break(struct arena *a, char *end)
{
	struct region *r = a->regions;

	while (r && (!r->is_break || (char *)r + r->size != end))
		r = r->next;
	return r;
}

static int grow_break(struct arena *a, uint32_t room)
{
	if (!__may_move_break())
		return 0;
	char *now = sbrk(0);
	struct region *r = at_break(a, now);
	uint32_t lead = r ? 0 : -(uint32_t)now & (ALIGN - 1);

	if (sbrk(lead + room) != now)
		return 0;
	if (!r) {
		add_region(a, now + lead, room, 1, lead);
		return 1;
	}
	struct block *b = end_block(r);          /* the old end is a free block now */
	r->size += room;
	a->region_bytes += room;
	b->size = room;
	put_end(block_after(b), room);
	b->state = BLOCK_USED;
	link_free(a, join(a, b));
	return 1;
}

static int grow(struct arena *a, uint32_t size)
{
	uint32_t room = (size + sizeof(struct region) + HEADER + GROW - 1) & -GROW;
	void *at;

	if (grow_break(a, room))
		return 1;
	at = mmap(0, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return 0;
	add_region(a, at, room, 0, 0);
	a->spare++;
	return 1;
}

static struct block *search(struct arena *a, uint32_t size)
{
	for (int i = bin_of(size); i < BINS; i++)
		for (struct block *b = a->bin[i]; b; b = b->next)
			if (b->size >= size)
				return b;
	return 0;
}

/* A wholly free mapped region: is b all of one? */
static struct region *whole_region(struct block *b)
{
	struct region *r = (struct region *)b - 1;

	return !b->before && block_after(b)->state == BLOCK_END && !r->is_break ? r : 0;
}

struct block *__arena_take(struct arena *a, uint32_t size)
{
	struct block *b = search(a, size);

	if (!b && (!grow(a, size) || !(b = search(a, size))))
		return 0;
	unlink_free(a, b);
	if (whole_region(b))
		a->spare--;
	b->state = BLOCK_USED;
	a->used_bytes += b->size;
	__arena_shorten(a, b, size);
	return b;
}

void __arena_shorten(struct arena *a, struct block *b, uint32_t size)
{
	uint32_t left = b->size - size;

	if (left < SMALLEST)
		return;
	resize(b, size);
	struct block *rest = block_after(b);
	rest->before = size;
	rest->state = BLOCK_USED;
	resize(rest, left);
	a->used_bytes -= left;
	link_free(a, join(a, rest));
}

int __arena_extend(struct arena *a, struct block *b, uint32_t size)
{
	struct block *after = block_after(b);

	if (after->state != BLOCK_FREE || b->size + after->size < size)
		return 0;
	unlink_free(a, after);
	a->used_bytes += after->size;
	resize(b, b->size + after->size);
	__arena_shorten(a, b, size);
	return 1;
}

static void give_region(struct arena *a, struct region *r)
{
	struct region **at = &a->regions;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	a->region_bytes -= r->size;
	unlink_free(a, first_block(r));
	if (r->is_break)
		sbrk(-(long)(r->size + r->lead));
	else
		munmap(r, r->size);
}

/* Lower the break to `keep` free bytes; the last block of that region is free. */
static void shorten_break(struct arena *a, struct region *r, uint32_t keep)
{
	struct block *b = (struct block *)((char *)end_block(r) - end_block(r)->before);
	uint32_t extra = b->size > keep ? (b->size - keep) & -PAGE : 0;

	if (extra && b->size - extra < SMALLEST)
		extra -= PAGE;
	if (!extra)
		return;
	unlink_free(a, b);
	b->size -= extra;
	r->size -= extra;
	a->region_bytes -= extra;
	put_end(block_after(b), b->size);
	link_free(a, b);
	sbrk(-(long)extra);
}

void __arena_give(struct arena *a, struct block *b)
{
	a->used_bytes -= b->size;
	b = join(a, b);
	link_free(a, b);
	struct region *r = whole_region(b);
	if (r && a->spare++) {
		a->spare--;
		give_region(a, r);
	} else if (block_after(b)->state == BLOCK_END && b->size > 2 * KEEP && (r = at_break(a, sbrk(0))) &&
		   block_after(b) == end_block(r)) {
		shorten_break(a, r, KEEP);
	}
}

int __arena_trim(struct arena *a)
{
	uint32_t before = a->region_bytes;

	for (struct region *r = a->regions, *next; r; r = next) {
		next = r->next;
		int last = r->is_break && at_break(a, sbrk(0)) == r;
		if (all_free(r) && (!r->is_break || last)) {
			a->spare -= !r->is_break;
			give_region(a, r);
		} else if (last && ((struct block *)((char *)end_block(r) - end_block(r)->before))->state == BLOCK_FREE) {
			shorten_break(a, r, 0);
		}
	}
	return a->region_bytes != before;
}
