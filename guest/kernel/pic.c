/* pic.c - two cascaded 8259A interrupt controllers. */
#include "kernel.h"

#define MASTER      0x20
#define SLAVE       0xa0
#define ICW1_INIT   0x11            /* edge triggered, cascade, ICW4 follows */
#define ICW4_8086   0x01
#define OCW2_EOI    0x20
#define IRQ_CASCADE 2

static u16 mask = (u16)~(1 << IRQ_CASCADE);

static void set_mask(void)
{
	outb(MASTER + 1, (u8)mask);
	outb(SLAVE + 1, (u8)(mask >> 8));
}

void pic_init(void)
{
	outb(MASTER, ICW1_INIT);
	outb(SLAVE, ICW1_INIT);
	outb(MASTER + 1, VECTOR_IRQ);
	outb(SLAVE + 1, VECTOR_IRQ + 8);
	outb(MASTER + 1, 1 << IRQ_CASCADE);
	outb(SLAVE + 1, IRQ_CASCADE);
	outb(MASTER + 1, ICW4_8086);
	outb(SLAVE + 1, ICW4_8086);
	set_mask();
}

void pic_enable(u32 irq)
{
	mask &= (u16)~(1 << irq);
	set_mask();
}

void pic_eoi(u32 irq)
{
	if (irq >= 8)
		outb(SLAVE, OCW2_EOI);
	outb(MASTER, OCW2_EOI);
}
