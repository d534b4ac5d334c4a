/* sort.c - heap sort: in place, without recursion, and never worse than n log n. */
#include <stdlib.h>

static void swap(char *a, char *b, size_t size)
{
	for (char t; size; size--, a++, b++) {
		t = *a;
		*a = *b;
		*b = t;
	}
}

typedef int (*compare_t)(const void *, const void *);

static void sift(char *base, size_t at, size_t n, size_t size, compare_t compare)
{
	for (size_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && compare(base + child * size, base + (child + 1) * size) < 0)
			child++;
		if (compare(base + at * size, base + child * size) >= 0)
			return;
		swap(base + at * size, base + child * size, size);
	}
}

void qsort(void *base, size_t n, size_t size, compare_t compare)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(base, i, n, size, compare);
	for (size_t end = n; end-- > 1;) {
		swap(base, (char *)base + end * size, size);
		sift(base, 0, end, size, compare);
	}
}

void *bsearch(const void *key, const void *base, size_t n, size_t size, compare_t compare)
{
	const char *low = base;

	while (n) {
		const char *middle = low + n / 2 * size;
		int order = compare(key, middle);
		if (!order)
			return (void *)middle;
		if (order > 0) {
			low = middle + size;
			n--;
		}
		n /= 2;
	}
	return 0;
}
