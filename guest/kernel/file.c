/*
 * file.c - open files and the tables that number them.
 *
 *   process, its threads, its extensions ---> struct files ---> struct file ---> ops, data (console, pipe end)
 *                                             file[fd]          shared by dup() and fork()
 *
 * Ring 0 is not preempted and a file is never opened or closed by an interrupt, so the counts need no lock.
 */
#include "file.h"
#include "uls.h"

static struct pool file_pool = { .size = sizeof(struct file) }, files_pool = { .size = sizeof(struct files) };

struct file *file_create(const struct file_ops *ops, void *data)
{
	struct file *f = pool_alloc(&file_pool);
	if (f)
		*f = (struct file){ ops, 1, data };
	return f;
}

void file_discard(struct file *f) { pool_free(&file_pool, f); }

void file_put(struct file *f)
{
	if (--f->refs)
		return;
	f->ops->release(f);
	pool_free(&file_pool, f);
}

void file_abandon(struct task *t)
{
	struct file *f = t->inside;
	t->inside = 0;
	if (f)
		file_put(f);
}

void file_ready(struct file *f)
{
	wake_all(&poll_wait);
	uls_file_ready(f, f->ops->poll(f));
}

struct files *files_create(void)
{
	struct files *files = pool_alloc(&files_pool);
	if (!files)
		return 0;
	files->refs = 1;
	files->limit = MAX_FILES;
	for (u32 fd = 0; fd <= 2; fd++)
		files->file[fd] = file_hold(&console_file);
	return files;
}

struct files *files_copy(const struct files *from)
{
	struct files *files = pool_alloc(&files_pool);
	if (!files)
		return 0;
	*files = *from;
	files->refs = 1;
	for (u32 fd = 0; fd < MAX_FILES; fd++)
		if (files->file[fd])
			file_hold(files->file[fd]);
	return files;
}

void files_put(struct files *files)
{
	if (--files->refs)
		return;
	for (u32 fd = 0; fd < MAX_FILES; fd++)
		if (files->file[fd])
			file_put(files->file[fd]);
	pool_free(&files_pool, files);
}

struct files *current_files(void) { return current->ext ? process()->files : current->files; }

struct file *file_of(const struct files *files, u32 fd) { return fd < MAX_FILES ? files->file[fd] : 0; }

s32 file_install(struct files *files, struct file *f)
{
	for (u32 fd = 0; fd < files->limit; fd++)
		if (!files->file[fd]) {
			files->file[fd] = f;
			return (s32)fd;
		}
	return -EMFILE;
}

u32 files_open(const struct files *files)
{
	u32 n = 0;
	for (u32 fd = 0; fd < MAX_FILES; fd++)
		n += files->file[fd] != 0;
	return n;
}
