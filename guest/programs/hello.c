/* hello.c - the smallest program: say hello, exit with the status given as argument. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	printf("hello from process %d\n", getpid());
	return argc > 1 ? atoi(argv[1]) : 0;
}
