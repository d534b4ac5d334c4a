/*
 * sandbox_heap.c - the pages of the protected area above the extensions' stacks.
 *
 *   0x40800000 +------------------------+
 *              | mmap, shared segments  |  runs of pages, first fit from above; each page knows who has it
 *              |   free                 |
 *              | brk                    |  one break, of one extension at a time; grows upwards
 *   first page +------------------------+
 *              | stacks, data           |  fixed
 *   0x40400000 +------------------------+
 *
 * The area is one superpage: nothing is mapped or unmapped here, pages only change owners. They are zeroed when they
 * are handed out.
 */
#include "uls.h"

#define PAGES     (ULS_AREA_SIZE / PAGE_SIZE)
#define FREE      0
#define BREAK     0xfe
#define FIXED     0xff

static u8 owner[PAGES];                      /* FREE, BREAK, FIXED, or who called sandbox_alloc() */
static char *area;                           /* the 4 MB in the direct map */
static u32 heap_start, heap_end;             /* of brk: addresses in the protected area */
static u8 break_owner;                       /* who has moved it from its start, or FREE */

static u32 page_of(u32 address) { return (address - ULS_PROTECTED_BASE) >> PAGE_SHIFT; }
static u32 address_of(u32 page) { return ULS_PROTECTED_BASE + (page << PAGE_SHIFT); }

void sandbox_heap_init(void *frames, u32 first)
{
	area = frames;
	heap_start = heap_end = first;
	for (u32 i = 0; i < PAGES; i++)
		owner[i] = i < page_of(first) ? FIXED : FREE;
}

/* Through the direct map: touched at its own address while closed, the area would be in the TLB as closed, and with
 * flush=none the next handler would fault on it. */
void sandbox_clear(u32 address, u32 n) { memset(area + (address - ULS_PROTECTED_BASE), 0, n); }

u32 sandbox_physical(u32 address) { return physical(area) + (address - ULS_PROTECTED_BASE); }

static bool give_to_break(u32 from, u32 to)
{
	for (u32 i = from; i < to; i++)
		if (owner[i] != FREE)
			return false;
	memset(owner + from, BREAK, to - from);
	memset(area + (from << PAGE_SHIFT), 0, (to - from) << PAGE_SHIFT);
	return true;
}

/* As Linux's brk: the result is the break, unchanged if the request cannot be met. 0: another extension has the break. */
u32 sandbox_brk(u32 address, u8 who)
{
	if (break_owner != FREE && break_owner != who)
		return 0;
	if (!area || address < heap_start || address > ULS_PROTECTED_BASE + ULS_AREA_SIZE)
		return heap_end;
	u32 have = page_of(ALIGN_UP(heap_end, PAGE_SIZE)), want = page_of(ALIGN_UP(address, PAGE_SIZE));
	if (want > have && !give_to_break(have, want))
		return heap_end;
	if (want < have)
		memset(owner + want, FREE, have - want);
	if (address > heap_end && (heap_end & (PAGE_SIZE - 1)))    /* the page that it ended in may have been used further up */
		memset(area + (heap_end - ULS_PROTECTED_BASE), 0, PAGE_SIZE - (heap_end & (PAGE_SIZE - 1)));
	break_owner = address == heap_start ? FREE : who;
	return heap_end = address;
}

/* Its owner's end. -> the pages that were its */
u32 sandbox_break_release(u8 who)
{
	u32 pages = page_of(ALIGN_UP(heap_end, PAGE_SIZE)) - page_of(ALIGN_UP(heap_start, PAGE_SIZE));
	if (break_owner != who)
		return 0;
	sandbox_brk(heap_start, who);
	return pages;
}

/* -> address or 0 */
u32 sandbox_alloc(u32 pages, u8 who)
{
	u32 run = 0;
	for (u32 i = area ? PAGES : 0; i-- > 0;) {
		run = owner[i] == FREE ? run + 1 : 0;
		if (run < pages)
			continue;
		memset(owner + i, who, pages);
		memset(area + (i << PAGE_SHIFT), 0, pages << PAGE_SHIFT);
		return address_of(i);
	}
	return 0;
}

/* Of these pages, those that `who` has. -> how many */
u32 sandbox_free(u32 address, u32 pages, u8 who)
{
	u32 n = 0, first = page_of(address);
	for (u32 i = first; i < first + pages; i++)
		if (owner[i] == who) {
			owner[i] = FREE;
			n++;
		}
	return n;
}

u32 sandbox_free_all(u8 who) { return sandbox_free(ULS_PROTECTED_BASE, PAGES, who); }
