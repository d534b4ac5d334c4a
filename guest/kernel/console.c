/*
 * console.c - COM1, a 16550 UART. Output is polled (LSR.THRE), input comes by IRQ 4.
 *
 * read() is raw except that CR becomes LF and Ctrl-D on an empty buffer is end of file. No echo.
 */
#include "file.h"
#include "uls.h"

#define COM1     0x3f8
#define UART_THR (COM1 + 0)     /* write: transmit; read: receive */
#define UART_IER (COM1 + 1)
#define UART_FCR (COM1 + 2)
#define UART_LCR (COM1 + 3)
#define UART_MCR (COM1 + 4)
#define UART_LSR (COM1 + 5)
#define LSR_DR   0x01           /* data ready */
#define LSR_THRE 0x20           /* transmit holding register empty */
#define LCR_DLAB 0x80
#define IRQ_COM1 4

#define RING     256
static char ring[RING];
static u32 ring_in, ring_out;
static struct wait_queue readers;

void console_init(void)
{
	outb(UART_IER, 0);
	outb(UART_LCR, LCR_DLAB);
	outb(COM1 + 0, 1);              /* divisor 1: 115200 */
	outb(COM1 + 1, 0);
	outb(UART_LCR, 0x03);           /* 8N1 */
	outb(UART_FCR, 0x07);           /* FIFO on, cleared, receive trigger at one byte */
	outb(UART_MCR, 0x0b);           /* DTR, RTS, OUT2 (OUT2 lets the interrupt through) */
}

void console_enable_input(void)
{
	outb(UART_IER, 0x01);
	pic_enable(IRQ_COM1);
}

void console_putc(char c)
{
	while (!(inb(UART_LSR) & LSR_THRE))
		;
	outb(UART_THR, (u8)c);
}

void console_interrupt(void)
{
	while (inb(UART_LSR) & LSR_DR) {
		char c = (char)inb(UART_THR);
		source_uart((u8)c);
		if (c == '\r')
			c = '\n';
		if (ring_in - ring_out < RING)
			ring[ring_in++ % RING] = c;
	}
	wake_all(&readers);
	file_ready(&console_file);
}

bool console_readable(void) { return ring_in != ring_out; }

/* Waits for the first byte, then takes what is there. */
s32 console_read(char *buf, u32 n)
{
	u32 got = 0, flags = irq_save();
	s32 result = 0;
	while (ring_in == ring_out) {
		if (signal_waiting(current)) {
			result = -ERESTARTSYS;
			break;
		}
		sleep_on(&readers);
	}
	while (got < n && ring_in != ring_out) {
		char c = ring[ring_out % RING];
		if (c == 4) {
			if (got == 0)
				ring_out++;
			break;
		}
		ring_out++;
		buf[got++] = c;
		if (c == '\n')
			break;
	}
	irq_restore(flags);
	return result ? result : (s32)got;
}
