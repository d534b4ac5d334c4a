/* x86.h - one inline function per privileged instruction, named as in the SDM. */
#ifndef X86_H
#define X86_H

#include "layout.h"
#include "types.h"

#define CR0_MP   (1u << 1)
#define CR0_EM   (1u << 2)
#define CR0_TS   (1u << 3)
#define CR0_NE   (1u << 5)
#define CR0_WP   (1u << 16)
#define CR0_PG   (1u << 31)
#define CR4_PSE        (1u << 4)
#define CR4_PGE        (1u << 7)
#define CR4_OSFXSR     (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)

/*
 * Page-directory and page-table entries (SDM 3A, 32-bit paging)
 *
 *    31            22 21         12 11  9  8  7  6  5   4   3   2   1   0
 *   +----------------+-------------+-----+--+--+--+--+---+---+---+---+---+
 *   | 4 MB frame     | reserved    | AVL |G |PS|D |A |PCD|PWT|U/S|R/W| P |   PS = 1: a 4 MB page
 *   +----------------+-------------+-----+--+--+--+--+---+---+---+---+---+
 *   | page table or 4 KB frame     | AVL |G |0 |D |A |PCD|PWT|U/S|R/W| P |
 *   +------------------------------+-----+--+--+--+--+---+---+---+---+---+
 */
#define PTE_P    0x001u
#define PTE_W    0x002u
#define PTE_U    0x004u
#define PTE_A    0x020u
#define PTE_D    0x040u
#define PTE_PS   0x080u
#define PTE_G    0x100u
#define PTE_SHM  0x200u    /* AVL: the frame belongs to a shared object, do not free it with the address space */
#define PTE_FRAME(e) ((e) & 0xfffff000u)
#define PDX(a)   ((u32)(a) >> 22)
#define PTX(a)   (((u32)(a) >> 12) & 1023)

/* Page-fault error code */
#define PF_P     1u        /* the page was present: a protection fault */
#define PF_W     2u
#define PF_U     4u

static inline void outb(u16 port, u8 v)  { asm volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outl(u16 port, u32 v) { asm volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }

static inline void cli(void) { asm volatile("cli" : : : "memory"); }
static inline void sti(void) { asm volatile("sti" : : : "memory"); }
/* STI holds interrupts off for one more instruction, so no wake-up can slip in between. */
static inline void sti_hlt(void) { asm volatile("sti; hlt" : : : "memory"); }
static inline u32 irq_save(void)
{
	u32 flags;
	asm volatile("pushfl; popl %0; cli" : "=r"(flags) : : "memory");
	return flags;
}
static inline void irq_restore(u32 flags) { if (flags & EFLAGS_IF) sti(); }

static inline u32 read_cr0(void) { u32 v; asm volatile("movl %%cr0, %0" : "=r"(v)); return v; }
static inline u32 read_cr2(void) { u32 v; asm volatile("movl %%cr2, %0" : "=r"(v)); return v; }
static inline u32 read_cr3(void) { u32 v; asm volatile("movl %%cr3, %0" : "=r"(v)); return v; }
static inline u32 read_cr4(void) { u32 v; asm volatile("movl %%cr4, %0" : "=r"(v)); return v; }
static inline void write_cr0(u32 v) { asm volatile("movl %0, %%cr0" : : "r"(v) : "memory"); }
static inline void write_cr3(u32 v) { asm volatile("movl %0, %%cr3" : : "r"(v) : "memory"); }
static inline void write_cr4(u32 v) { asm volatile("movl %0, %%cr4" : : "r"(v) : "memory"); }
static inline void invlpg(u32 a) { asm volatile("invlpg (%0)" : : "r"(a) : "memory"); }
static inline void clts(void) { asm volatile("clts"); }

static inline void wrmsr(u32 msr, u32 lo) { asm volatile("wrmsr" : : "c"(msr), "a"(lo), "d"(0)); }
static inline void cpuid(u32 leaf, u32 *a, u32 *b, u32 *c, u32 *d)
{
	asm volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "a"(leaf), "c"(0));
}

struct pt_regs {
	u32 ebx, ecx, edx, esi, edi, ebp, eax, ds, es;
	u32 vector, error;
	u32 eip, cs, eflags, esp, ss;
};
static inline bool user_mode(const struct pt_regs *r) { return (r->cs & 3) == 3; }

u64 rdtsc(void);             /* switch.S: the one place where time is read; never inlined */

#endif
