/* string.c - the C library functions a freestanding compiler still expects, and a few more. */
#include "kernel.h"

void *memcpy(void *to, const void *from, size_t n)
{
	void *d = to;
	size_t words = n >> 2;
	asm volatile("rep movsl" : "+D"(d), "+S"(from), "+c"(words) : : "memory");
	n &= 3;
	asm volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	if (to <= from || (char *)to >= (const char *)from + n)
		return memcpy(to, from, n);
	char *d = (char *)to + n - 1;
	const char *s = (const char *)from + n - 1;
	asm volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *d = to;
	size_t words = n >> 2;
	asm volatile("rep stosl" : "+D"(d), "+c"(words) : "a"((c & 0xff) * 0x01010101) : "memory");
	n &= 3;
	asm volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;
	while (s[n])
		n++;
	return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b)
			return (u8)*a - (u8)*b;
		if (!*a)
			break;
	}
	return 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, ~(size_t)0); }

/* Always terminated; returns the length of the copy. */
u32 copy_string(char *to, const char *from, u32 size)
{
	u32 n = 0;
	for (; n + 1 < size && from[n]; n++)
		to[n] = from[n];
	to[n] = 0;
	return n;
}

u32 parse_number(const char *s)
{
	u32 n = 0;
	while (*s >= '0' && *s <= '9')
		n = n * 10 + (u32)(*s++ - '0');
	return n;
}
