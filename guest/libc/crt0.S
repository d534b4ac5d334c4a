/*
 * crt0.S - the first instructions of a program.
 *
 * The kernel starts a process as Linux does:  ESP -> argc | argv[0] ... | 0 | environment ... | 0
 */
	.globl	_start
	.type	_start, @function
	.text
_start:
	xorl	%ebp, %ebp              /* ends the chain of frames for a debugger */
	movl	(%esp), %eax
	leal	4(%esp), %ecx
	andl	$-16, %esp              /* the i386 System V alignment, which compilers rely on */
	subl	$8, %esp
	pushl	%ecx
	pushl	%eax
	call	__start
1:	jmp	1b
	.size	_start, . - _start

	.section .note.GNU-stack, "", @progbits
