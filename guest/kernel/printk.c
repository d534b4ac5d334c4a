/* printk.c - formatted output on the console: %s %c %d %u %x %08x %p %%. */
#include <stdarg.h>
#include "kernel.h"

static void put_number(u32 n, u32 base, u32 width, char pad)
{
	char digits[12];
	u32 i = 0;
	do
		digits[i++] = "0123456789abcdef"[n % base];
	while (n /= base);
	for (; width > i; width--)
		console_putc(pad);
	while (i)
		console_putc(digits[--i]);
}

void printk(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	for (; *format; format++) {
		if (*format != '%') {
			console_putc(*format);
			continue;
		}
		u32 width = 0;
		char pad = ' ';
		format++;
		if (*format == '0')
			pad = '0';
		for (; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (u32)(*format - '0');
		switch (*format) {
		case 's':
			for (const char *s = va_arg(args, const char *); *s; s++)
				console_putc(*s);
			break;
		case 'c':
			console_putc((char)va_arg(args, int));
			break;
		case 'd': {
			s32 n = va_arg(args, s32);
			if (n < 0)
				console_putc('-');
			put_number(n < 0 ? -(u32)n : (u32)n, 10, width, pad);
			break;
		}
		case 'u':
			put_number(va_arg(args, u32), 10, width, pad);
			break;
		case 'p':
			width = 8;
			pad = '0';
			/* fall through */
		case 'x':
			put_number(va_arg(args, u32), 16, width, pad);
			break;
		default:
			console_putc(*format);
		}
	}
	va_end(args);
}
