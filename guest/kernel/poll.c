/*
 * poll.c - poll(): waiting for one of several files.
 *
 * All pollers sleep on one queue and look again when any file's state changes. They look by descriptor, so nothing is
 * held while they sleep and a descriptor closed meanwhile is POLLNVAL.
 */
#include "file.h"

struct wait_queue poll_wait;

/* -> how many have an answer */
static u32 scan(struct abi_pollfd *p, u32 n)
{
	struct files *files = current_files();
	u32 ready = 0;
	for (u32 i = 0; i < n; i++, p++) {
		p->revents = 0;
		if (p->fd < 0)
			continue;
		struct file *f = file_of(files, (u32)p->fd);
		u32 now = f ? f->ops->poll(f) : POLLNVAL;
		p->revents = (short)(now & ((u32)p->events | POLLERR | POLLHUP | POLLNVAL));
		ready += p->revents != 0;
	}
	return ready;
}

/* As nanosleep, one tick is added: the current one is partly over. */
static u32 timeout_ticks(u32 milliseconds)
{
	const u32 tick = 1000 / ABI_HZ;
	return milliseconds / tick + (milliseconds % tick != 0) + 1;
}

s32 sys_poll(u32 at, u32 n, s32 milliseconds);
s32 sys_poll(u32 at, u32 n, s32 milliseconds)
{
	struct abi_pollfd p[MAX_FILES];
	if (n > MAX_FILES)
		return -EINVAL;
	if (copy_from_user(p, at, n * sizeof(*p)) < 0)
		return -EFAULT;
	u32 end = ticks + timeout_ticks(milliseconds > 0 ? (u32)milliseconds : 0);
	u32 flags = irq_save();
	s32 result = (s32)scan(p, n);
	while (result == 0 && milliseconds != 0) {
		if (signal_waiting(current))
			result = -EINTR;
		else if (milliseconds > 0 && (s32)(end - ticks) <= 0)
			break;
		else {
			if (milliseconds > 0)
				sleep_on_until(&poll_wait, end);
			else
				sleep_on(&poll_wait);
			result = (s32)scan(p, n);
		}
	}
	irq_restore(flags);
	return result >= 0 && copy_to_user(at, p, n * sizeof(*p)) < 0 ? -EFAULT : result;
}
