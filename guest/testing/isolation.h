/* isolation.h - the four boundaries of the sandbox, each tried. */
#ifndef ISOLATION_H
#define ISOLATION_H
#include <ringtoll/abi.h>

enum { KERNEL_FROM_EXTENSION, SANDBOX_FROM_PROCESS, EXTENSION_FROM_EXTENSION, PROCESS_FROM_EXTENSION, BOUNDARIES };

struct boundary {
	const char *name;
	int should_hold;         /* what paging can do */
	int read, write;         /* did they get through? */
	abi_u32 read_error, write_error;      /* #PF error codes where they did not */
};

/* Registers two extensions and tries. -> 0, or -1 if they are not in the image. */
int try_isolation(struct boundary results[BOUNDARIES]);
/* One line of text about a boundary. */
void describe_boundary(const struct boundary *b, char *to, unsigned size);
#endif
