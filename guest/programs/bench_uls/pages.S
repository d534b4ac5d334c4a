/*
 * pages.S - the working set of the ULS benchmark: one load on each of D pages, one call on each of C.
 *
 *     void touch_pages(unsigned dpages, unsigned cpages, const void *data);
 *
 *     page i:  ........[x]......        x at offset (i * 64) % 4096; with SPREAD, ((i + i / 64) * 64) % 4096
 *
 * One access a page, each in another cache line offset: pages that were all touched at offset 0 would fall into the
 * same few sets of a virtually indexed L1 cache, and we would measure cache misses instead of TLB misses.
 *
 * SPREAD: frames mostly follow each other, so without it the lines of pages i, i + 64, i + 128 ... would fall into the
 * same sets of a cache indexed by physical address, and from some hundred pages on we would measure that.
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
#ifdef SPREAD
	xorl	%edi, %edi              /* i * 65: bits 6 to 11 are (i + i / 64) % 64 */
	jecxz	2f
1:	movl	%edi, %eax
	andl	$4032, %eax
	movl	(%esi,%eax), %eax
	addl	$4096, %esi
	addl	$65, %edi
	decl	%ecx
	jnz	1b
#else
	xorl	%edi, %edi              /* (i * 64) % 4096 */
	jecxz	2f
1:	movl	(%esi,%edi), %eax
	addl	$4096, %esi
	addl	$64, %edi
	andl	$4095, %edi
	decl	%ecx
	jnz	1b
#endif
2:	movl	20(%esp), %ebx
	movl	$code_pages, %esi
	xorl	%edi, %edi
	testl	%ebx, %ebx
	jz	4f
#ifdef SPREAD
3:	movl	%edi, %eax
	andl	$4032, %eax
	addl	%esi, %eax
	call	*%eax
	addl	$4096, %esi
	addl	$65, %edi
#else
3:	leal	(%esi,%edi), %eax
	call	*%eax
	addl	$4096, %esi
	addl	$64, %edi
	andl	$4095, %edi
#endif
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
#ifdef SPREAD
	.org	page * 4096 + ((page * 65) & 4032), 0xcc
#else
	.org	page * 4096 + ((page * 64) & 4095), 0xcc
#endif
	ret
	.set	page, page + 1
	.endr
	.org	PAGES * 4096, 0xcc

	.section .note.GNU-stack, "", @progbits
