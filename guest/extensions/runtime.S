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

/*
 * What `init` is of an extension with constructors: the linker's veneer comes here with EAX = a table of functions that
 * ends with 0, the constructors in their order and then the extension's own init. Each is called with the event.
 *      ESP -> return stub | event pointer
 */
	.globl	uls_init
	.type	uls_init, @function
uls_init:
	pushl	%ebx
	movl	%eax, %ebx
	subl	$4, %esp                /* ESP + 4 is a multiple of 16 at each call's entry, as on ours */
1:	movl	(%ebx), %eax
	testl	%eax, %eax
	jz	2f
	addl	$4, %ebx
	pushl	12(%esp)                /* the event, anew each time: a callee may change its argument */
	call	*%eax
	addl	$4, %esp
	jmp	1b
2:	addl	$4, %esp
	popl	%ebx
	ret
	.size	uls_init, . - uls_init

	.section .note.GNU-stack, "", @progbits
