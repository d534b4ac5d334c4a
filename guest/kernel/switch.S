/*
 * switch.S - the places where the kernel stack changes, and the time-stamp counter.
 *
 * Each stack that is not running ends in the same switch frame, so that a task switch, the start of an upcall, its
 * end and a handler that blocks all resume each other:
 *
 *     ESP -> gs, fs, edi, esi, ebx, ebp, return address
 *
 * FS and GS are not used by the kernel; they belong to ring 3 and are part of this frame rather than of pt_regs.
 */
#include "layout.h"

	.text

.macro PUSH_FRAME
	pushl %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	pushl %fs
	pushl %gs
.endm

/* A segment load is dear; do it only if the selector differs. */
.macro POP_SELECTOR seg
	popl %ecx
	movl %\seg, %edx
	cmpw %cx, %dx
	je 1f
	movl %ecx, %\seg
1:
.endm

.macro POP_FRAME
	POP_SELECTOR gs
	POP_SELECTOR fs
	popl %edi
	popl %esi
	popl %ebx
	popl %ebp
	ret
.endm

/* void switch_stack(u32 *save_esp, u32 esp): called with interrupts off */
	.globl switch_stack
switch_stack:
	movl 4(%esp), %eax
	movl 8(%esp), %edx
	PUSH_FRAME
	movl %esp, (%eax)
	movl %edx, %esp
	POP_FRAME

/*
 * int upcall_enter(u32 *save_esp, u32 eip, u32 esp, bool use_sysexit)
 *
 * Leaves the switch frame on the caller's kernel stack and goes to ring 3. Ring 3 comes back on the extension's own
 * kernel stack (TSS.esp0); upcall_resume() then makes this function return, with the status as its value.
 * Called with interrupts off. Registers are cleared: the extension must not see kernel values.
 */
	.globl upcall_enter
upcall_enter:
	movl 4(%esp), %eax
	movl 8(%esp), %edx                    /* EIP for SYSEXIT */
	movl 12(%esp), %ecx                   /* ESP for SYSEXIT */
	cmpb $0, 16(%esp)
	PUSH_FRAME
	movl %esp, (%eax)
	je upcall_iret
	xorl %eax, %eax
	xorl %ebx, %ebx
	xorl %esi, %esi
	xorl %edi, %edi
	xorl %ebp, %ebp
	sti                                   /* interrupt shadow: the next instruction still runs with interrupts held off */
	.globl upcall_sysexit
upcall_sysexit:
	sysexit

upcall_iret:
	pushl $SEL_USER_DS
	pushl %ecx
	pushl $EFLAGS_IF | 2
	pushl $SEL_USER_CS
	pushl %edx
	xorl %eax, %eax
	xorl %ebx, %ebx
	xorl %ecx, %ecx
	xorl %edx, %edx
	xorl %esi, %esi
	xorl %edi, %edi
	xorl %ebp, %ebp
	iretl

/* void upcall_resume(u32 esp, int status): the extension's kernel stack is abandoned. Interrupts off. */
	.globl upcall_resume
upcall_resume:
	movl 8(%esp), %eax
	movl 4(%esp), %esp
	POP_FRAME

/* void upcall_detach(u32 *save_esp, u32 esp, int status): as upcall_resume, but the extension's stack is kept as a
 * switch frame, to be resumed by the scheduler. Interrupts off. */
	.globl upcall_detach
upcall_detach:
	movl 4(%esp), %edx
	movl 8(%esp), %ecx
	movl 12(%esp), %eax
	PUSH_FRAME
	movl %esp, (%edx)
	movl %ecx, %esp
	POP_FRAME

/* u64 rdtsc(void) */
	.globl rdtsc
	.type rdtsc, @function
rdtsc:
	rdtsc
	ret
	.size rdtsc, . - rdtsc

/* u32 copy_user(void *to, const void *from, u32 n) -> bytes NOT copied. Either address may be the one that faults. */
	.globl copy_user
copy_user:
	pushl %esi
	pushl %edi
	movl 12(%esp), %edi
	movl 16(%esp), %esi
	movl 20(%esp), %eax
	movl %eax, %ecx
	andl $3, %eax
	shrl $2, %ecx
1:	rep movsl
	movl %eax, %ecx
2:	rep movsb
3:	movl %ecx, %eax
	popl %edi
	popl %esi
	ret
4:	leal (%eax,%ecx,4), %ecx              /* fault in the word loop: words left and the tail */
	jmp 3b

	.section __ex_table, "a"
	.long 1b, 4b, 2b, 3b
