/* io_ports.h - which I/O ports ring 3 may use. */
#ifndef IO_PORTS_H
#define IO_PORTS_H

#include "task.h"

#define IO_PORTS 0x400                     /* that ioperm() can allow one by one */

struct io_bitmap {
	bool all;                          /* iopl(3) */
	u8 denied[IO_PORTS / 8];           /* a bit per port */
};

/* segment.c: the bitmaps in the TSS. One has every port allowed, the other is filled in here. */
enum io_map { IO_NONE, IO_SOME, IO_ALL };
extern u8 *const tss_io_bitmap;
void tss_io_select(enum io_map which);

/* io_ports.c */
extern const struct io_bitmap *io_loaded;  /* what the TSS has now */
void io_bitmap_load(const struct io_bitmap *io);
s32  io_permit(struct task *t, u32 port, u32 count, bool on);
bool io_copy(struct task *to, const struct task *from);
void io_release(struct task *t);

/* Before `next` runs, in a context switch or an upcall. Nearly always both have none. */
static inline void io_bitmap_switch(const struct task *next)
{
	if (next->io != io_loaded)
		io_bitmap_load(next->io);
}
#endif
