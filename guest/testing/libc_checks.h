/*
 * libc_checks.h - what the library promises, the same list for a program (programs/test_libc.c) and inside the sandbox
 * (extensions/libc_user.c). Who includes it defines expect().
 */
#ifndef LIBC_CHECKS_H
#define LIBC_CHECKS_H
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

static void expect(const char *name, int ok);

#define FORMATS(wanted, ...) (snprintf(text, sizeof text, __VA_ARGS__), !strcmp(text, wanted))

static void check_formats(void)
{
	char text[64];

	expect("printf.signed", FORMATS("-1|  +7|007|-2147483648", "%d|%+4d|%.3d|%d", -1, 7, 7, INT_MIN));
	expect("printf.unsigned", FORMATS("4294967295|ff|0XFF|017|0", "%u|%x|%#X|%#o|%#o", UINT_MAX, 255, 255, 15, 0));
	expect("printf.64_bit", FORMATS("-9223372036854775808 ffffffffffffffff", "%lld %" PRIx64, LLONG_MIN, UINT64_MAX));
	expect("printf.short", FORMATS("-1 255 3", "%hd %hhu %zu", (short)-1, (unsigned char)255, (size_t)3));
	expect("printf.text", FORMATS("   ab|ab   |a|(null)|%", "%5s|%-5s|%.1s|%s|%%", "ab", "ab", "ab", (char *)0));
	expect("printf.star", FORMATS("   x|x   |ab", "%*c|%*c|%.*s", 4, 'x', -4, 'x', 2, "abc"));
	expect("printf.pointer", FORMATS("0x1234", "%p", (void *)0x1234));
	expect("snprintf.cuts", snprintf(text, 4, "%s", "abcdef") == 6 && !strcmp(text, "abc"));
	expect("snprintf.nothing", snprintf(0, 0, "%d", 1234) == 4);
}

static void check_memory(void)
{
	char a[32] = "0123456789", b[32];

	memmove(a + 2, a, 8);
	expect("memmove.up", !memcmp(a, "0101234567", 10));
	memmove(a, a + 2, 8);
	expect("memmove.down", !memcmp(a, "0123456767", 10));
	expect("memcpy", memcpy(b, a, 11) == b && !strcmp(b, a));
	expect("memset", memset(b, 0x81, 7) == b && (unsigned char)b[6] == 0x81 && b[7] == '7');
	expect("memcmp.unsigned", memcmp("\x80", "\x7f", 1) > 0 && !memcmp(a, b, 0));
	expect("memchr", memchr(a, '3', 10) == a + 3 && !memchr(a, '9', 10));
}

static void check_strings(void)
{
	char a[32] = "one", list[] = ",a,,b c", *rest, *copy;

	expect("strlen", strlen("") == 0 && strlen(a) == 3 && strnlen(a, 2) == 2);
	expect("strcat", !strcmp(strncat(strcat(a, "two"), "three", 2), "onetwoth"));
	expect("strncpy.pads", strncpy(a, "x", 4) == a && !memcmp(a, "x\0\0\0wo", 6));
	expect("strcmp", strcmp("a", "b") < 0 && strcmp("b", "a") > 0 && !strncmp("ab", "ac", 1));
	expect("strchr", !strcmp(strchr("hello", 'l'), "llo") && !strchr("hello", 'x') && !*strchr("hello", 0));
	expect("strrchr", !strcmp(strrchr("hello", 'l'), "lo") && !strrchr("hello", 'x'));
	expect("strstr", !strcmp(strstr("hello", "ll"), "llo") && !strstr("hello", "lx") && *strstr("h", "") == 'h');
	expect("strspn", strspn("aab", "a") == 2 && strcspn("aab", "b") == 2 && !strcmp(strpbrk("xyz", "zy"), "yz"));
	expect("strtok_r", !strcmp(strtok_r(list, ", ", &rest), "a") && !strcmp(strtok_r(0, ", ", &rest), "b") &&
	       !strcmp(strtok_r(0, ", ", &rest), "c") && !strtok_r(0, ", ", &rest));
	copy = strdup("a copy");
	expect("strdup", copy && !strcmp(copy, "a copy"));
	free(copy);
	copy = strndup("a copy", 3);
	expect("strndup", copy && !strcmp(copy, "a c"));
	free(copy);
	expect("strerror", !strcmp(strerror(ENOMEM), "Cannot allocate memory") && !strcmp(strerror(9999), "Unknown error"));
}

static int kinds(int c)
{
	return !!isalpha(c) | !!isdigit(c) << 1 | !!isspace(c) << 2 | !!ispunct(c) << 3 | !!iscntrl(c) << 4 | !!isxdigit(c) << 5 |
	       !!isupper(c) << 6 | !!islower(c) << 7;
}

static void check_ctype(void)
{
	int ok = 1;

	for (int c = 0; c < 256; c++)
		ok &= !!isprint(c) == (c >= 32 && c < 127) && !!isgraph(c) == (isprint(c) && c != ' ') &&
		      !!isalnum(c) == !!(kinds(c) & 3);
	expect("ctype.each", ok);
	expect("ctype.kinds", kinds('a') == 0xa1 && kinds('Z') == 0x41 && kinds('7') == 0x22 && kinds('\n') == 0x14 &&
	       kinds('.') == 8);
	expect("ctype.case", toupper('a') == 'A' && tolower('Z') == 'z' && toupper('1') == '1');
}

static void check_numbers(void)
{
	char *end;

	expect("strtol", strtol(" -12x", &end, 10) == -12 && *end == 'x' && strtol("0x1F", 0, 0) == 31 && strtol("017", 0, 0) == 15);
	expect("strtol.none", strtol("x", &end, 10) == 0 && *end == 'x');
	errno = 0;
	expect("strtol.too_large", strtol("2147483648", 0, 10) == LONG_MAX && errno == ERANGE);
	errno = 0;
	expect("strtol.smallest", strtol("-2147483648", 0, 10) == LONG_MIN && errno == 0);
	expect("strtoul", strtoul("4294967295", 0, 10) == ULONG_MAX && strtoul("-1", 0, 10) == ULONG_MAX && errno == 0);
	expect("strtoll", strtoll("-9223372036854775808", 0, 10) == LLONG_MIN && strtoull("zz", 0, 36) == 1295 && errno == 0);
	expect("atoi", atoi("42abc") == 42 && abs(-3) == 3 && div(-7, 2).quot == -3 && div(-7, 2).rem == -1);
	expect("division.64_bit", -7000000000ll / 3 == -2333333333ll && 7000000000ull % 4294967297ull == 2705032703ull);
}

static int ascending(const void *a, const void *b) { return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b; }

static void check_sorting(void)
{
	int n[100], ok = 1;
	unsigned seed = 7, again = 7;

	for (int i = 0; i < 100; i++)
		n[i] = rand_r(&seed) % 50;
	qsort(n, 100, sizeof *n, ascending);
	for (int i = 1; i < 100; i++)
		ok &= n[i - 1] <= n[i];
	expect("qsort", ok);
	int *found = bsearch(&n[37], n, 100, sizeof *n, ascending), missing = 1000;
	expect("bsearch", found && *found == n[37] && !bsearch(&missing, n, 100, sizeof *n, ascending));
	rand_r(&again);
	srand(7);
	expect("rand", rand() == (int)(again / 65536u % 32768u) && rand() <= RAND_MAX);
}

static void check_jumps(void)
{
	static jmp_buf place;
	volatile int times = 0;
	int value = setjmp(place);

	if (times++ < 2)
		longjmp(place, times - 1);
	expect("longjmp", value == 1 && times == 3);
}

static void check_calls(void)
{
	int fd[2];
	char byte = 0;
	struct pollfd p;
	const struct timespec short_time = { 0, 20000000 };

	errno = 0;
	expect("errno", write(99, "x", 1) == -1 && errno == EBADF);
	expect("pipe", pipe(fd) == 0);
	p = (struct pollfd){ fd[0], POLLIN, 0 };
	expect("poll.nothing", poll(&p, 1, 0) == 0);
	expect("dprintf", dprintf(fd[1], "%d-%s", 12, "ab") == 5);
	expect("poll.something", poll(&p, 1, -1) == 1 && p.revents == POLLIN);
	char all[8] = "";
	expect("read", read(fd[0], all, sizeof all) == 5 && !strcmp(all, "12-ab"));
	close(fd[0]);
	close(fd[1]);
	expect("read.closed", read(fd[0], &byte, 1) == -1 && errno == EBADF);
	long before = times(0);
	expect("nanosleep", nanosleep(&short_time, 0) == 0 && times(0) - before >= 2);
	expect("fputs", fputs("", stdout) == 0 && fflush(stdout) == 0 && fwrite("", 1, 0, stderr) == 0);
	int id = shmget(IPC_PRIVATE, 4096, SHM_SANDBOX | 0600);
	char *at = shmat(id, 0, 0);
	expect("shmat", id >= 0 && at != (void *)-1 && at[0] == 0 && at[4095] == 0);
	at[0] = 1;
	expect("shmdt", shmdt(at) == 0 && shmctl(id, IPC_RMID, 0) == 0 && shmat(id, 0, 0) == (void *)-1);
}

/* ---- malloc against a plain model: a list of what is allocated, and what was written into it ---- */
#define BLOCKS 48

struct allocated { unsigned char *at; size_t n; unsigned char fill; };

static int intact(const struct allocated *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->at[i] != (unsigned char)(a->fill + i))
			return 0;
	return 1;
}

static void fill(struct allocated *a, unsigned char with)
{
	a->fill = with;
	for (size_t i = 0; i < a->n; i++)
		a->at[i] = (unsigned char)(with + i);
}

static int overlaps(const struct allocated *list, const struct allocated *a)
{
	for (const struct allocated *b = list; b < list + BLOCKS; b++)
		if (b != a && b->at && b->at < a->at + a->n && a->at < b->at + b->n)
			return 1;
	return 0;
}

static size_t some_size(unsigned *seed)
{
	int kind = rand_r(seed) % 32;

	return kind < 20 ? rand_r(seed) % 100 : kind < 31 ? rand_r(seed) % 3000 : 60000 + rand_r(seed) % 30000;
}

/* -> 0, or the line of what was wrong */
static int malloc_step(struct allocated *list, struct allocated *a, unsigned *seed)
{
	size_t n = some_size(seed), align = 1u << (rand_r(seed) % 9 + 2), kept = a->n < n ? a->n : n;
	int what = rand_r(seed) % 8;

	if (a->at && !intact(a))
		return __LINE__;
	if (a->at && what < 3) {
		unsigned char *p = realloc(a->at, n);
		if (!p)
			return __LINE__;
		*a = (struct allocated){ p, kept, a->fill };
		if (!intact(a))
			return __LINE__;
		a->n = n;
	} else if (a->at) {
		free(a->at);
		*a = (struct allocated){ 0, 0, 0 };
		return 0;
	} else {
		void *p = 0;
		if (what == 7 && posix_memalign(&p, align, n))
			return __LINE__;
		a->at = what == 7 ? p : what == 6 ? calloc(1, n) : malloc(n);
		a->n = n;
		for (size_t i = 0; what == 6 && a->at && i < n; i++)
			if (a->at[i])
				return __LINE__;
		if (what == 7 && (size_t)a->at & (align - 1))
			return __LINE__;
	}
	if (!a->at || (size_t)a->at & 15 || malloc_usable_size(a->at) < n || overlaps(list, a))
		return __LINE__;
	fill(a, (unsigned char)rand_r(seed));
	return 0;
}

static int malloc_model(unsigned seed, int steps)
{
	struct allocated list[BLOCKS] = { 0 };
	int wrong = 0;

	for (int i = 0; i < steps && !wrong; i++)
		wrong = malloc_step(list, &list[rand_r(&seed) % BLOCKS], &seed);
	for (struct allocated *a = list; a < list + BLOCKS; a++) {
		if (!wrong && a->at && !intact(a))
			wrong = __LINE__;
		free(a->at);
	}
	return wrong;
}

/* How many runs of 64 KB the kernel would still give, of 160. */
static int room(void)
{
	static void *got[160];
	int n = 0;

	while (n < 160 && (got[n] = mmap(0, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED)
		n++;
	for (int i = 0; i < n; i++)
		munmap(got[i], 0x10000);
	return n;
}

static void check_malloc(void)
{
	malloc_trim(0);
	void *end = sbrk(0);
	int before = room(), wrong = malloc_model(1, 400);
	struct mallinfo m = mallinfo();
	char *p;

	expect("malloc.model", wrong == 0);
	if (wrong)
		printf("# libc_checks.h:%d\n", wrong);
	expect("malloc.nothing_in_use", m.uordblks == 0 && m.hblks == 0);
	malloc_trim(0);
	m = mallinfo();
	expect("malloc.all_returned", m.arena == 0 && m.hblkhd == 0 && sbrk(0) == end && room() == before);
	p = malloc(0x10000);
	m = mallinfo();
	expect("malloc.large_is_a_mapping", p && m.hblks == 1 && m.arena == 0);
	free(p);
	expect("malloc.large_goes_at_once", mallinfo().hblks == 0 && room() == before);
	p = malloc(100);
	expect("malloc.small_by_brk", p && (char *)sbrk(0) - (char *)end == (long)mallinfo().arena);
	free(p);
	malloc_trim(0);
	errno = 0;
	expect("malloc.too_much", !malloc(0x7fffffff) && errno == ENOMEM && !calloc(0x10000, 0x10001));
	p = realloc(0, 0);
	expect("malloc.null", p && mallinfo().uordblks == 32);
	free(p);
	expect("aligned_alloc", !((size_t)(p = aligned_alloc(4096, 5000)) & 4095) && p && !aligned_alloc(24, 8) && errno == EINVAL);
	free(p);
}

static void libc_checks(void)
{
	check_formats();
	check_memory();
	check_strings();
	check_ctype();
	check_numbers();
	check_sorting();
	check_jumps();
	check_calls();
	check_malloc();
}
#endif
