/* faulter.c - every exception that ring 3 can raise, chosen by vector. */
#include <ringtoll/extensions.h>

void handler(const struct uls_event *event)
{
	static abi_u32 bounds[2] = { 1, 2 };
	static const unsigned short unmasked = 0x033b;      /* x87 control word: division by zero (bit 2) not masked */
	abi_u32 zero = 0, quotient = 1;

	switch (event->value) {
	case 0:  __asm__ volatile("xorl %%edx, %%edx\n\t divl %1" : "+a"(quotient) : "r"(zero) : "edx"); break;
	case 1:  __asm__ volatile("pushfl\n\t orl $0x100, (%%esp)\n\t popfl\n\t nop" : : : "cc", "memory"); break;
	case 3:  __asm__ volatile("int3"); break;
	case 4:  __asm__ volatile("movb $127, %%al\n\t addb $1, %%al\n\t into" : : : "eax", "cc"); break;
	case 5:  __asm__ volatile("bound %0, %1" : : "r"(9), "m"(bounds)); break;
	case 6:  __asm__ volatile("ud2"); break;
	case 10: __asm__ volatile("movw %0, %%gs" : : "r"((unsigned short)0x33)); break;     /* past the table: #GP */
	case 13: __asm__ volatile("hlt"); break;
	case 14: *(volatile abi_u32 *)FAULTER_ADDRESS = 1; break;
	case 16:
		__asm__ volatile("fninit\n\t fldcw %0\n\t fld1\n\t fldz\n\t fdivrp\n\t fwait" : : "m"(unmasked));
		break;
	}
}
