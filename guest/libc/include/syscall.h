/* syscall.h - raw system calls: the kernel's result as it is, without errno. */
#ifndef SYSCALL_H
#define SYSCALL_H
#include <ringtoll/abi.h>

typedef long (*syscall_entry_t)(long number, long a1, long a2, long a3, long a4, long a5, long a6);

long syscall_int80(long number, long a1, long a2, long a3, long a4, long a5, long a6);
long syscall_sysenter(long number, long a1, long a2, long a3, long a4, long a5, long a6);

/* The way every function of the library takes; SYSENTER unless a program sets it. */
extern syscall_entry_t syscall_entry;

/* -4095..-1 becomes -1 and errno. */
long __result(long value);
#endif
