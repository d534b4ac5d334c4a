/* string_state.c - those string functions that need memory of their own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "context.h"

char *strtok(char *s, const char *separators)
{
	char **rest = &__context()->token;

	return s || *rest ? strtok_r(s, separators, rest) : 0;
}

char *strndup(const char *s, size_t n)
{
	size_t used = strnlen(s, n);
	char *copy = malloc(used + 1);

	if (!copy)
		return 0;
	memcpy(copy, s, used);
	copy[used] = 0;
	return copy;
}

char *strdup(const char *s) { return strndup(s, (size_t)-1); }
