/* pool.c - small objects of one size, cut from pages. A page that was cut stays with its pool. */
#include "kernel.h"

static bool refill(struct pool *p)
{
	char *page = alloc_pages(0);
	if (!page)
		return false;
	for (u32 at = 0; at + p->size <= PAGE_SIZE; at += p->size) {
		*(void **)(page + at) = p->free;
		p->free = page + at;
	}
	return true;
}

void *pool_alloc(struct pool *p)
{
	u32 flags = irq_save();
	void **object = p->free || refill(p) ? p->free : 0;
	if (object)
		p->free = *object;
	irq_restore(flags);
	return object ? memset(object, 0, p->size) : 0;
}

void pool_free(struct pool *p, void *object)
{
	u32 flags = irq_save();
	*(void **)object = p->free;
	p->free = object;
	irq_restore(flags);
}
