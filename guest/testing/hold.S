/*
 * hold.S - spin with every register under watch.
 *
 *     void hold_raw(const struct registers *in, struct registers *out, uint32_t iterations, int sse);
 *
 * LOOP counts ECX down and LEA counts EBX up, and neither touches the flags: an interruption that loses ECX, EBX or
 * a flag cannot stay hidden. At the end ECX is 0 and EBX has gained the number of iterations.
 */
#define EAX 0
#define EBX 4
#define ECX 8
#define EDX 12
#define ESI 16
#define EDI 20
#define EBP 24
#define EFLAGS 28
#define FPU 32
#define XMM 140

	.data
	.balign	4
out:	.long	0
sse:	.long	0

	.text
	.globl	hold_raw
	.type	hold_raw, @function
hold_raw:
	pushl	%ebp
	pushl	%edi
	pushl	%esi
	pushl	%ebx
	movl	24(%esp), %eax
	movl	%eax, out
	movl	32(%esp), %eax
	movl	%eax, sse
	movl	28(%esp), %ecx
	movl	20(%esp), %eax          /* in */
	testl	$-1, sse
	jz	1f
	movups	XMM(%eax), %xmm0
	movups	XMM+16(%eax), %xmm7
1:	fninit
	fldpi
	fldl2e
	fldz
	fld1
	pushl	EFLAGS(%eax)
	movl	EBX(%eax), %ebx
	movl	EDX(%eax), %edx
	movl	ESI(%eax), %esi
	movl	EDI(%eax), %edi
	movl	EBP(%eax), %ebp
	movl	EAX(%eax), %eax
	popfl
2:	leal	1(%ebx), %ebx
	loop	2b
	/* Save without changing a flag before they are saved themselves. */
	pushfl
	cld
	pushl	%eax
	movl	out, %eax
	movl	%ebx, EBX(%eax)
	movl	%ecx, ECX(%eax)
	movl	%edx, EDX(%eax)
	movl	%esi, ESI(%eax)
	movl	%edi, EDI(%eax)
	movl	%ebp, EBP(%eax)
	popl	EAX(%eax)
	popl	EFLAGS(%eax)
	fnsave	FPU(%eax)
	testl	$-1, sse
	jz	3f
	movups	%xmm0, XMM(%eax)
	movups	%xmm7, XMM+16(%eax)
3:	popl	%ebx
	popl	%esi
	popl	%edi
	popl	%ebp
	ret
	.size	hold_raw, . - hold_raw

	.section .note.GNU-stack, "", @progbits
