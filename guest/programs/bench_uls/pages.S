/*
 * pages.S - the working set of the ULS benchmark: one load on each of D pages, one call on each of C.
 *
 *     void touch_pages(unsigned dpages, unsigned cpages, const void *data);
 *
 *     page i:  ........[x]......        x at offset (i * 64) % 4096
 *
 * One access a page, each in another cache line offset: pages that were all touched at offset 0 would fall into the
 * same few sets of a virtually indexed L1 cache, and we would measure cache misses instead of TLB misses.
 *
 * The pages of code are real code in the image, not code written at run time: modifying code has costs of its own.
 */
#ifndef PAGES     /* bench_ipc has more */
#define PAGES 192
#endif

	.text
	.globl	touch_pages
	.type	touch_pages, @function
touch_pages:
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	movl	16(%esp), %ecx
	movl	24(%esp), %esi
	xorl	%edi, %edi              /* (i * 64) % 4096 */
	jecxz	2f
1:	movl	(%esi,%edi), %eax
	addl	$4096, %esi
	addl	$64, %edi
	andl	$4095, %edi
	decl	%ecx
	jnz	1b
2:	movl	20(%esp), %ebx
	movl	$code_pages, %esi
	xorl	%edi, %edi
	testl	%ebx, %ebx
	jz	4f
3:	leal	(%esi,%edi), %eax
	call	*%eax
	addl	$4096, %esi
	addl	$64, %edi
	andl	$4095, %edi
	decl	%ebx
	jnz	3b
4:	popl	%edi
	popl	%esi
	popl	%ebx
	ret
	.size	touch_pages, . - touch_pages

	.section .text.pages, "ax", @progbits
	.balign	32768           /* the Pentium III's ITLB has 8 sets of 4 ways: 24 pages take three in each,
	                           and this program's few other pages, which follow each other, one */
	.globl	code_pages
code_pages:
	.set	page, 0
	.rept	PAGES
	.org	page * 4096 + ((page * 64) & 4095), 0xcc
	ret
	.set	page, page + 1
	.endr
	.org	PAGES * 4096, 0xcc

	.section .note.GNU-stack, "", @progbits
