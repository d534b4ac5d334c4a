/* number.c - numbers out of text. A result that does not fit is the limit, and ERANGE. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

static int digit(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	return isalpha((unsigned char)c) ? (c | 0x20) - 'a' + 10 : 99;
}

struct number { uint64_t value; int negative, too_large; };

/* Up to `most`, as C's strtoul wants it. */
static struct number scan(const char *s, char **end, int base, uint64_t most)
{
	const char *start = s;
	struct number n = { 0 };
	int any = 0;

	while (isspace((unsigned char)*s))
		s++;
	n.negative = *s == '-';
	if (*s == '-' || *s == '+')
		s++;
	if ((base == 0 || base == 16) && s[0] == '0' && (s[1] | 0x20) == 'x' && digit(s[2]) < 16) {
		s += 2;
		base = 16;
	}
	if (base == 0)
		base = *s == '0' ? 8 : 10;
	uint64_t quotient = most / base, rest = most % base;
	for (; digit(*s) < base; s++, any = 1) {
		uint64_t d = digit(*s);
		n.too_large |= n.value > quotient || (n.value == quotient && d > rest);
		n.value = n.value * base + d;
	}
	if (end)
		*end = (char *)(any ? s : start);
	if (n.too_large) {
		n.value = most;
		errno = ERANGE;
	}
	return n;
}

static uint64_t scan_unsigned(const char *s, char **end, int base, uint64_t most)
{
	struct number n = scan(s, end, base, most);

	return n.negative && !n.too_large ? -n.value : n.value;
}

/* The limit below is one farther from 0 than the one above. */
static int64_t scan_signed(const char *s, char **end, int base, uint64_t most)
{
	const char *p = s;

	while (isspace((unsigned char)*p))
		p++;
	struct number n = scan(s, end, base, most + (*p == '-'));
	return n.negative ? (int64_t)-n.value : (int64_t)n.value;
}

unsigned long strtoul(const char *s, char **end, int base) { return (unsigned long)scan_unsigned(s, end, base, ULONG_MAX); }
long strtol(const char *s, char **end, int base) { return (long)scan_signed(s, end, base, LONG_MAX); }
unsigned long long strtoull(const char *s, char **end, int base) { return scan_unsigned(s, end, base, ULLONG_MAX); }
long long strtoll(const char *s, char **end, int base) { return scan_signed(s, end, base, LLONG_MAX); }
intmax_t strtoimax(const char *s, char **end, int base) { return strtoll(s, end, base); }
uintmax_t strtoumax(const char *s, char **end, int base) { return strtoull(s, end, base); }
int atoi(const char *s) { return (int)strtol(s, 0, 10); }
long atol(const char *s) { return strtol(s, 0, 10); }
long long atoll(const char *s) { return strtoll(s, 0, 10); }
int abs(int n) { return n < 0 ? -n : n; }
long labs(long n) { return n < 0 ? -n : n; }
long long llabs(long long n) { return n < 0 ? -n : n; }
div_t div(int n, int d) { return (div_t){ n / d, n % d }; }
ldiv_t ldiv(long n, long d) { return (ldiv_t){ n / d, n % d }; }
