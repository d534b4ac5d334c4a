/* sys_file.c - the calls about descriptors. */
#include "file.h"

s32 sys_read(u32 fd, u32 to, u32 n);
s32 sys_write(u32 fd, u32 from, u32 n);
s32 sys_close(u32 fd);
s32 sys_dup(u32 fd);
s32 sys_dup2(u32 fd, u32 to);

/* The reference keeps the file while the call sleeps in it; another thread may close the descriptor meanwhile. */
s32 sys_read(u32 fd, u32 to, u32 n)
{
	struct file *f = file_of(current_files(), fd);
	if (!f)
		return -EBADF;
	if (n > 0x7fffffff)
		return -EINVAL;
	current->inside = file_hold(f);
	s32 result = f->ops->read(f, to, n);
	uls_file_ready(f, f->ops->poll(f));     /* reading may have made it not ready */
	file_abandon(current);
	return result;
}

s32 sys_write(u32 fd, u32 from, u32 n)
{
	struct file *f = file_of(current_files(), fd);
	if (!f)
		return -EBADF;
	if (n > 0x7fffffff)
		return -EINVAL;
	current->inside = file_hold(f);
	s32 result = f->ops->write(f, from, n);
	uls_file_ready(f, f->ops->poll(f));
	file_abandon(current);
	return result;
}

s32 sys_close(u32 fd)
{
	struct files *files = current_files();
	struct file *f = file_of(files, fd);
	if (!f)
		return -EBADF;
	files->file[fd] = 0;
	file_put(f);
	return 0;
}

s32 sys_dup(u32 fd)
{
	struct files *files = current_files();
	struct file *f = file_of(files, fd);
	s32 to = f ? file_install(files, f) : -EBADF;
	if (to >= 0)
		file_hold(f);
	return to;
}

s32 sys_dup2(u32 fd, u32 to)
{
	struct files *files = current_files();
	struct file *f = file_of(files, fd), *was;
	if (!f || to >= files->limit)
		return -EBADF;
	if (fd == to)
		return (s32)to;
	was = files->file[to];
	files->file[to] = file_hold(f);
	if (was)
		file_put(was);
	return (s32)to;
}
