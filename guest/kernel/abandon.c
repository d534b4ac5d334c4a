/* abandon.c - what an extension holds, given back when it is taken away from whatever it was doing. */
#include "file.h"
#include "uls.h"

void extension_abandon(struct extension *x)
{
	if (x->task)
		file_abandon(x->task);
}
