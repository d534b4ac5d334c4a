/*
 * boot.S - from multiboot to C.
 *
 * The loader enters at _start_physical in 32-bit protected mode with paging off, EAX = 0x2BADB002, EBX = physical
 * address of the multiboot information. The kernel is linked at 0xC0100000 but sits at 1 MB, so paging comes first:
 *
 *   linear                    physical
 *   0x00000000 .. 4 MB        0 .. 4 MB       identity, only while EIP still points down there
 *   0xC0000000 .. +768 MB     0 .. 768 MB     direct map of RAM: 4 MB pages (CR4.PSE), supervisor, global
 *
 * The direct map is global (CR4.PGE) because it is the same in every address space: a CR3 write then leaves it in
 * the TLB. This page directory is also the template from which every process's directory is copied.
 */
#include "layout.h"

	.section .multiboot, "a"
	.balign 4
	.long 0x1BADB002                      /* magic */
	.long 0x00000003                      /* modules on page boundaries, memory information */
	.long -(0x1BADB002 + 0x00000003)

#define PHYSICAL(x)   ((x) - KERNEL_BASE)
#define PDE_KERNEL    0x183               /* P, R/W, PS, G */
#define DIRECT_PDES   192

	.text
	.globl _start
	.set _start_physical, _start - KERNEL_BASE
	.globl _start_physical
_start:
	cld
	movl %eax, %esi                       /* multiboot magic */

	movl $PHYSICAL(template_pgd), %edi
	movl $PDE_KERNEL, %eax
	movl %eax, (%edi)                     /* identity map of the first 4 MB */
	leal (KERNEL_BASE >> 20)(%edi), %edi
	movl $DIRECT_PDES, %ecx
1:	stosl
	addl $SUPERPAGE_SIZE, %eax
	loop 1b

	movl %cr4, %eax
	orl $0x10, %eax                       /* CR4.PSE */
	movl %eax, %cr4
	movl $PHYSICAL(template_pgd), %eax
	movl %eax, %cr3
	movl %cr0, %eax
	orl $0x80010000, %eax                 /* PG, and WP: ring 0 must respect read-only pages when it copies to users */
	movl %eax, %cr0
	movl $2f, %eax
	jmp *%eax
2:
	movl $0, template_pgd                 /* drop the identity map while nothing is global yet ... */
	movl %cr3, %eax
	movl %eax, %cr3
	movl %cr4, %eax
	orl $0x80, %eax                       /* ... and only then set CR4.PGE (SDM 3A: after paging is on) */
	movl %eax, %cr4

	movl $init_stack + STACK_SIZE, %esp
	pushl $0
	popfl
	pushl %ebx
	pushl %esi
	call kernel_main
3:	hlt
	jmp 3b

	.section .bss.page_aligned, "aw", @nobits
	.balign STACK_SIZE
	.globl init_stack
init_stack:                                   /* struct task of the idle task at the bottom */
	.skip STACK_SIZE
	.globl template_pgd
template_pgd:
	.skip PAGE_SIZE
