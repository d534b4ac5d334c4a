/*
 * pipe.c - pipes: 4 KB of buffer between two open files, as Linux 2.4.
 *
 *     page   |....dddddddddddd......|      `in` and `out` count bytes for ever; the index is the count modulo 4096
 *                 out         in
 *
 * Writes of up to 4096 bytes are atomic: they wait until there is room for all of it.
 */
#include "file.h"

struct pipe {
	char *page;
	u32 in, out;
	struct file *reader, *writer;          /* 0 once the end is closed */
	struct wait_queue readers, writers;
};

static struct pool pipe_pool = { .size = sizeof(struct pipe) };

static u32 used(const struct pipe *p) { return p->in - p->out; }

/* The part of `n` bytes at count `at` that lies in one piece. */
static u32 piece(u32 at, u32 n)
{
	u32 room = PAGE_SIZE - at % PAGE_SIZE;
	return n < room ? n : room;
}

static s32 take(struct pipe *p, u32 to, u32 n)
{
	for (u32 done = 0; done < n;) {
		u32 k = piece(p->out, n - done);
		if (copy_to_user(to + done, p->page + p->out % PAGE_SIZE, k) < 0)
			return done ? (s32)done : -EFAULT;
		p->out += k;
		done += k;
	}
	return (s32)n;
}

/* A bad address must not leave half of an atomic write behind: the count moves only at the end. */
static s32 put(struct pipe *p, u32 from, u32 n)
{
	for (u32 done = 0; done < n;) {
		u32 at = p->in + done, k = piece(at, n - done);
		if (copy_from_user(p->page + at % PAGE_SIZE, from + done, k) < 0)
			return -EFAULT;
		done += k;
	}
	p->in += n;
	return (s32)n;
}

/* Interrupts off. True: look again; false: a signal came. */
static bool wait(struct wait_queue *q)
{
	if (signal_waiting(current))
		return false;
	sleep_on(q);
	return true;
}

static s32 read(struct file *f, u32 to, u32 n)
{
	struct pipe *p = f->data;
	s32 result = 0;
	u32 flags = irq_save();
	while (n && !used(p) && p->writer && result == 0)
		if (!wait(&p->readers))
			result = -ERESTARTSYS;
	irq_restore(flags);
	if (result || !n || !used(p))
		return result;
	result = take(p, to, n < used(p) ? n : used(p));
	if (result > 0) {
		wake_all(&p->writers);
		if (p->writer)
			file_ready(p->writer);
	}
	return result;
}

static s32 broken(u32 done)
{
	if (done)
		return (s32)done;
	if (!current->ext)                     /* extensions receive events, not signals */
		send_signal(current, SIGPIPE, SI_KERNEL, 0);
	return -EPIPE;
}

static s32 write(struct file *f, u32 from, u32 n)
{
	struct pipe *p = f->data;
	u32 done = 0;
	while (done < n) {
		u32 least = n <= PAGE_SIZE ? n : 1;
		bool go_on = true;
		u32 flags = irq_save();
		while (p->reader && PAGE_SIZE - used(p) < least && go_on)
			go_on = wait(&p->writers);
		irq_restore(flags);
		if (!p->reader)
			return broken(done);
		if (!go_on)
			return done ? (s32)done : -ERESTARTSYS;
		u32 room = PAGE_SIZE - used(p), k = n - done < room ? n - done : room;
		s32 result = put(p, from + done, k);
		if (result < 0)
			return done ? (s32)done : result;
		done += k;
		wake_all(&p->readers);
		file_ready(p->reader);
	}
	return (s32)n;
}

static s32 wrong_end(struct file *f, u32 address, u32 n)
{
	(void)f;
	(void)address;
	(void)n;
	return -EBADF;
}

static u32 poll_reader(struct file *f)
{
	const struct pipe *p = f->data;
	return (used(p) ? POLLIN : 0) | (p->writer ? 0 : POLLHUP);
}

static u32 poll_writer(struct file *f)
{
	const struct pipe *p = f->data;
	return (p->reader ? 0 : POLLERR) | (used(p) < PAGE_SIZE ? POLLOUT : 0);
}

static void release(struct file *f)
{
	struct pipe *p = f->data;
	bool was_reader = f == p->reader;
	struct file *other = was_reader ? p->writer : p->reader;
	if (was_reader)
		p->reader = 0;
	else
		p->writer = 0;
	if (other) {
		wake_all(was_reader ? &p->writers : &p->readers);
		file_ready(other);
	} else {
		free_pages(p->page, 0);
		pool_free(&pipe_pool, p);
	}
}

static const struct file_ops reader_ops = { .read = read, .write = wrong_end, .poll = poll_reader, .release = release };
static const struct file_ops writer_ops = { .read = wrong_end, .write = write, .poll = poll_writer, .release = release };

static struct pipe *pipe_create(void)
{
	struct pipe *p = pool_alloc(&pipe_pool);
	if (!p)
		return 0;
	p->page = alloc_pages(0);
	p->reader = file_create(&reader_ops, p);
	p->writer = file_create(&writer_ops, p);
	if (p->page && p->reader && p->writer)
		return p;
	if (p->page)
		free_pages(p->page, 0);
	if (p->reader)
		file_discard(p->reader);
	if (p->writer)
		file_discard(p->writer);
	pool_free(&pipe_pool, p);
	return 0;
}

s32 sys_pipe(u32 to);
s32 sys_pipe(u32 to)
{
	struct files *files = current_files();
	struct pipe *p = pipe_create();
	if (!p)
		return -ENOMEM;
	struct file *reader = p->reader, *writer = p->writer;
	s32 fd[2] = { file_install(files, reader), -EMFILE }, error = -EMFILE;
	if (fd[0] >= 0)
		fd[1] = file_install(files, writer);
	if (fd[1] >= 0)
		error = copy_to_user(to, fd, sizeof(fd));
	if (error == 0)
		return 0;
	for (u32 i = 0; i < 2; i++)
		if (fd[i] >= 0)
			files->file[fd[i]] = 0;
	file_put(reader);
	file_put(writer);
	return error;
}
