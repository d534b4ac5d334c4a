/*
 * entry_small.S - entry.S for small=on, and the way back to ring 3 through the trampoline.
 *
 * Inside the kernel DS and ES hold the flat kernel segment, as the user's has a base or a limit. IRET loads CS and SS
 * with whatever the GDT says now. SYSEXIT does not: it always installs flat segments. So it goes to the trampoline, a
 * page that ring 3 may execute, which loads SS and returns far to the program:
 *
 *      small_return = EIP, ESP           for small_fix_trampoline(), should anything interrupt it
 *      [ESP - 8] = EIP, user CS          on the user's stack
 *      DS, ES = the user's; STI; SYSEXIT --> trampoline, CS and SS flat, ECX = ESP - 8
 *                                            SS = user DS; EDX = EIP; ECX = ESP; RET far --> program
 *
 * STI and RET far can't be swapped here as a microkernel with IOPL 3 would: ring 3 may not STI. An interrupt in the
 * trampoline continues at EIP and ESP of small_return, by IRET.
 */
#include "layout.h"
#define SMALL

/* After the descriptors have changed (small_set_kernel_stack): FS and GS if they aren't null. Changes EAX. */
.macro RELOAD_FS_GS
	cmpb $0, reload_fs_gs
	je 2f
	movb $0, reload_fs_gs
	movl %fs, %eax
	testl $0xfffc, %eax
	jz 1f
	movl %eax, %fs
1:	movl %gs, %eax
	testl $0xfffc, %eax
	jz 2f
	movl %eax, %gs
2:
.endm

#include "entry.S"
	.noaltmacro

	.text

/* From sysenter_entry, interrupts off, no work pending, ESP -> struct pt_regs. */
small_sysexit:
	movl PT_ESP(%esp), %ecx
	movl PT_EIP(%esp), %edx
	movl %ecx, small_return + 4
	movl %edx, small_return
	subl $8, %ecx
	jb restore_all
	movl space_size, %eax
	subl $8, %eax
	cmpl %eax, %ecx
	ja restore_all                        /* not a stack: by IRET */
	leal -(0x40400000 - 7)(%ecx), %eax    /* ring 0 could write the protected area even while it is closed */
	cmpl $SUPERPAGE_SIZE + 7, %eax
	jb 6f
5:	addl space_base, %ecx
3:	movl %edx, (%ecx)
4:	movl $SEL_USER_CS, 4(%ecx)
	RELOAD_FS_GS
	popl %ebx
	addl $8, %esp
	popl %esi
	popl %edi
	popl %ebp
	popl %eax
	popl %ds
	popl %es
	movl PT_ESP-36(%esp), %ecx            /* 36 bytes are popped */
	subl $8, %ecx
	movl $TRAMPOLINE, %edx
	sti                                   /* takes effect after the next instruction */
	sysexit
6:	GET_CURRENT %eax
	testl $TASK_SANDBOX_OPEN, TASK_FLAGS(%eax)
	jnz 5b
	jmp restore_all

	.section __ex_table, "a"
	.long 3b, restore_all, 4b, restore_all
	.text

/* upcall_enter() of switch.S: the extension runs with the segments of a large space. */
	.globl small_upcall_enter
small_upcall_enter:
	movl 4(%esp), %eax
	movl 8(%esp), %edx
	movl 12(%esp), %ecx
	cmpb $0, 16(%esp)
	pushl %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	pushl %fs
	pushl %gs
	movl %esp, (%eax)
	je 1f
	movl %ecx, small_return + 4
	movl %edx, small_return
	movl %edx, -8(%ecx)
	movl $SEL_USER_CS, -4(%ecx)
	subl $8, %ecx
	movl $TRAMPOLINE, %edx
	call clear_registers
	sti
	sysexit
1:	pushl $SEL_USER_DS
	pushl %ecx
	pushl $EFLAGS_IF | 2
	pushl $SEL_USER_CS
	pushl %edx
	call clear_registers
	xorl %ecx, %ecx
	xorl %edx, %edx
	iretl

clear_registers:                              /* all but ECX and EDX; and the segments of ring 3 */
	RELOAD_FS_GS
	movl $SEL_USER_DS, %eax
	movl %eax, %ds
	movl %eax, %es
	xorl %eax, %eax
	xorl %ebx, %ebx
	xorl %esi, %esi
	xorl %edi, %edi
	xorl %ebp, %ebp
	ret

/* Copied to the page at TRAMPOLINE. ECX = ESP = offset of the far address. Leaves ECX and EDX as SYSEXIT would. */
	.section .rodata
	.globl small_trampoline, small_trampoline_end
small_trampoline:
	movl $SEL_USER_DS, %edx
	movl %edx, %ss
	movl (%esp), %edx
	addl $8, %ecx
	lretl
small_trampoline_end:
