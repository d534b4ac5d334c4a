/*
 * cpu.S - instructions C has no word for.
 *
 *     uint64_t rdtsc(void);
 *     void cpuid(uint32_t leaf, uint32_t registers[4]);      EAX, EBX, ECX, EDX
 *
 * rdtsc is a function and is never inlined: every time stamp of every program is then taken at one address, which
 * is how the host finds the matching snapshot of its cycle ledger. It does nothing else, so that the value is the
 * counter and not something computed from it.
 */
	.text
	.globl	rdtsc
	.type	rdtsc, @function
rdtsc:
	rdtsc
	ret
	.size	rdtsc, . - rdtsc

	.globl	cpuid
	.type	cpuid, @function
cpuid:
	pushl	%ebx
	pushl	%edi
	movl	12(%esp), %eax
	xorl	%ecx, %ecx
	movl	16(%esp), %edi
	cpuid
	movl	%eax, (%edi)
	movl	%ebx, 4(%edi)
	movl	%ecx, 8(%edi)
	movl	%edx, 12(%edi)
	popl	%edi
	popl	%ebx
	ret
	.size	cpuid, . - cpuid

	.section .note.GNU-stack, "", @progbits
