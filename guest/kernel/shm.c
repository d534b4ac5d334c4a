/*
 * shm.c - shared memory: segments of frames that several address spaces map.
 *
 * Two kinds of names: SYS_uls_shm's strings, whose segments stay for ever, and System V keys and ids (sys_ipc.c).
 * Two kinds of frames: from the page allocator, or pages of the sandbox's protected area. The latter an extension can
 * use where they are, and a process maps them as 4 KB user pages in its private area:
 *
 *      process      0x60000000   4 KB pages, always open ---+
 *                                                           +--> the same frames
 *      extension    0x407ff000   in the 4 MB superpage -----+
 */
#include "shm.h"

static struct shm table[MAX_SHM];

struct shm *shm_next(struct shm *after)
{
	struct shm *s = after ? after + 1 : table;
	while (s < table + MAX_SHM && !s->pages)
		s++;
	return s < table + MAX_SHM ? s : 0;
}

static bool take_frames(struct shm *s, u32 pages, bool sandbox)
{
	if (sandbox && !(s->sandbox = sandbox_alloc(pages, SANDBOX_SEGMENT)))
		return false;
	for (u32 i = 0; i < pages; i++) {
		void *p = sandbox ? 0 : alloc_zero_page();
		if (!sandbox && !p) {
			while (i)
				free_pages(direct(s->frame[--i]), 0);
			return false;
		}
		s->frame[i] = sandbox ? sandbox_physical(s->sandbox) + (i << PAGE_SHIFT) : physical(p);
	}
	return true;
}

struct shm *shm_create(u32 size, bool sandbox, s32 *error)
{
	struct shm *s = table;
	while (s < table + MAX_SHM && s->pages)
		s++;
	*error = s == table + MAX_SHM ? -ENOSPC : -ENOMEM;
	if (s == table + MAX_SHM)
		return 0;
	u32 sequence = s->sequence + 1;
	memset(s, 0, sizeof(*s));
	s->sequence = sequence;
	s->frame = alloc_pages(0);
	if (!s->frame)
		return 0;
	if (!take_frames(s, (size + PAGE_SIZE - 1) >> PAGE_SHIFT, sandbox)) {
		free_pages(s->frame, 0);
		return 0;
	}
	s->id = (sequence * MAX_SHM + (u32)(s - table)) & 0x7fffffff;
	s->size = size;
	s->pages = (size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	return s;
}

static void destroy(struct shm *s)
{
	if (s->sandbox)
		sandbox_free(s->sandbox, s->pages, SANDBOX_SEGMENT);
	for (u32 i = 0; i < s->pages && !s->sandbox; i++)
		free_pages(direct(s->frame[i]), 0);
	free_pages(s->frame, 0);
	s->pages = 0;
}

void shm_hold(struct shm *s) { s->attached++; }

void shm_drop(struct shm *s)
{
	if (--s->attached == 0 && s->destroyed)
		destroy(s);
}

/* IPC_RMID: nobody finds it any more; it goes with its last attachment. */
void shm_destroy(struct shm *s)
{
	s->destroyed = true;
	shm_hold(s);
	shm_drop(s);
}

/* -> address, `wanted` or (0) one that is free; or minus error */
s32 shm_attach(struct mm *mm, struct shm *s, u32 wanted, bool writable)
{
	u32 length = s->pages << PAGE_SHIFT, start = wanted ? wanted : mm_find_gap(mm, length);
	s32 error = start ? mm_add(mm, start, start + length, writable, s) : -ENOMEM;
	if (error)
		return error;
	shm_hold(s);
	for (u32 i = 0; i < s->pages && error == 0; i++)
		error = mm_map_page(mm, start + (i << PAGE_SHIFT), s->frame[i], PTE_SHM | (writable ? PTE_W : 0));
	if (error)
		mm_remove(mm, start, start + length);
	return error ? error : (s32)start;
}

s32 sys_uls_shm(u32 name_at, u32 length);
s32 sys_uls_shm(u32 name_at, u32 length)
{
	char name[ULS_NAME_LEN];
	struct shm *s = 0;
	s32 error = string_from_user(name, name_at, sizeof(name));
	if (error < 0)
		return error;
	if (!current->mm || !error || !length || length > SHM_MAX_PAGES * PAGE_SIZE)
		return -EINVAL;
	while ((s = shm_next(s)) && strcmp(s->name, name))
		;
	if (s && length > s->pages << PAGE_SHIFT)
		return -EINVAL;
	if (!s) {
		s = shm_create(length, false, &error);
		if (!s)
			return -ENOMEM;
		copy_string(s->name, name, sizeof(s->name));
	}
	return shm_attach(current->mm, s, 0, true);
}
