/* time.c - sleeping and CPU time. There is no clock on the wall: nothing here knows the date. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

clock_t clock(void)
{
	struct abi_tms t;

	times(&t);
	return (t.utime + t.stime) * (CLOCKS_PER_SEC / ABI_HZ);
}

unsigned sleep(unsigned seconds)
{
	struct timespec t = { (int)seconds, 0 };

	return nanosleep(&t, &t) ? t.tv_sec + (t.tv_nsec != 0) : 0;
}

int usleep(unsigned microseconds)
{
	const struct timespec t = { microseconds / 1000000, microseconds % 1000000 * 1000 };

	return nanosleep(&t, 0);
}
