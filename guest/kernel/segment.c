/*
 * segment.c - GDT, TSS, IDT and the SYSENTER MSRs.
 *
 *   GDT   0x00 null        0x08 kernel code   0x10 kernel data   0x18 user code   0x20 user data   0x28 TSS
 *                          \--------------- order demanded by SYSENTER / SYSEXIT --------------/
 *
 * All code and data segments are flat, unless small=on (small.c): only pages protect. The one TSS is there for ESP0,
 * the stack the processor loads when an interrupt comes in ring 3, and for the I/O bitmap. SYSENTER_ESP points at ESP0
 * (entry.S).
 *
 *    TSS base +0    104 bytes as the processor defines them
 *             +104  I/O bitmap of 65536 ports, all allowed | 0xff
 *             +8297 I/O bitmap of 1024 ports               | 0xff   <- limit
 *
 * `iomap` selects one, or nothing if it is beyond the limit. The processor reads two bytes for a port, hence the byte of
 * ones after each; the short bitmap is last so that ports it does not cover are beyond the limit: denied (SDM 1,
 * I/O permission bit map).
 */
#include "io_ports.h"

static u64 gdt[6];

static struct {
	u32 spare[64];                  /* a #DB at the first instruction after SYSENTER pushes down from esp0 */
	struct {
		u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
		u32 es, cs, ss, ds, fs, gs, ldt;
		u16 trap, iomap;
		u8 all[0x10000 / 8], all_end;
		u8 some[IO_PORTS / 8], some_end;
	} __attribute__((packed)) tss;
} block __attribute__((aligned(512)));

#define TSS_SIZE (offsetof(__typeof__(block.tss), some_end) + 1)       /* in bytes; the last is `some_end` */

struct gate { u16 offset_low, selector; u8 zero, type; u16 offset_high; };
static struct gate idt[256];

struct table { u16 limit; void *base; } __attribute__((packed));

#define GATE_INTERRUPT 0x8e         /* clears IF */
#define GATE_TRAP      0x8f         /* leaves IF alone */
#define GATE_DPL3      0x60

extern u32 exception_stubs[20], irq_stubs[16];
void system_call(void);
void sysenter_entry(void);

static u64 descriptor(u32 base, u32 limit, u32 access, u32 flags)
{
	return (u64)(limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 |
	       (u64)flags << 52 | (u64)(base >> 24) << 56;
}

static void set_gate(u32 vector, u32 handler, u8 type)
{
	idt[vector] = (struct gate){ handler & 0xffff, SEL_KERNEL_CS, 0, type, (u16)(handler >> 16) };
}

u8 *const tss_io_bitmap = block.tss.some;

void tss_io_select(enum io_map which)
{
	static const u16 base[] = { [IO_NONE] = TSS_SIZE, [IO_SOME] = offsetof(__typeof__(block.tss), some),
				    [IO_ALL] = offsetof(__typeof__(block.tss), all) };
	*(volatile u16 *)&block.tss.iomap = base[which];
}

void set_kernel_stack(u32 esp0) { *(volatile u32 *)&block.tss.esp0 = esp0; }

void segment_init(void)
{
	gdt[1] = descriptor(0, 0xfffff, 0x9b, 0xc);
	gdt[2] = descriptor(0, 0xfffff, 0x93, 0xc);
	gdt[3] = descriptor(0, 0xfffff, 0xfb, 0xc);
	gdt[4] = descriptor(0, 0xfffff, 0xf3, 0xc);
	gdt[5] = descriptor((u32)&block.tss, TSS_SIZE - 1, 0x89, 0);
	block.tss.ss0 = SEL_KERNEL_DS;
	block.tss.all_end = block.tss.some_end = 0xff;
	tss_io_select(IO_NONE);

	struct table gdtr = { sizeof(gdt) - 1, gdt };
	asm volatile("lgdt %0\n\t"
		     "ljmp %1, $1f\n"
		     "1:\tmovl %2, %%ss\n\t"
		     "movl %3, %%ds\n\t"
		     "movl %3, %%es\n\t"
		     "movl %4, %%fs\n\t"
		     "movl %4, %%gs\n\t"
		     "ltr %w5"
		     : : "m"(gdtr), "i"(SEL_KERNEL_CS), "r"(SEL_KERNEL_DS), "r"(SEL_USER_DS), "r"(0), "r"(SEL_TSS)
		     : "memory");
}

volatile u32 *const tss_esp0 = (volatile u32 *)&block.tss.esp0;
u64 *const user_segments = &gdt[3];

/* Descriptors of user code and data from `base` on, `pages` long; the accessed bit is set, so that loads don't write. */
void user_segment_descriptors(u64 to[2], u32 base, u32 pages)
{
	to[0] = descriptor(base, pages - 1, 0xfb, 0xc);
	to[1] = descriptor(base, pages - 1, 0xf3, 0xc);
}

void interrupt_table_init(void)
{
	interrupt_table_set(exception_stubs, irq_stubs, system_call, sysenter_entry);
}

void interrupt_table_set(const u32 *exceptions, const u32 *irqs, void (*call)(void), void (*sysenter)(void))
{
	for (u32 i = 0; i < 20; i++)
		set_gate(i, exceptions[i], GATE_INTERRUPT);
	for (u32 i = 3; i <= 5; i++)                /* INT3, INTO, BOUND are allowed in ring 3 */
		set_gate(i, exceptions[i], GATE_INTERRUPT | GATE_DPL3);
	for (u32 i = 0; i < 16; i++)
		set_gate(VECTOR_IRQ + i, irqs[i], GATE_INTERRUPT);
	set_gate(VECTOR_SYSCALL, (u32)call, GATE_TRAP | GATE_DPL3);
	struct table idtr = { sizeof(idt) - 1, idt };
	asm volatile("lidt %0" : : "m"(idtr));

	if (cpu.features & CPUID_SEP) {
		wrmsr(MSR_SYSENTER_CS, SEL_KERNEL_CS);
		wrmsr(MSR_SYSENTER_ESP, (u32)&block.tss.esp0);
		wrmsr(MSR_SYSENTER_EIP, (u32)sysenter);
	}
}
