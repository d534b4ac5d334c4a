/* start.c - between _start and main: the way into the kernel, and constructors. */
#include <stdlib.h>
#include "start.h"

int main(int argc, char **argv);

void __start(int argc, char **argv)
{
	__choose_entry();
	for (function_t *f = __init_array_start; f < __init_array_end; f++)
		(*f)();
	exit(main(argc, argv));
}
