/*
 * access.S - port accesses that may fault.
 *
 * The SIGSEGV handler puts access_denied into the context's EIP; the stack is as at entry, so RET leads back, with -1.
 */
	.text
	.globl	read_port, read_word, write_port, disable_interrupts, access_denied
read_port:
	movl	4(%esp), %edx
	xorl	%eax, %eax
	inb	%dx, %al
	ret
read_word:
	movl	4(%esp), %edx
	xorl	%eax, %eax
	inw	%dx, %ax
	ret
write_port:
	movl	4(%esp), %edx
	movl	8(%esp), %eax
	outb	%al, %dx
	xorl	%eax, %eax
	ret
disable_interrupts:
	cli
	xorl	%eax, %eax
	ret
access_denied:
	movl	$-1, %eax
	ret

	.section .note.GNU-stack, "", @progbits
