/*
 * clone.S - a thread's first instructions. Always INT 0x80: SYSENTER's way back would go through the new stack.
 *
 *     long __clone(int flags, void *stack, int (*fn)(void *), void *arg, int slot)
 *
 * The child starts with  ESP -> arg | fn | slot | unused ,  and calls with ESP a multiple of 16.
 */
#include <ringtoll/abi.h>

	.text
	.globl	__clone
	.type	__clone, @function
__clone:
	pushl	%ebx
	movl	12(%esp), %ecx
	subl	$16, %ecx
	movl	20(%esp), %eax
	movl	%eax, (%ecx)
	movl	16(%esp), %eax
	movl	%eax, 4(%ecx)
	movl	24(%esp), %eax
	movl	%eax, 8(%ecx)
	movl	8(%esp), %ebx
	movl	$SYS_clone, %eax
	int	$0x80
	testl	%eax, %eax
	jz	1f
	popl	%ebx
	ret
1:	xorl	%ebp, %ebp              /* ends the chain of frames for a debugger */
	movl	8(%esp), %ebx
	call	*4(%esp)
	subl	$8, %esp
	pushl	%eax
	pushl	%ebx
	call	__thread_end
	.size	__clone, . - __clone

	.section .note.GNU-stack, "", @progbits
