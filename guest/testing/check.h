/* check.h - what the guest's test programs share: PASS/FAIL lines, faults on purpose, registers under watch. */
#ifndef CHECK_H
#define CHECK_H
#include <stdint.h>
#include <ringtoll/abi.h>

/* Print `PASS name` or `FAIL name detail`; returns ok. */
int check(const char *name, int ok, const char *detail, ...) __attribute__((format(printf, 3, 4)));
/* The same for two numbers that should be equal. */
int check_equal(const char *name, long got, long wanted);
int check_failures(void);
void sleep_ms(int ms);

/* ---- faults on purpose: probe.c, probe.S ---- */
struct fault { int signal; uint32_t trap, error, cr2, si_addr; int si_code; };

void probe_setup(void);                        /* take SIGSEGV */
struct fault probe_read(uint32_t address);     /* .signal is 0 if there was no fault */
struct fault probe_write(uint32_t address);
struct fault probe_jump(uint32_t address);
void check_fault(const char *name, struct fault f, uint32_t error, uint32_t cr2);

/* ---- registers under watch: hold.c, hold.S ---- */
struct registers {
	uint32_t eax, ebx, ecx, edx, esi, edi, ebp, eflags;
	uint16_t fpu[54];       /* FNSAVE image */
	uint32_t xmm[8];        /* xmm0, xmm7 */
};

/* Fill every register with known values, spin without touching them, and compare: 0, or which differed. */
const char *hold_registers(uint32_t iterations, uint32_t eflags);
#endif
