/*
 * entry.S - every way into the kernel and every way back to ring 3.
 *
 *   INT 0x80 ----> system_call ----+                       +--> IRET   (all registers as saved)
 *   SYSENTER ----> sysenter_entry -+-> handler -> work? ---+
 *   exception ---> exception_N ----+      exit_to_user()   +--> SYSEXIT (only a SYSENTER call with no work pending)
 *   IRQ ---------> irq_N ----------+
 *
 * The frame they all build is struct pt_regs (layout.h). DS and ES hold the flat user segment inside the kernel: it
 * is just as good in ring 0, and SYSEXIT does not check or clear them.
 */
#include "layout.h"

/* entry_small.S assembles this file once more, for small=on: other names, and what is between #ifdef SMALL. */
#ifdef SMALL
#define NAME(x)        small_##x
#define SEL_INSIDE     SEL_KERNEL_DS
#else
#define NAME(x)        x
#define SEL_INSIDE     SEL_USER_DS
#define RELOAD_FS_GS
#endif

	.text

.macro SAVE_ALL
	cld
	pushl %es
	pushl %ds
	pushl %eax
	pushl %ebp
	pushl %edi
	pushl %esi
	pushl %edx
	pushl %ecx
	pushl %ebx
	movl $SEL_INSIDE, %edx
	movl %edx, %ds
	movl %edx, %es
.endm

.macro RESTORE_ALL
	RELOAD_FS_GS
	popl %ebx
	popl %ecx
	popl %edx
	popl %esi
	popl %edi
	popl %ebp
	popl %eax
	popl %ds                              /* always loadable: only flat user or null selectors get in (sigreturn checks) */
	popl %es
	addl $8, %esp                         /* vector, error */
.endm

.macro GET_CURRENT reg
	movl $-STACK_SIZE, \reg
	andl %esp, \reg
.endm

/* ---- system calls ---- */

/* EAX = number, arguments pushed right to left as cdecl wants them. Numbers: 0..255 Linux, 0x200..0x21f ULS. */
.macro CALL_SYSTEM_CALL bad
	cmpl $256, %eax
	jae 8f
	movl linux_call_table(,%eax,4), %eax
7:	testl %eax, %eax
	jz \bad
	call *%eax
	jmp 9f
8:	subl $0x200, %eax
	cmpl $32, %eax
	jae \bad
	movl uls_call_table(,%eax,4), %eax
	jmp 7b
9:
.endm

	.globl NAME(system_call)
NAME(system_call):                                  /* trap gate: interrupts stay enabled */
	pushl %eax
	pushl $VECTOR_SYSCALL
	SAVE_ALL
	movl 8(%esp), %edx                    /* SAVE_ALL used it */
	pushl %ebp
	pushl %edi
	pushl %esi
	pushl %edx
	pushl %ecx
	pushl %ebx
	CALL_SYSTEM_CALL bad_int80
int80_done:
	addl $24, %esp
	movl %eax, PT_EAX(%esp)
	jmp NAME(ret_to_user)
bad_int80:
	movl $-38, %eax                       /* -ENOSYS */
	jmp int80_done

/*
 * SYSENTER: CS, SS, ESP and EIP come from MSRs, IF is cleared, nothing is saved. ESP points at TSS.esp0, so one load
 * gives the kernel stack of whoever runs: the MSR never changes, not at a context switch and not at an upcall.
 * ECX = user ESP, EDX = return EIP, arguments 2 and 3 at [ECX] (abi.h).
 */
	.globl NAME(sysenter_entry)
NAME(sysenter_entry):
	movl (%esp), %esp
	pushl $SEL_USER_DS
	pushl %ecx
	pushfl
	orl $EFLAGS_IF, (%esp)
	pushl $SEL_USER_CS
	pushl %edx
	pushl %eax
	pushl $VECTOR_SYSENTER
	SAVE_ALL
	testl $EFLAGS_NT, PT_EFLAGS(%esp)     /* an INT clears NT; SYSENTER does not, and NT turns IRET into a task return */
	jnz clear_nt
nt_is_clear:
	sti
#ifdef SMALL
	movl space_size, %edx
	subl $8, %edx
	cmpl %edx, %ecx
#else
	cmpl $KERNEL_BASE - 8, %ecx
#endif
	ja bad_stack
	leal -(0x40400000 - 7)(%ecx), %edx    /* the words touch the protected area: ring 0 could read it even closed */
	cmpl $SUPERPAGE_SIZE + 7, %edx
	jb protected_stack
stack_allowed:
#ifdef SMALL
	addl space_base, %ecx
#endif
10:	movl 4(%ecx), %edx                    /* argument 3 */
11:	movl (%ecx), %ecx                     /* argument 2 */
	pushl %ebp
	pushl %edi
	pushl %esi
	pushl %edx
	pushl %ecx
	pushl %ebx
	CALL_SYSTEM_CALL bad_sysenter
sysenter_done:
	addl $24, %esp
sysenter_result:
	movl %eax, PT_EAX(%esp)
	cli
	GET_CURRENT %ecx
	movl TASK_WORK(%ecx), %eax
	orl bottom_half_pending, %eax
	jnz NAME(ret_to_user)
#ifdef SMALL
	jmp small_sysexit
#else
	popl %ebx
	addl $8, %esp
	popl %esi
	popl %edi
	popl %ebp
	popl %eax
	popl %ds
	popl %es
	movl PT_EIP-36(%esp), %edx            /* 36 bytes are popped */
	movl PT_ESP-36(%esp), %ecx
	sti                                   /* takes effect after the next instruction: no interrupt before ring 3 */
	sysexit
#endif

bad_sysenter:
	movl $-38, %eax
	jmp sysenter_done
protected_stack:
	GET_CURRENT %edx
	testl $TASK_SANDBOX_OPEN, TASK_FLAGS(%edx)
	jnz stack_allowed
bad_stack:
	movl $-14, %eax                       /* -EFAULT */
	jmp sysenter_result
clear_nt:
	pushl $2
	popfl
	jmp nt_is_clear

	.section __ex_table, "a"
	.long 10b, bad_stack, 11b, bad_stack
	.text

/* ---- the way back ---- */

	.globl NAME(ret_to_user)
NAME(ret_to_user):
	cli
	GET_CURRENT %ecx
	movl TASK_WORK(%ecx), %eax
	orl bottom_half_pending, %eax
	jz restore_all
	pushl %esp
	call exit_to_user                     /* bottom halves, rescheduling, signals; comes back with interrupts off */
	addl $4, %esp
restore_all:
	RESTORE_ALL
#ifdef SMALL
	.globl small_iret
small_iret:                                   /* EIP may lie outside the code segment: small_exception() */
#endif
	iretl

ret_from_interrupt:
	testb $3, PT_CS(%esp)
	jnz NAME(ret_to_user)
	RESTORE_ALL                           /* ring 0 is never preempted */
	iretl

/* ---- exceptions and interrupts ---- */

exception_common:
	SAVE_ALL
	pushl %esp
#ifdef SMALL
	call small_exception
	movl %eax, %esp                       /* the frame to return by */
#else
	call handle_exception
	addl $4, %esp
#endif
	jmp ret_from_interrupt

irq_common:
	SAVE_ALL
	pushl %esp
#ifdef SMALL
	call small_irq
#else
	call handle_irq
#endif
	addl $4, %esp
	jmp ret_from_interrupt

.macro EXCEPTION n, has_error=0
exception_\n:
	.if !\has_error
	pushl $0
	.endif
	pushl $\n
	jmp exception_common
.endm

.macro IRQ n
irq_\n:
	pushl $0
	pushl $VECTOR_IRQ + \n
	jmp irq_common
.endm

	EXCEPTION 0
	EXCEPTION 2
	EXCEPTION 3
	EXCEPTION 4
	EXCEPTION 5
	EXCEPTION 6
	EXCEPTION 7
	EXCEPTION 8, 1
	EXCEPTION 9
	EXCEPTION 10, 1
	EXCEPTION 11, 1
	EXCEPTION 12, 1
	EXCEPTION 13, 1
	EXCEPTION 14, 1
	EXCEPTION 15
	EXCEPTION 16
	EXCEPTION 17, 1
	EXCEPTION 18
	EXCEPTION 19

/*
 * #DB: SYSENTER does not clear TF, so a user's single step hits the first kernel instruction while ESP still points
 * into the TSS. Clear TF in the frame and go on; there are a few spare words below TSS.esp0 for it (segment.c).
 */
exception_1:
	cmpl $NAME(sysenter_entry), (%esp)
	jne 1f
	andl $~EFLAGS_TF, 8(%esp)
	iretl
1:	pushl $0
	pushl $1
	jmp exception_common

	.altmacro
	.set n, 0
	.rept 16
	IRQ %n
	.set n, n + 1
	.endr

	.section .rodata
	.balign 4
	.globl NAME(exception_stubs), NAME(irq_stubs)
NAME(exception_stubs):
	.set n, 0
	.macro STUB kind, n
	.long \kind\()_\n
	.endm
	.rept 20
	STUB exception, %n
	.set n, n + 1
	.endr
NAME(irq_stubs):
	.set n, 0
	.rept 16
	STUB irq, %n
	.set n, n + 1
	.endr
