/*
 * page_alloc.c - physical frames: a buddy allocator.
 *
 * A free block of order k is 2^k frames, aligned to its size; its buddy is the block whose frame number differs in
 * bit k. Two free buddies merge. The sandbox needs it: two 4 MB superpages are one block of order 11, aligned by
 * construction.
 */
#include "kernel.h"

#define NOT_FREE 0xff

struct page {
	struct page *next, *prev;
	u8 order;                                  /* NOT_FREE unless this frame heads a free block */
	u16 sharers;                               /* address spaces that map it, besides the first */
};

static struct page *pages;
static u32 page_total, page_free;
static struct page *free_list[MAX_ORDER + 1];

static void push(struct page *p, u32 order)
{
	p->order = (u8)order;
	p->prev = 0;
	p->next = free_list[order];
	if (p->next)
		p->next->prev = p;
	free_list[order] = p;
}

static void take(struct page *p)
{
	if (p->prev)
		p->prev->next = p->next;
	else
		free_list[p->order] = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->order = NOT_FREE;
}

void free_pages(void *address, u32 order)
{
	u32 n = physical(address) >> PAGE_SHIFT, flags = irq_save();
	page_free += 1u << order;
	for (; order < MAX_ORDER; order++) {
		u32 buddy = n ^ (1u << order);
		if (buddy >= page_total || pages[buddy].order != order)
			break;
		take(&pages[buddy]);
		n &= ~(1u << order);
	}
	push(&pages[n], order);
	irq_restore(flags);
}

void *alloc_pages(u32 order)
{
	u32 flags = irq_save(), k = order;
	void *address = 0;
	while (k <= MAX_ORDER && !free_list[k])
		k++;
	if (k <= MAX_ORDER) {
		struct page *p = free_list[k];
		take(p);
		while (k > order) {
			k--;
			push(p + (1u << k), k);     /* give the upper half back */
		}
		page_free -= 1u << order;
		address = direct((u32)(p - pages) << PAGE_SHIFT);
	}
	irq_restore(flags);
	return address;
}

void *alloc_zero_page(void)
{
	void *p = alloc_pages(0);
	if (p)
		memset(p, 0, PAGE_SIZE);
	return p;
}

void page_share(u32 phys) { pages[phys >> PAGE_SHIFT].sharers++; }
bool page_shared(u32 phys) { return pages[phys >> PAGE_SHIFT].sharers != 0; }

void page_release(u32 phys)
{
	struct page *p = &pages[phys >> PAGE_SHIFT];
	if (p->sharers)
		p->sharers--;
	else
		free_pages(direct(PTE_FRAME(phys)), 0);
}

u32 free_page_count(void) { return page_free; }

/* Everything below start_free stays reserved (first megabyte, kernel, modules); the frame table comes right after. */
void page_alloc_init(u32 start_free, u32 top)
{
	page_total = top >> PAGE_SHIFT;
	pages = direct(ALIGN_UP(start_free, 16));
	start_free = ALIGN_UP(physical(pages + page_total), PAGE_SIZE);
	for (u32 i = 0; i < page_total; i++)
		pages[i] = (struct page){ .order = NOT_FREE };
	/* Free the largest aligned blocks that fit. From the top down, so that low memory is handed out first. */
	u32 end = page_total, first = start_free >> PAGE_SHIFT;
	while (end > first) {
		u32 order = MAX_ORDER;
		while ((end & ((1u << order) - 1)) || end - (1u << order) < first || (1u << order) > end)
			order--;
		end -= 1u << order;
		free_pages(direct(end << PAGE_SHIFT), order);
	}
}
