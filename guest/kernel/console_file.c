/* console_file.c - the console as an open file: always writable, readable when a byte has come. */
#include "file.h"

static s32 read(struct file *f, u32 to, u32 n)
{
	char line[256];
	(void)f;
	if (n == 0)
		return 0;
	s32 got = console_read(line, n < sizeof(line) ? n : sizeof(line));
	return got > 0 && copy_to_user(to, line, (u32)got) < 0 ? -EFAULT : got;
}

static s32 write(struct file *f, u32 from, u32 n)
{
	char part[128];
	(void)f;
	for (u32 done = 0; done < n;) {
		u32 k = n - done < sizeof(part) ? n - done : sizeof(part);
		if (copy_from_user(part, from + done, k) < 0)
			return done ? (s32)done : -EFAULT;
		for (u32 i = 0; i < k; i++)
			console_putc(part[i]);
		done += k;
	}
	return (s32)n;
}

static u32 poll(struct file *f)
{
	(void)f;
	return POLLOUT | (console_readable() ? POLLIN : 0);
}

static const struct file_ops console_ops = { .read = read, .write = write, .poll = poll };

struct file console_file = { .ops = &console_ops, .refs = 1 };         /* this reference stays: never released */
