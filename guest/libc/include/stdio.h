#ifndef STDIO_H
#define STDIO_H
#include <stdarg.h>
#include <stddef.h>

/* %d i u x X o p c s %, flags - 0 + space #, width and precision (also *), sizes hh h l ll z. No floating point. */
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int vprintf(const char *format, va_list arguments);
int snprintf(char *to, size_t n, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *to, size_t n, const char *format, va_list arguments);
int puts(const char *s);
int putchar(int c);
#endif
