/* task.h - tasks, address spaces, scheduling, signals. */
#ifndef TASK_H
#define TASK_H

#include "kernel.h"

/* FXSAVE area: 512 bytes, 16-byte aligned */
struct fxsave {
	u16 cw, sw, tag, op;
	u32 ip, cs, dp, ds, mxcsr, mxcsr_mask;
	u8  st[8][16];
	u8  xmm[8][16];
	u8  reserved[224];
} __attribute__((aligned(16)));

enum task_state { TASK_RUNNABLE, TASK_SLEEPING, TASK_STOPPED, TASK_ZOMBIE };

struct extension;
struct mm;
struct file;
struct files;
struct shm;
struct wait_queue;

struct task {
	u32 work;                          /* WORK_x; offset TASK_WORK */
	u32 flags;                         /* TASK_x; offset TASK_FLAGS */
	u32 esp;                           /* switch frame, while not running */
	u32 esp0;                          /* top of the kernel stack */
	struct mm *mm;                     /* 0: borrows whatever page directory is loaded (idle, extensions) */
	struct extension *ext;             /* not 0: this is an extension's thread */

	u32 pid;
	struct task *leader;               /* the process: its first thread. Itself, unless clone() made it a thread */
	char name[16];
	enum task_state state;
	u32 policy, priority;
	u32 slice, slice_left;
	bool queued;                       /* on the run queue */
	struct task *next_run, *prev_run;
	struct task *next_task;            /* all tasks with a pid */
	struct task *next_sleep;           /* sorted by wake_tick */
	u32 wake_tick;
	bool timed;                        /* on the list of sleepers */
	struct wait_queue *waiting;
	struct task *next_waiting;
	u32 utime, stime, switches;
	u64 cycles, switched_in;

	/* Of the process: in the leader only, which stays until the last thread has ended. */
	u32 threads;                       /* that have not ended */
	struct task *parent;               /* 0: started at boot, or the parent has ended */
	bool from_boot;                    /* its status counts for the machine's, so it is never reaped */
	bool exiting;                      /* exit_group() or a fatal signal: exit_code is decided */
	u32 exit_signal;                   /* to the parent; 0 = none */
	u32 exit_code;                     /* as waitpid reports it */
	u32 exit_order;                    /* 1 = the first process to end */
	bool collected;                    /* somebody has its exit code from waitpid */
	u32 uid;
	u32 cpu_ticks;                     /* of all threads and of its extensions: RLIMIT_CPU */
	struct abi_rlimit limit[3];        /* resource.c */
	struct kernel_sigaction action[ABI_NSIG];

	u32 pending, blocked, saved_blocked;
	bool restore_blocked;              /* sigsuspend: put saved_blocked back once the handler's frame is built */
	bool stopping;                     /* another thread took the stop signal for the whole process */
	struct { s32 code; u32 value, uid; } info[ABI_NSIG];    /* value: the sender's pid or the faulting address */
	u32 trap, error, cr2;              /* last exception, for sigcontext */

	struct files *files;               /* 0 in an extension: current_files() */
	struct file *inside;               /* the call that it is in holds this one */
	struct io_bitmap *io;              /* ports that it may use, or 0 */

	struct fxsave fpu;
};

static inline struct task *get_current(void)
{
	u32 esp;
	asm volatile("movl %%esp, %0" : "=r"(esp));
	return (struct task *)(esp & ~(STACK_SIZE - 1));
}
#define current get_current()
static inline struct pt_regs *task_regs(struct task *t) { return (struct pt_regs *)t->esp0 - 1; }

/* sched.c */
#define DEFAULT_SLICE 6
extern u32 switch_count, bottom_half_pending;
extern struct task *task_list;
void sched_init(void);
void schedule(void);                       /* interrupts off */
void wake_up(struct task *t);
void sched_remove(struct task *t);
void sched_tick(void);
void sched_set(struct task *t, u32 policy, u32 priority);
void sched_yield(void);
void cpu_idle(void) __attribute__((noreturn));

/* sleep.c */
struct wait_queue { struct task *first; };
void sleep_on(struct wait_queue *q);       /* interrupts off; returns after wake_all() or a signal */
void sleep_on_until(struct wait_queue *q, u32 tick);   /* or when it is that tick */
void wake_all(struct wait_queue *q);
s32  sleep_ticks(u32 n);                   /* ticks left (a signal came) or 0 */
void sleep_tick(void);
void sleep_cancel(struct task *t);
bool signal_waiting(const struct task *t);

/* process.c */
extern u32 last_pid;
struct task *task_alloc(const char *name);     /* or 0 */
struct task *task_create(const char *name);    /* or panic */
void task_start(struct task *t);               /* its stack ends in a pt_regs: make it runnable, and to be found */
void process_start(const struct module *m);
struct task *find_task(u32 pid);
struct task *next_thread(const struct task *leader, const struct task *after);
u32 elf_load(struct mm *mm, const struct module *m);

/* exit.c. Codes are as waitpid() reports them: status << 8, or the signal that killed it */
extern u32 process_count, bad_modules;
void __attribute__((noreturn)) do_exit(u32 code);      /* the calling thread */
void __attribute__((noreturn)) group_exit(u32 code);   /* the process */
void reap_dead(void);
bool process_ended(const struct task *leader);

/* resource.c */
enum { LIMIT_CPU, LIMIT_NOFILE, LIMIT_AS };
void limits_init(struct task *leader);
void limit_tick(struct task *leader);

/* address_space.c */
#define MAX_VMA 128
struct vma { u32 start, end; bool writable; struct shm *shm; };     /* shm: a segment is attached here */
struct mm {
	u32 *pgd;
	u32 users;                         /* threads */
	u32 limit, elsewhere;              /* RLIMIT_AS; what the process's extensions have mapped in the sandbox */
	u32 brk_start, brk;
	u32 count;
	struct vma vma[MAX_VMA];
	u32 top;                           /* end of user addresses */
	u32 window, global;                /* a small space: linear base of user address 0, and PTE_G; else 0 */
	u64 segment[2];
};
extern u32 template_pgd[1024];
extern u32 *loaded_pgd;                    /* what CR3 holds, in the direct map */
extern u32 cr3_write_count;
void load_page_directory(u32 *pgd);
struct mm *mm_create(void);                    /* or 0 */
struct mm *mm_copy(struct mm *from);           /* copy-on-write, or 0 */
void mm_put(struct mm *mm);
bool mm_allows(const struct mm *mm, u32 more);
bool mm_unshare(struct mm *mm, u32 address);   /* a write to a page that may be copy-on-write: was it that? */
s32  mm_add(struct mm *mm, u32 start, u32 end, bool writable, struct shm *shm);
s32  mm_remove(struct mm *mm, u32 start, u32 end);
u32  mm_find_gap(struct mm *mm, u32 length);
struct vma *mm_find(struct mm *mm, u32 address);
s32  mm_map_page(struct mm *mm, u32 address, u32 phys, u32 bits);
void *mm_touch(struct mm *mm, u32 address);    /* the page under a user address, allocated if it was not there */

/* page_fault.c */
void page_fault(struct pt_regs *regs);
void page_fault_at(struct pt_regs *regs, u32 address);

/* small.c */
void small_init(void);
bool small_word(const char *word);         /* is it `small`? */
struct mm *small_mm_create(const char *name);  /* 0, and says why: no window */
void small_mm_release(struct mm *mm);
void small_ret_to_user(void);

/* fpu.c: lazy. fpu_owner's state is in the registers; CR0.TS is set while another task runs */
extern struct task *fpu_owner;
void fpu_init(void);
void fpu_switch(struct task *next);
void fpu_not_available(void);              /* #NM */
void fpu_save(struct task *t);             /* make t->fpu current */
void fpu_forget(struct task *t);           /* drop the registers: t->fpu was rewritten, or t ends */

/* signal.c, sigframe.c */
#define ERESTARTSYS 512                    /* never seen by programs: run the call again, or -EINTR if a handler runs */
s32  send_signal(struct task *t, u32 sig, s32 code, u32 value);            /* to that thread */
s32  signal_process(struct task *leader, u32 sig, s32 code, u32 value);    /* to one that does not block it */
void signals_take_over(struct task *t);        /* t blocks less now: what was waiting for that in its process */
void signals_hand_over(struct task *t);        /* t ends: what it had blocked */
void force_signal(u32 sig, s32 code, u32 address);
void do_signal(struct pt_regs *regs);
s32  setup_frame(struct pt_regs *regs, u32 sig, u32 old_mask);
void recalc_signals(struct task *t);

/* trap.c, entry.S, switch.S */
void exit_to_user(struct pt_regs *regs);
void handle_exception(struct pt_regs *regs);
void handle_irq(struct pt_regs *regs);
void ret_to_user(void);
void switch_stack(u32 *save_esp, u32 esp);
u32  copy_user(void *to, const void *from, u32 n);

#endif
