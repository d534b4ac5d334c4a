/* int64.c - what the compiler calls for 64-bit division, since the 386 divides 64 bits by 32 at most. */
#include <stdint.h>

static uint64_t divide(uint64_t n, uint64_t d, uint64_t *rest)
{
	uint64_t q = 0, r = 0;

	if (d >> 32 == 0) {     /* two DIVs, high word first: each quotient fits because its high part is < d */
		uint32_t high = n >> 32, low = (uint32_t)n, div = (uint32_t)d, qh, ql, rem;

		qh = high / div;
		rem = high % div;
		__asm__("divl %4" : "=a"(ql), "=d"(rem) : "a"(low), "d"(rem), "r"(div));
		*rest = rem;
		return (uint64_t)qh << 32 | ql;
	}
	for (int i = 63; i >= 0; i--) {
		r = r << 1 | (n >> i & 1);
		if (r >= d) {
			r -= d;
			q |= 1ull << i;
		}
	}
	*rest = r;
	return q;
}

uint64_t __udivdi3(uint64_t n, uint64_t d)
{
	uint64_t rest;

	return divide(n, d, &rest);
}

uint64_t __umoddi3(uint64_t n, uint64_t d)
{
	uint64_t rest;

	divide(n, d, &rest);
	return rest;
}

static uint64_t magnitude(int64_t v) { return v < 0 ? -(uint64_t)v : (uint64_t)v; }

int64_t __divdi3(int64_t n, int64_t d)
{
	uint64_t q = __udivdi3(magnitude(n), magnitude(d));

	return (n < 0) != (d < 0) ? (int64_t)-q : (int64_t)q;
}

int64_t __moddi3(int64_t n, int64_t d)
{
	uint64_t r = __umoddi3(magnitude(n), magnitude(d));

	return n < 0 ? (int64_t)-r : (int64_t)r;
}
