/*
 * stdio.h - formatted output and the three streams. There are no files to open.
 *
 * Formats: %d i u x X o p c s %, flags - 0 + space #, width and precision (also *), sizes hh h l ll j z t. No floating
 * point: the compiler is told to use no registers for it.
 */
#ifndef STDIO_H
#define STDIO_H
#include <stdarg.h>
#include <stddef.h>

typedef struct stream FILE;
extern FILE *const stdin, *const stdout, *const stderr;
#define stdin  stdin
#define stdout stdout
#define stderr stderr
#define EOF (-1)
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

int printf(const char *format, ...) PRINTF_LIKE(1, 2);
int fprintf(FILE *f, const char *format, ...) PRINTF_LIKE(2, 3);
int dprintf(int fd, const char *format, ...) PRINTF_LIKE(2, 3);
int sprintf(char *to, const char *format, ...) PRINTF_LIKE(2, 3);
int snprintf(char *to, size_t n, const char *format, ...) PRINTF_LIKE(3, 4);
int vprintf(const char *format, va_list arguments);
int vfprintf(FILE *f, const char *format, va_list arguments);
int vdprintf(int fd, const char *format, va_list arguments);
int vsprintf(char *to, const char *format, va_list arguments);
int vsnprintf(char *to, size_t n, const char *format, va_list arguments);
int puts(const char *s);
int putchar(int c);
int putc(int c, FILE *f);
int fputc(int c, FILE *f);
int fputs(const char *s, FILE *f);
size_t fwrite(const void *from, size_t size, size_t n, FILE *f);
int fflush(FILE *f);
int getchar(void);
int getc(FILE *f);
int fgetc(FILE *f);
int ungetc(int c, FILE *f);
char *fgets(char *to, int n, FILE *f);
size_t fread(void *to, size_t size, size_t n, FILE *f);
int feof(FILE *f);
int ferror(FILE *f);
void clearerr(FILE *f);
int fileno(FILE *f);
void perror(const char *s);
#endif
