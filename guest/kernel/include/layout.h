/* layout.h - numbers shared by assembly and C: selectors, addresses, frame offsets. */
#ifndef LAYOUT_H
#define LAYOUT_H

#define KERNEL_BASE       0xC0000000
#define PAGE_SIZE         4096
#define PAGE_SHIFT        12
#define SUPERPAGE_SIZE    0x400000

/*
 * Small address spaces (small=on, small.c): windows of 4 MB, the same in every page directory.
 *   0xBC000000 + 4 MB * n   window n        0xFFFFE000   the trampoline, one page, user read/execute
 */
#define SMALL_AREA_BASE   0xBC000000
#define SMALL_WINDOW_SIZE 0x400000
#define SMALL_WINDOWS     16
#define TRAMPOLINE        0xFFFFE000

/*
 * Kernel stack and struct task share one block, the task at the bottom: `current` is ESP with 14 bits cleared. Linux 2.4
 * has 8 KB; the verification of a signature alone needs 7 (ed25519.zig), and interrupts come on top of it.
 */
#define STACK_SIZE        16384
#define STACK_ORDER       2

/*
 * SYSENTER and SYSEXIT compute selectors from the SYSENTER_CS MSR (SDM 2B, SYSENTER):
 *   kernel CS = MSR, kernel SS = MSR + 8, user CS = MSR + 16, user SS = MSR + 24. The GDT has to be in this order.
 */
#define SEL_KERNEL_CS     0x08
#define SEL_KERNEL_DS     0x10
#define SEL_USER_CS       0x1b
#define SEL_USER_DS       0x23
#define SEL_TSS           0x28

#define VECTOR_IRQ        0x20    /* IRQ 0..15 -> 0x20..0x2f: the PIC's power-on vectors collide with exceptions */
#define VECTOR_SYSCALL    0x80
#define VECTOR_SYSENTER   0x180   /* not a vector: marks a frame built by the SYSENTER entry */

#define EFLAGS_TF         0x100
#define EFLAGS_IF         0x200
#define EFLAGS_NT         0x4000

#define MSR_SYSENTER_CS   0x174
#define MSR_SYSENTER_ESP  0x175
#define MSR_SYSENTER_EIP  0x176

/*
 * struct pt_regs, the frame of every entry into the kernel (low address first):
 *
 *    0 ebx   4 ecx   8 edx  12 esi  16 edi  20 ebp  24 eax  28 ds  32 es    <- pushed by SAVE_ALL
 *   36 vector   40 error (system calls: the number)                         <- pushed by the entry stub
 *   44 eip  48 cs  52 eflags  56 esp  60 ss                                 <- pushed by the processor
 *   esp and ss are there only if the entry came from ring 3. SYSENTER pushes nothing: its stub makes them up.
 */
#define PT_EBX            0
#define PT_EAX            24
#define PT_EIP            44
#define PT_CS             48
#define PT_EFLAGS         52
#define PT_ESP            56

#define TASK_WORK         0       /* offset of task.work */
#define TASK_FLAGS        4       /* offset of task.flags */

/* task.work: what to do before the next return to ring 3 */
#define WORK_RESCHED      1
#define WORK_SIGNAL       2
#define WORK_IRET         4       /* registers were replaced: the SYSEXIT shortcut would lose ECX and EDX */

/* task.flags */
#define TASK_SANDBOX_OPEN 1       /* runs with the sandbox open: the open state is per task */
#define TASK_USED_FPU     2

#endif
