#ifndef SETJMP_H
#define SETJMP_H

typedef unsigned jmp_buf[6];
int setjmp(jmp_buf buffer) __attribute__((returns_twice));
void longjmp(jmp_buf buffer, int value) __attribute__((noreturn));
#endif
