/* entry.c - which way into the kernel: SYSENTER where there is one. Found out by the first call. */
#include <cpu.h>
#include <syscall.h>
#include "start.h"

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

void __choose_entry(void) { syscall_entry = has_sysenter() ? syscall_sysenter : syscall_int80; }

static long first_call(long number, long a1, long a2, long a3, long a4, long a5, long a6)
{
	__choose_entry();
	return syscall_entry(number, a1, a2, a3, a4, a5, a6);
}

syscall_entry_t syscall_entry = first_call;
