/*
 * address_space.c - page directories and what may be in them.
 *
 * A new directory is a copy of the template: the direct map (entries 768..) and the two sandbox superpages (256, 257)
 * are the same everywhere; the rest is private. Private pages are 4 KB, allocated at the first touch inside a VMA
 * (page_fault.c).
 */
#include "shm.h"

u32 *loaded_pgd = template_pgd;
u32 cr3_write_count;

/* Every CR3 write of the kernel is counted here. */
void load_page_directory(u32 *pgd)
{
	loaded_pgd = pgd;
	cr3_write_count++;
	write_cr3(physical(pgd));
}

/*
 * tagged=on: the TLB keeps entries by page directory, and MOV CR3 drops some only when it loads the directory that is
 * loaded already. A new directory may lie in the frame of one that is gone, whose entries may still be there: load it
 * twice before anybody runs on it. The kernel is mapped in it, and nothing else is touched meanwhile.
 *
 * Nothing else has to change. While a process ends, its directory may be out of CR3 already and its pages are freed
 * without INVLPG: its entries are never used again before this. Every other change is made to the loaded directory, or
 * to what is the same in all and global (the sandbox with flush=invlpg, windows of small.c), where INVLPG finds it.
 */
static void drop_tag(u32 *pgd)
{
	u32 flags = irq_save();
	write_cr3(physical(pgd));
	write_cr3(physical(pgd));
	write_cr3(physical(loaded_pgd));
	irq_restore(flags);
}

struct mm *mm_create(void)
{
	_Static_assert(sizeof(struct mm) <= PAGE_SIZE, "struct mm fits a page");
	struct mm *mm = alloc_zero_page();
	u32 *pgd = alloc_pages(0);
	if (!mm || !pgd) {
		if (mm)
			free_pages(mm, 0);
		if (pgd)
			free_pages(pgd, 0);
		return 0;
	}
	memcpy(pgd, template_pgd, PAGE_SIZE);
	mm->pgd = pgd;
	mm->users = 1;
	mm->limit = RLIM_INFINITY;
	mm->top = options.small ? SMALL_AREA_BASE : KERNEL_BASE;
	if (options.tagged)
		drop_tag(pgd);
	return mm;
}

static u32 *pte_of(struct mm *mm, u32 address, bool make)
{
	u32 *pde = &mm->pgd[PDX(address)];
	if (!(*pde & PTE_P)) {
		u32 *table = make ? alloc_zero_page() : 0;
		if (!table)
			return 0;
		*pde = physical(table) | PTE_P | PTE_W | PTE_U;
	}
	return (u32 *)direct(PTE_FRAME(*pde)) + PTX(address);
}

s32 mm_map_page(struct mm *mm, u32 address, u32 phys, u32 bits)
{
	u32 *pte = pte_of(mm, address, true);
	if (!pte)
		return -ENOMEM;
	*pte = phys | bits | mm->global | PTE_P | PTE_U;    /* was not present: nothing cached, nothing to invalidate */
	return 0;
}

struct vma *mm_find(struct mm *mm, u32 address)
{
	for (u32 i = 0; i < mm->count; i++)
		if (address >= mm->vma[i].start && address < mm->vma[i].end)
			return &mm->vma[i];
	return 0;
}

static bool overlaps(struct mm *mm, u32 start, u32 end)
{
	if (start < ULS_PROTECTED_BASE + ULS_AREA_SIZE && end > ULS_PUBLIC_BASE)
		return true;
	for (u32 i = 0; i < mm->count; i++)
		if (start < mm->vma[i].end && end > mm->vma[i].start)
			return true;
	return false;
}

/* RLIMIT_AS: the sum of the mappings. */
bool mm_allows(const struct mm *mm, u32 more)
{
	u32 sum = mm->elsewhere;
	if (mm->limit == RLIM_INFINITY)
		return true;
	for (u32 i = 0; i < mm->count; i++)
		sum += mm->vma[i].end - mm->vma[i].start;
	return sum <= mm->limit && more <= mm->limit - sum;
}

/* A VMA may grow upwards into an adjacent one of the same kind (brk). */
s32 mm_add(struct mm *mm, u32 start, u32 end, bool writable, struct shm *shm)
{
	if (start >= end || start < PAGE_SIZE || end > mm->top || overlaps(mm, start, end))
		return -EINVAL;
	if (!mm_allows(mm, end - start))
		return -ENOMEM;
	for (u32 i = 0; i < mm->count; i++) {
		struct vma *v = &mm->vma[i];
		if (v->end == start && v->writable == writable && !v->shm && !shm) {
			v->end = end;
			return 0;
		}
	}
	if (mm->count == MAX_VMA)
		return -ENOMEM;
	mm->vma[mm->count++] = (struct vma){ start, end, writable, shm };
	return 0;
}

static void unmap_range(struct mm *mm, u32 start, u32 end)
{
	for (u32 a = start; a < end; a += PAGE_SIZE) {
		u32 *pte = pte_of(mm, a, false);
		if (!pte) {
			a |= SUPERPAGE_SIZE - PAGE_SIZE;    /* no table: skip its 4 MB */
			continue;
		}
		u32 old = *pte;
		*pte = 0;
		if (!(old & PTE_P))
			continue;
		if (loaded_pgd == mm->pgd || mm->window)
			invlpg(mm->window + a);
		if (!(old & PTE_SHM))
			page_release(PTE_FRAME(old));
	}
}

s32 mm_remove(struct mm *mm, u32 start, u32 end)
{
	for (u32 i = 0; i < mm->count; i++) {
		struct vma *v = &mm->vma[i];
		if (end <= v->start || start >= v->end)
			continue;
		struct shm *gone = 0;
		u32 from = start > v->start ? start : v->start, to = end < v->end ? end : v->end;
		if (from > v->start && to < v->end) {       /* a hole: split */
			if (mm->count == MAX_VMA)
				return -ENOMEM;
			mm->vma[mm->count++] = (struct vma){ to, v->end, v->writable, v->shm };
			if (v->shm)
				shm_hold(v->shm);
			v->end = from;
		} else if (from > v->start) {
			v->end = from;
		} else if (to < v->end) {
			v->start = to;
		} else {
			gone = v->shm;
			*v = mm->vma[--mm->count];
			i--;
		}
		unmap_range(mm, from, to);
		if (gone)
			shm_drop(gone);
	}
	return 0;
}

/* First fit above 0x60000000, or above the lower half of a window. */
u32 mm_find_gap(struct mm *mm, u32 length)
{
	u32 start = mm->window ? SMALL_WINDOW_SIZE / 2 : 0x60000000;
	for (u32 i = 0; i < mm->count; i++) {
		if (start < mm->vma[i].end && start + length > mm->vma[i].start) {
			start = mm->vma[i].end;
			i = (u32)-1;                        /* start over */
		}
		if (length > mm->top - start)
			return 0;
	}
	return start;
}

void *mm_touch(struct mm *mm, u32 address)
{
	struct vma *v = mm_find(mm, address);
	u32 *pte = v ? pte_of(mm, address, true) : 0;
	if (!pte)
		return 0;
	if (!(*pte & PTE_P)) {
		void *page = alloc_zero_page();
		if (!page)
			return 0;
		*pte = physical(page) | PTE_P | PTE_U | (v->writable ? PTE_W : 0) | mm->global;
	}
	return (char *)direct(PTE_FRAME(*pte)) + (address & (PAGE_SIZE - 1));
}

/*
 * fork(): both address spaces map the same frames. Private pages become read-only in both, and whoever writes first
 * gets a copy (mm_unshare). Pages of a shared object stay shared.
 */
static bool copy_range(struct mm *to, struct mm *from, u32 start, u32 end)
{
	for (u32 a = start; a < end; a += PAGE_SIZE) {
		u32 *pte = pte_of(from, a, false);
		if (!pte) {
			a |= SUPERPAGE_SIZE - PAGE_SIZE;    /* no table: skip its 4 MB */
			continue;
		}
		if (!(*pte & PTE_P))
			continue;
		u32 *copy = pte_of(to, a, true);
		if (!copy)
			return false;
		if (!(*pte & PTE_SHM)) {
			*pte &= ~PTE_W;
			page_share(PTE_FRAME(*pte));
		}
		*copy = *pte & ~(PTE_A | PTE_D);
	}
	return true;
}

struct mm *mm_copy(struct mm *from)
{
	struct mm *mm = mm_create();
	bool ok = mm != 0;
	if (!mm)
		return 0;
	mm->limit = from->limit;
	mm->brk_start = from->brk_start;
	mm->brk = from->brk;
	mm->count = from->count;
	memcpy(mm->vma, from->vma, from->count * sizeof(from->vma[0]));
	for (u32 i = 0; i < from->count; i++)
		if (mm->vma[i].shm)
			shm_hold(mm->vma[i].shm);
	for (u32 i = 0; i < from->count && ok; i++)
		ok = copy_range(mm, from, from->vma[i].start, from->vma[i].end);
	load_page_directory(from->pgd);             /* drops the writable translations from the TLB */
	if (ok)
		return mm;
	mm_put(mm);
	return 0;
}

bool mm_unshare(struct mm *mm, u32 address)
{
	u32 *pte = pte_of(mm, address, false);
	if (!pte || (*pte & (PTE_P | PTE_W | PTE_SHM)) != PTE_P)
		return false;
	u32 frame = PTE_FRAME(*pte);
	if (page_shared(frame)) {
		void *page = alloc_pages(0);
		if (!page)
			return false;
		memcpy(page, direct(frame), PAGE_SIZE);
		page_release(frame);
		frame = physical(page);
	}
	*pte = frame | PTE_P | PTE_W | PTE_U;
	invlpg(address);
	return true;
}

void mm_put(struct mm *mm)
{
	if (--mm->users)
		return;
	if (loaded_pgd == mm->pgd)
		load_page_directory(template_pgd);
	for (u32 i = 0; i < mm->count; i++) {
		unmap_range(mm, mm->vma[i].start, mm->vma[i].end);
		if (mm->vma[i].shm)
			shm_drop(mm->vma[i].shm);
	}
	if (mm->window)
		small_mm_release(mm);               /* its page table stays: it is in every page directory */
	else for (u32 i = 0; i < PDX(mm->top); i++)
		if ((mm->pgd[i] & PTE_P) && !(mm->pgd[i] & PTE_PS))
			free_pages(direct(PTE_FRAME(mm->pgd[i])), 0);
	free_pages(mm->pgd, 0);
	free_pages(mm, 0);
}
