/*
 * runtime.S - how a handler gives the processor back.
 *
 * A handler is an ordinary C function that the kernel called by SYSEXIT or IRET with one of these stubs as its
 * return address. They stand in the public area because the handler must be able to execute them and never to
 * change them, and there are two because SYSENTER may be missing (entry=iret).
 */
#include <ringtoll/abi.h>

	.text
	.globl	uls_return_sysenter
	.type	uls_return_sysenter, @function
uls_return_sysenter:
	movl	$SYS_uls_return, %eax
	movl	%esp, %ecx              /* the kernel reads two words at [ECX] on every SYSENTER */
	sysenter
	ud2                             /* there is no way back here */
	.size	uls_return_sysenter, . - uls_return_sysenter

	.globl	uls_return_int80
	.type	uls_return_int80, @function
uls_return_int80:
	movl	$SYS_uls_return, %eax
	int	$0x80
	ud2
	.size	uls_return_int80, . - uls_return_int80

	.section .note.GNU-stack, "", @progbits
