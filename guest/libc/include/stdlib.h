#ifndef STDLIB_H
#define STDLIB_H
#include <stddef.h>

void exit(int status) __attribute__((noreturn));
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t n);
void free(void *p);
unsigned long strtoul(const char *s, char **end, int base);
long strtol(const char *s, char **end, int base);
int atoi(const char *s);
#endif
