/* start.c - between _start and main: choose how to enter the kernel. */
#include <cpu.h>
#include <stdlib.h>
#include <syscall.h>

int main(int argc, char **argv);

/* The Pentium Pro announces SYSENTER in CPUID without having it (family 6, model below 3, stepping below 3). */
static int has_sysenter(void)
{
	uint32_t r[4];

	cpuid(0, r);
	if (r[0] < 1)
		return 0;
	cpuid(1, r);
	return (r[3] & CPUID_SEP) && !((r[0] & 0xf00) == 0x600 && (r[0] & 0xff) < 0x33);
}

void __start(int argc, char **argv)
{
	if (!has_sysenter())
		syscall_entry = syscall_int80;
	exit(main(argc, argv));
}
