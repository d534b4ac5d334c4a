/* hold.c - known values for hold.S, and the comparison afterwards. */
#include "check.h"

#include <cpu.h>
#include <string.h>

void hold_raw(const struct registers *in, struct registers *out, uint32_t iterations, int sse);

#define FLAGS 0x00200cd5u     /* ID OF DF SF ZF AF PF CF: those a program may set without side effects */

static int has_sse(void)
{
	uint32_t r[4];

	cpuid(1, r);
	return (r[3] & CPUID_SSE) && (r[3] & CPUID_FXSR);
}

/* Control, status and tag word, and the eight registers. Not compared: the instruction and operand pointers, which
 * processors keep with different zeal. */
static int same_fpu(const uint16_t *a, const uint16_t *b)
{
	return a[0] == b[0] && a[2] == b[2] && a[4] == b[4] && !memcmp(a + 14, b + 14, 80);
}

const char *hold_registers(uint32_t iterations, uint32_t eflags)
{
	static const struct registers in = {
		.eax = 0x11223344, .ebx = 0x22334455, .edx = 0x44556677, .esi = 0x55667788, .edi = 0x66778899,
		.ebp = 0x778899aa, .xmm = { 1, 2, 3, 4, 0x11111111, 0x22222222, 0x33333333, 0x44444444 },
	};
	static struct registers fpu;     /* what the x87 looks like if nobody interferes */
	struct registers start = in, out;
	int sse = has_sse();

	start.eflags = (eflags & FLAGS) | 0x202;
	hold_raw(&start, &fpu, 1, sse);
	memset(&out, 0, sizeof out);
	hold_raw(&start, &out, iterations, sse);
	return out.eax != in.eax ? "EAX" : out.ebx != in.ebx + iterations ? "EBX" : out.ecx != 0 ? "ECX" :
	       out.edx != in.edx ? "EDX" : out.esi != in.esi ? "ESI" : out.edi != in.edi ? "EDI" :
	       out.ebp != in.ebp ? "EBP" : (out.eflags & FLAGS) != (eflags & FLAGS) ? "EFLAGS" :
	       !same_fpu(out.fpu, fpu.fpu) ? "x87" : sse && memcmp(out.xmm, in.xmm, sizeof in.xmm) ? "SSE" : 0;
}
