#ifndef CPU_H
#define CPU_H
#include <stdint.h>

uint64_t rdtsc(void);                                  /* libc/cpu.S: rdtsc; ret - and nothing else */
void cpuid(uint32_t leaf, uint32_t registers[4]);     /* EAX EBX ECX EDX */

#define CPUID_FPU  (1u << 0)      /* leaf 1, EDX */
#define CPUID_SEP  (1u << 11)
#define CPUID_FXSR (1u << 24)
#define CPUID_SSE  (1u << 25)
#endif
