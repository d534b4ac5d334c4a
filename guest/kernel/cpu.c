/* cpu.c - CPUID, and the features this kernel cannot do without. */
#include "kernel.h"

struct cpu cpu;

void cpu_init(void)
{
	u32 max, b, c, d, signature;
	cpuid(0, &max, &b, &c, &d);
	memcpy(cpu.vendor + 0, &b, 4);
	memcpy(cpu.vendor + 4, &d, 4);
	memcpy(cpu.vendor + 8, &c, 4);
	cpuid(1, &signature, &b, &c, &cpu.features);
	cpu.stepping = signature & 15;
	cpu.model = (signature >> 4 & 15) | (signature >> 12 & 0xf0);
	cpu.family = signature >> 8 & 15;
	if (cpu.family == 15)
		cpu.family += signature >> 20 & 0xff;
	/* SDM 2B, SYSENTER: the Pentium Pro reports SEP but does not have it. */
	if (cpu.family == 6 && cpu.model < 3 && cpu.stepping < 3)
		cpu.features &= ~CPUID_SEP;

	printk("cpu: %s family %u model %u stepping %u, features %08x\n", cpu.vendor, cpu.family, cpu.model, cpu.stepping,
	       cpu.features);
	if (~cpu.features & (CPUID_PSE | CPUID_TSC | CPUID_PGE | CPUID_FXSR))
		panic("this kernel needs PSE, TSC, PGE and FXSR");
	if (!(cpu.features & CPUID_SEP) && options.entry == ULS_ENTRY_SYSEXIT) {
		printk("cpu: no SYSENTER, using entry=iret\n");
		options.entry = ULS_ENTRY_IRET;
	}
}
