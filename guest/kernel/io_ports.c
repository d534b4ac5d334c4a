/*
 * io_ports.c - I/O ports for ring 3: ioperm() and iopl().
 *
 * EFLAGS.IOPL stays 0 for everybody, so the processor asks the TSS's I/O bitmap for every IN and OUT in ring 3, and
 * iopl(3) is a bitmap that allows all ports (as Linux does since 5.5). A real IOPL of 3 would be a hole here: neither
 * interrupt gates nor SYSENTER clear it and SYSEXIT does not load it, so that an upcall, or whatever task a system call
 * switches to, would inherit it. It would allow CLI, too.
 *
 * A bitmap belongs to a thread; fork() and clone() copy it. The TSS's copy is renewed only when another bitmap comes.
 */
#include "io_ports.h"
#include "uls.h"

const struct io_bitmap *io_loaded;
static const struct io_bitmap *io_copied;  /* whose bits are in the TSS, selected or not */
static struct pool pool = { .size = sizeof(struct io_bitmap) };

void io_bitmap_load(const struct io_bitmap *io)
{
	io_loaded = io;
	if (io && !io->all && io != io_copied) {
		memcpy(tss_io_bitmap, io->denied, sizeof(io->denied));
		io_copied = io;
	}
	tss_io_select(!io ? IO_NONE : io->all ? IO_ALL : IO_SOME);
}

static bool make(struct task *t)
{
	if (t->io)
		return true;
	t->io = pool_alloc(&pool);
	if (!t->io)
		return false;
	memset(t->io->denied, 0xff, sizeof(t->io->denied));
	return true;
}

static void changed(const struct task *t)
{
	if (io_copied == t->io)
		io_copied = 0;
	if (t == current)
		io_bitmap_load(t->io);
}

s32 io_permit(struct task *t, u32 port, u32 count, bool on)
{
	if (count == 0 || port >= IO_PORTS || count > IO_PORTS - port)
		return -EINVAL;
	if (!make(t))
		return -ENOMEM;
	for (u32 i = port; i < port + count; i++)
		if (on)
			t->io->denied[i / 8] &= (u8)~(1u << i % 8);
		else
			t->io->denied[i / 8] |= (u8)(1u << i % 8);
	changed(t);
	return 0;
}

bool io_copy(struct task *to, const struct task *from)
{
	if (!from->io)
		return true;
	if (!make(to))
		return false;
	*to->io = *from->io;
	return true;
}

void io_release(struct task *t)
{
	struct io_bitmap *io = t->io;
	if (!io)
		return;
	t->io = 0;
	if (io_loaded == io)
		io_bitmap_load(0);
	if (io_copied == io)
		io_copied = 0;
	pool_free(&pool, io);
}

s32 sys_ioperm(u32 port, u32 count, u32 on);
s32 sys_ioperm(u32 port, u32 count, u32 on)
{
	return process()->uid != 0 ? -EPERM : io_permit(current, port, count, on != 0);
}

/* Levels 1 and 2 are 0: only 3 is ring 3's. */
s32 sys_iopl(u32 level);
s32 sys_iopl(u32 level)
{
	if (level > 3)
		return -EINVAL;
	if (process()->uid != 0)
		return -EPERM;
	if (!make(current))
		return -ENOMEM;
	current->io->all = level == 3;
	changed(current);
	return 0;
}
