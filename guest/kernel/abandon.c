/*
 * abandon.c - what an extension holds, given back when its creator ends or loses it: the file that it sleeps in, its
 * segments, its memory, its ports. Call it while x->owner is still set; calling it twice does no harm.
 */
#include "file.h"
#include "io_ports.h"
#include "shm.h"

void extension_abandon(struct extension *x)
{
	if (x->task) {
		file_abandon(x->task);
		io_release(x->task);
	}
	shm_abandon(x);
	extension_unmap_all(x);
}
