/*
 * probe.S - one access that may fault.
 *
 * When it does, the SIGSEGV handler puts probe_recover into the context's EIP. All three have the stack as at their
 * entry when they access, so a plain RET leads back, with 1 for "faulted".
 */
	.text
	.globl	probe_read_raw, probe_write_raw, probe_jump_raw, probe_recover
probe_read_raw:
	movl	4(%esp), %eax
	movl	(%eax), %eax
	xorl	%eax, %eax
	ret
probe_write_raw:
	movl	4(%esp), %eax
	movl	$0x52494e47, (%eax)
	xorl	%eax, %eax
	ret
probe_jump_raw:
	movl	4(%esp), %eax
	jmp	*%eax
probe_recover:
	movl	$1, %eax
	ret

	.section .note.GNU-stack, "", @progbits
