/* random.c - the example generator of ISO C: the same seed gives the same numbers, on every machine. */
#include <stdlib.h>

static unsigned state = 1;

int rand_r(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return (int)(*seed / 65536u % 32768u);
}

int rand(void) { return rand_r(&state); }
void srand(unsigned seed) { state = seed; }
