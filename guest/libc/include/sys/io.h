#ifndef SYS_IO_H
#define SYS_IO_H

int ioperm(unsigned long port, unsigned long count, int on);
int iopl(int level);     /* 3: all ports, but not CLI and STI */

static inline unsigned char inb(unsigned short port)
{
	unsigned char v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void outb(unsigned char v, unsigned short port) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
#endif
