/* shm.c - named shared memory, for processes that exchange data (and time stamps) directly. */
#include "task.h"

#define MAX_SHM   8
#define MAX_PAGES 256                       /* 1 MB */

static struct shm { char name[ULS_NAME_LEN]; u32 pages; u32 frame[MAX_PAGES]; } table[MAX_SHM];

static struct shm *find_or_make(const char *name, u32 pages)
{
	struct shm *s = table;
	for (; s < table + MAX_SHM && s->pages; s++)
		if (!strcmp(s->name, name))
			return s;
	if (s == table + MAX_SHM)
		return 0;
	for (u32 i = 0; i < pages; i++) {
		void *p = alloc_zero_page();
		if (!p) {
			while (i)
				free_pages(direct(s->frame[--i]), 0);
			return 0;
		}
		s->frame[i] = physical(p);
	}
	copy_string(s->name, name, sizeof(s->name));
	s->pages = pages;
	return s;
}

s32 sys_uls_shm(u32 name_at, u32 length);
s32 sys_uls_shm(u32 name_at, u32 length)
{
	char name[ULS_NAME_LEN];
	struct mm *mm = current->mm;
	u32 pages = (length + PAGE_SIZE - 1) >> PAGE_SHIFT;
	s32 error = string_from_user(name, name_at, sizeof(name));
	if (error < 0)
		return error;
	if (!mm || !length || length > MAX_PAGES * PAGE_SIZE)
		return -EINVAL;
	struct shm *s = find_or_make(name, pages);
	if (!s || pages > s->pages)
		return s ? -EINVAL : -ENOMEM;
	u32 start = mm_find_gap(mm, pages << PAGE_SHIFT);
	error = start ? mm_add(mm, start, start + (pages << PAGE_SHIFT), true, true) : -ENOMEM;
	for (u32 i = 0; i < pages && error == 0; i++)
		error = mm_map_page(mm, start + (i << PAGE_SHIFT), s->frame[i], PTE_W | PTE_SHM);
	return error ? error : (s32)start;
}
