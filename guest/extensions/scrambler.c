/*
 * scrambler.c - changes every register it may and some it may not know of.
 *
 * The interrupted process must not see any of it: ECX and EDX are the ones a return by SYSEXIT would lose, the
 * flags are lost by SYSENTER, and the x87 stack belongs to the process unless the kernel saves it.
 */
#include <ringtoll/abi.h>

static abi_u32 runs;

void handler(const struct uls_event *event)
{
	(void)event;
	runs++;
	__asm__ volatile(
		"pushl %%ebp\n\t"
		"movl $0xdead0001, %%eax\n\t movl $0xdead0002, %%ebx\n\t movl $0xdead0003, %%ecx\n\t"
		"movl $0xdead0004, %%edx\n\t movl $0xdead0005, %%esi\n\t movl $0xdead0006, %%edi\n\t"
		"movl $0xdead0007, %%ebp\n\t"
		"fninit\n\t fldpi\n\t fldl2e\n\t fldz\n\t fld1\n\t faddp\n\t"
		"xorl %%eax, %%eax\n\t cmpl $1, %%eax\n\t"
		"popl %%ebp"
		: : : "eax", "ebx", "ecx", "edx", "esi", "edi", "cc", "memory");
}
