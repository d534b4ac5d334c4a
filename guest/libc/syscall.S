/*
 * syscall.S - the two ways into the kernel, and the way back from a signal handler.
 *
 *     long syscall_int80   (long number, a1, a2, a3, a4, a5, a6);
 *     long syscall_sysenter(long number, a1, a2, a3, a4, a5, a6);
 *
 * Both return what the kernel returned (-4095..-1 is an error). The register convention is in ringtoll/abi.h.
 */
#include <ringtoll/abi.h>

/* Four registers are the caller's by the C convention; with the return address the arguments start at 20. */
#define NUMBER 20
	.macro	load_arguments
	pushl	%ebp
	pushl	%edi
	pushl	%esi
	pushl	%ebx
	movl	NUMBER(%esp), %eax
	movl	NUMBER+4(%esp), %ebx
	movl	NUMBER+8(%esp), %ecx
	movl	NUMBER+12(%esp), %edx
	movl	NUMBER+16(%esp), %esi
	movl	NUMBER+20(%esp), %edi
	movl	NUMBER+24(%esp), %ebp
	.endm

	.macro	leave_wrapper
	popl	%ebx
	popl	%esi
	popl	%edi
	popl	%ebp
	ret
	.endm

	.text
	.globl	syscall_int80
	.type	syscall_int80, @function
syscall_int80:
	load_arguments
	int	$0x80
	leave_wrapper
	.size	syscall_int80, . - syscall_int80

	.globl	syscall_sysenter
	.type	syscall_sysenter, @function
syscall_sysenter:
	load_arguments
	/* SYSENTER saves nothing and SYSEXIT takes EIP from EDX and ESP from ECX: the way back occupies these two
	 * registers, and the arguments they held travel on the stack. */
	pushl	%edx
	pushl	%ecx
	movl	%esp, %ecx
	movl	$1f, %edx
	sysenter
1:	popl	%ecx
	popl	%edx
	leave_wrapper
	.size	syscall_sysenter, . - syscall_sysenter

	/* A handler returns here: ESP is then at the frame's second word, sig, which sigreturn expects removed. */
	.globl	__sigreturn_restorer
	.type	__sigreturn_restorer, @function
__sigreturn_restorer:
	popl	%eax
	movl	$SYS_sigreturn, %eax
	int	$0x80
	.size	__sigreturn_restorer, . - __sigreturn_restorer

	.globl	__rt_sigreturn_restorer
	.type	__rt_sigreturn_restorer, @function
__rt_sigreturn_restorer:
	movl	$SYS_rt_sigreturn, %eax
	int	$0x80
	.size	__rt_sigreturn_restorer, . - __rt_sigreturn_restorer

	.section .note.GNU-stack, "", @progbits
