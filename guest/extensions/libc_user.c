/*
 * libc_user.c - the libc's promises inside the sandbox, as lines on its creator's descriptor 1; and an allocator at work
 * that libc_peer interrupts.
 *
 *     event.value = LIBC_CHECKS    testing/libc_checks.h
 *                   LIBC_SHARE     allocate, fill, leave in the mail box, which libc_peer empties at each tick
 *                   LIBC_KEEP     allocate and do not free: the owner is about to end
 *                   LIBC_FRESH    nothing is allocated, the break is where it was at the first LIBC_CHECKS
 */
#include <ringtoll/extensions.h>
#include <libc_checks.h>

void *volatile libc_mail[LIBC_MAIL];

static void expect(const char *name, int ok) { printf("%s sandbox.%s\n", ok ? "PASS" : "FAIL", name); }

static int post(void *p)
{
	for (int i = 0; i < LIBC_MAIL; i++)
		if (__sync_bool_compare_and_swap(&libc_mail[i], 0, p))
			return 1;
	return 0;
}

static void share(void)
{
	unsigned seed = 3;
	int posted = 0;
	const struct timespec two_ticks = { 0, 20000000 };

	for (long end = times(0) + 100; posted < 10 * LIBC_MAIL && times(0) < end;) {
		unsigned n = 8 + rand_r(&seed) % 500;
		unsigned *p = malloc(n);
		if (!p)
			break;
		memset(p, n & 0xff, n);
		*p = n;
		if (post(p))
			posted++;
		else
			free(p);
	}
	expect("shared.model", malloc_model(5, 300) == 0);
	for (int i = 0; i < 10; i++)             /* the peer empties the box */
		nanosleep(&two_ticks, 0);
	expect("shared.posted", posted > LIBC_MAIL);
	expect("shared.freed_by_the_peer", mallinfo().uordblks == 0);
	malloc_trim(0);
	expect("shared.all_returned", mallinfo().arena == 0);
}

static void *first_break;

static void keep(void)
{
	void *small = malloc(100), *large = malloc(100000);

	errno = ERANGE;
	expect("kept", small && large && mallinfo().hblks == 1 && sbrk(0) != first_break);
}

static void fresh(void)
{
	struct mallinfo m = mallinfo();

	expect("fresh", m.arena == 0 && m.hblks == 0 && errno == 0 && sbrk(0) == first_break);
}

void handler(const struct uls_event *event)
{
	switch (event->value) {
	case LIBC_SHARE: share(); break;
	case LIBC_KEEP:  keep(); break;
	case LIBC_FRESH: fresh(); break;
	default:
		if (!first_break)
			first_break = sbrk(0);
		libc_checks();
	}
}
