/*
 * abi.h - what the guest kernel and guest programs agree on.
 *
 * Plain C and, between __ASSEMBLER__ guards, usable from .S files. Where Linux on the i386 has the same thing, the
 * number, the structure and the argument order are Linux's.
 *
 *   address-space map (the same two sandbox PDEs stand in every page directory)
 *
 *   0xFFFFFFFF +---------------------------+
 *              | kernel: direct map of RAM |  supervisor, global 4 MB pages
 *   0xC0000000 +---------------------------+
 *              | stack (grows down)        |  top at 0xC0000000; small=on: at 0xBC000000, and above it:
 *              |                           |  16 windows of 4 MB, each a small address space (kernel/small.c)
 *              |  ...                      |
 *              | mmap2, ULS_SHM (upwards)  |  from 0x60000000
 *   0x60000000 +---------------------------+
 *   0x40800000 +---------------------------+
 *              | sandbox, protected area   |  closed: supervisor only; open: user read/write
 *   0x40400000 +---------------------------+
 *              | sandbox, public area      |  user read/execute, never writable
 *   0x40000000 +---------------------------+
 *              | heap (brk)                |
 *              | program: text, data, bss  |
 *   0x08048000 +---------------------------+
 *
 *   A process in a small address space (`small` in its module string, linked by program_small.ld) sees 4 MB: program
 *   from 0x1000, heap, mmap2 from 0x200000, stack of 128 KB with its top at 0x400000. It has no fork (-ENOSYS). Under
 *   small=on every process has a segment limit at the end of its space: accesses beyond it are #GP or #SS, not #PF.
 *
 * Entering the kernel
 *
 *            INT 0x80               SYSENTER
 *   EAX      number -> result       number -> result
 *   EBX      argument 1             argument 1
 *   ECX      argument 2             user ESP at return; argument 2 is at [ECX]
 *   EDX      argument 3             EIP to return to;   argument 3 is at [ECX+4]
 *   ESI      argument 4             argument 4
 *   EDI      argument 5             argument 5
 *   EBP      argument 6             argument 6
 *
 *   SYSENTER saves nothing and SYSEXIT loads EIP from EDX and ESP from ECX, so those two registers carry the way back
 *   and the arguments they would have held go through the stack. A wrapper that takes the INT 0x80 registers is
 *
 *       pushl %edx;  pushl %ecx;  movl %esp,%ecx;  movl $1f,%edx;  sysenter;  1: popl %ecx;  popl %edx
 *
 *   EDX has to be the address right after the SYSENTER: a call that is restarted after a signal (SA_RESTART) runs again
 *   from EDX - 2. Use INT 0x80 for sigreturn and rt_sigreturn: they look for the frame at ESP.
 *   The kernel always reads the two words at [ECX] (-EFAULT if it cannot), even for calls with one argument. Every
 *   register but EAX comes back as it was; the arithmetic flags after SYSENTER are undefined. A result in -4095..-1 is
 *   minus an error number.
 */
#ifndef RINGTOLL_ABI_H
#define RINGTOLL_ABI_H

/* ---- system calls: Linux i386 numbers ---- */
#define SYS_exit                1    /* (status): ends the calling thread; the process with its last thread */
#define SYS_fork                2
#define SYS_read                3    /* (fd, buf, n) */
#define SYS_write               4    /* (fd, buf, n) */
#define SYS_close               6    /* (fd) */
#define SYS_waitpid             7    /* (pid, int *status, options). pid > 0: ANY process, not only a child; -1: any child.
                                        A child is reaped, another process never is */
#define SYS_getpid             20
#define SYS_setuid             23    /* (uid): 0 may become any; others only their own, else -EPERM */
#define SYS_getuid             24
#define SYS_pause              29
#define SYS_kill               37    /* (pid > 0, sig) */
#define SYS_dup                41    /* (fd) */
#define SYS_pipe               42    /* (int fd[2]): 4 KB of buffer, as Linux 2.4 */
#define SYS_times              43    /* (struct abi_tms * or 0) -> ticks since boot */
#define SYS_brk                45    /* (address or 0) -> the break now */
#define SYS_dup2               63    /* (fd, fd) */
#define SYS_getppid            64
#define SYS_sigaction          67    /* (sig, const struct old_sigaction *, struct old_sigaction *) */
#define SYS_sigsuspend         72    /* (unused, unused, mask) as Linux */
#define SYS_setrlimit          75    /* (RLIMIT_x, const struct abi_rlimit *) */
#define SYS_getrlimit          76
#define SYS_munmap             91    /* (address, length) */
#define SYS_ioperm            101    /* (port, count, on): uid 0; ports below 0x400, the TSS's I/O bitmap */
#define SYS_iopl              110    /* (level): uid 0. 3 = all ports, by the bitmap: CLI and STI stay forbidden */
#define SYS_ipc               117    /* (IPC_x, first, second, third, pointer, 0): System V shared memory */
#define SYS_sigreturn         119
#define SYS_clone             120    /* (flags, stack, 0, 0, 0): CLONE_VM|FS|FILES|SIGHAND|THREAD makes a thread; 0 or a
                                        signal number alone is fork() */
#define SYS_sigprocmask       126    /* (how, const u32 *, u32 *) */
#define SYS_sched_setscheduler 156   /* (pid or 0, policy, const struct sched_param *) */
#define SYS_sched_getscheduler 157   /* (pid or 0) */
#define SYS_sched_yield       158
#define SYS_nanosleep         162    /* (const struct timespec *, struct timespec *rest) */
#define SYS_poll              168    /* (struct abi_pollfd *, n, milliseconds) */
#define SYS_rt_sigreturn      173
#define SYS_rt_sigaction      174    /* (sig, const struct kernel_sigaction *, struct kernel_sigaction *, 8) */
#define SYS_rt_sigprocmask    175    /* (how, const u64 *, u64 *, 8) */
#define SYS_rt_sigsuspend     179    /* (const u64 *, 8) */
#define SYS_mmap2             192    /* (addr or 0, length, prot, flags, -1, 0): MAP_ANONYMOUS only */
#define SYS_gettid            224
#define SYS_exit_group        252    /* (status): all threads */

/* ---- User-Level Sandboxing ---- */
#define SYS_uls_register    0x200    /* (const char *name, flags 0) -> id. Runs `init` as an upcall if there is one.
                                        -ENOENT no such extension in the image, -EBUSY another process owns it,
                                        -EACCES revoked. Mode, priority and budget start at their defaults.
                                        The owner may register again: that clears `faulted`. */
#define SYS_uls_bind        0x201    /* (id, ULS_SOURCE_x, a, b): see the table of sources. Owner only */
#define SYS_uls_post        0x202    /* (id, value): any process may post. 0 = the handler has run; 1 = queued, or the
                                        handler blocked and will finish later; -EAGAIN queue full; -EIO the handler
                                        faulted now; -EHOSTDOWN it faulted earlier, event refused */
#define SYS_uls_info        0x203    /* (id, struct uls_info *) */
#define SYS_uls_bench       0x204    /* (op, id, n, struct uls_stamp *) */
#define SYS_uls_shm         0x205    /* (const char *name, length) -> address; same name = same zero-filled pages.
                                        Every process gets the same address if all map in the same order */
#define SYS_uls_return      0x206    /* reserved: "upcall done". Only the return stubs in the public area use it */
#define SYS_uls_unregister  0x207    /* (id). Its own extension may do it: the call does not return to the handler */
#define SYS_uls_lookup      0x208    /* (const char *name) -> id of a registered extension or -ENOENT */
#define SYS_uls_pstat       0x209    /* (pid, struct uls_pstat *): what /proc/pid/stat would say */
#define SYS_uls_timeslice   0x20a    /* (pid, ticks >= 1): length of that process's SCHED_RR / SCHED_OTHER slice */
#define SYS_uls_sysinfo     0x20b    /* (struct uls_sysinfo *) */
#define SYS_uls_unbind      0x20c    /* (id, ULS_SOURCE_x, a): -ENOENT if there is no such binding */
#define SYS_uls_control     0x20d    /* (id, ULS_CONTROL_x, value): owner or uid 0; -> the value before */
#define SYS_uls_revoke      0x20e    /* (id): uid 0. As if its owner had ended, at any moment: bindings, queue, thread, ports;
                                        it cannot be registered again until it is allowed (ULS_CONTROL_ALLOW) */
#define SYS_uls_ioperm      0x20f    /* (id, port, count, on): owner and uid 0. Ports for that extension alone */
#define SYS_uls_load        0x210    /* (const char *name): uid 0. Copy a FREE extension's segments from the image again,
                                        zero its bss, check its authorisation. -EEXIST loaded, -EACCES refused */
#define SYS_uls_unload      0x211    /* (const char *name): uid 0. -EBUSY registered. Its memory reads as zeros */
#define SYS_uls_raise       0x212    /* (id, priority 0..31, value): as SYS_uls_post, but only queues and returns */

/* ---- error numbers (Linux) ---- */
#define EPERM            1
#define ENOENT           2
#define ESRCH            3
#define EINTR            4
#define EIO              5
#define ENOEXEC          8
#define EBADF            9
#define ECHILD          10
#define EAGAIN          11
#define ENOMEM          12
#define EACCES          13
#define EFAULT          14
#define EBUSY           16
#define EEXIST          17
#define ENODEV          19
#define EINVAL          22
#define EMFILE          24
#define ENOSPC          28
#define EPIPE           32
#define EDOM            33
#define ERANGE          34
#define EDEADLK         35
#define ENAMETOOLONG    36
#define ENOSYS          38
#define EHOSTDOWN      112

/* ---- signals (Linux). 1..31; a signal that is already pending is merged ---- */
#define SIGHUP           1
#define SIGINT           2
#define SIGQUIT          3
#define SIGILL           4
#define SIGTRAP          5
#define SIGABRT          6
#define SIGBUS           7
#define SIGFPE           8
#define SIGKILL          9
#define SIGUSR1         10
#define SIGSEGV         11
#define SIGUSR2         12
#define SIGPIPE         13
#define SIGALRM         14
#define SIGTERM         15
#define SIGSTKFLT       16
#define SIGCHLD         17
#define SIGCONT         18
#define SIGSTOP         19
#define SIGTSTP         20
#define SIGTTIN         21
#define SIGTTOU         22
#define SIGURG          23
#define SIGXCPU         24
#define SIGXFSZ         25
#define SIGVTALRM       26
#define SIGPROF         27
#define SIGWINCH        28
#define SIGIO           29
#define SIGPWR          30
#define SIGSYS          31
#define ABI_NSIG        32

#define SA_NOCLDSTOP    0x00000001
#define SA_SIGINFO      0x00000004
#define SA_RESTORER     0x04000000
#define SA_RESTART      0x10000000   /* accepted; read and waitpid are restarted, nanosleep and pause never */
#define SA_NODEFER      0x40000000
#define SA_RESETHAND    0x80000000
#define SIG_DFL_ADDR    0
#define SIG_IGN_ADDR    1
#define SIG_BLOCK       0
#define SIG_UNBLOCK     1
#define SIG_SETMASK     2

/* si_code */
#define SI_USER         0
#define SI_KERNEL       0x80
#define SEGV_MAPERR     1
#define SEGV_ACCERR     2
#define ILL_ILLOPN      2
#define FPE_INTDIV      1
#define FPE_FLTINV      7
#define TRAP_TRACE      2
#define CLD_EXITED      1
#define CLD_KILLED      2

/* ---- scheduling, memory, waiting ---- */
#define SCHED_OTHER     0
#define SCHED_FIFO      1
#define SCHED_RR        2            /* real-time priority 1..99, the higher runs first */
#define PROT_READ       1
#define PROT_WRITE      2
#define PROT_EXEC       4
#define MAP_SHARED      0x01
#define MAP_PRIVATE     0x02
#define MAP_FIXED       0x10
#define MAP_ANONYMOUS   0x20
#define WNOHANG         1

#define CLONE_VM        0x00000100
#define CLONE_FS        0x00000200
#define CLONE_FILES     0x00000400
#define CLONE_SIGHAND   0x00000800
#define CLONE_THREAD    0x00010000

#define POLLIN          0x0001
#define POLLOUT         0x0004
#define POLLERR         0x0008
#define POLLHUP         0x0010
#define POLLNVAL        0x0020

#define RLIMIT_CPU      0                /* seconds: SIGXCPU at the soft limit, SIGKILL at the hard one */
#define RLIMIT_NOFILE   7
#define RLIMIT_AS       9                /* bytes: the sum of the mappings */
#define RLIM_INFINITY   0xffffffff

#define IPC_SHMAT       21               /* SYS_ipc: (IPC_SHMAT, id, flags, u32 *address, address or 0) -> 0 */
#define IPC_SHMDT       22               /* (IPC_SHMDT, 0, 0, 0, address) */
#define IPC_SHMGET      23               /* (IPC_SHMGET, key, size, flags) -> id */
#define IPC_SHMCTL      24               /* (IPC_SHMCTL, id, command, 0, struct abi_shmid_ds *) */
#define IPC_PRIVATE     0                /* segments: 32 of up to 4 MB; those that an extension makes are SHM_SANDBOX */
#define IPC_CREAT       0x200
#define IPC_EXCL        0x400
#define IPC_RMID        0                /* destroyed when the last attachment goes, as Linux */
#define IPC_STAT        2
#define SHM_RDONLY      0x1000
#define SHM_SANDBOX     01000000         /* shmget: in the protected area, so that extensions can attach it, too */
#define ABI_HZ          100

/* ---- the sandbox ---- */
#define ULS_PUBLIC_BASE     0x40000000
#define ULS_PROTECTED_BASE  0x40400000
#define ULS_AREA_SIZE       0x00400000
#define ULS_MAGIC           0x58534c55   /* "ULSX", first word of the public area */
#define ULS_VERSION         2
#define ULS_SEAL_SIZE       64           /* Ed25519 */
#define ULS_NAME_LEN        24
#define ULS_MAX_EXT         24
#define ULS_QUEUE_LEN       32           /* events waiting per extension */

/*
 * Event sources. An extension may have 8 bindings (-ENOSPC); each is undone by SYS_uls_unbind(id, source, a). Binding to
 * the same source and `a` again replaces b; of TIMER and UART there is one binding, so a new period replaces the old.
 * A binding ends when its process does, when its extension faults, is unregistered, revoked or loses its owner.
 *
 *   source       a                  b                          event.value           raised
 *   POST         -                  -                          the poster's          SYS_uls_post, SYS_uls_raise: no binding
 *   TIMER        period in ticks    -                          tick count            every period (a = 0: unbind)
 *   INIT         -                  -                          -                     once, by SYS_uls_register; number is 0
 *   BENCH        -                  -                          index of the upcall   SYS_uls_bench
 *   UART         -                  -                          the byte              each byte that COM1 receives; the console
 *                                                                                    gets it too
 *   FD           descriptor         POLLIN, POLLOUT or both    descriptor | revents << 16   at each change from not ready to ready, and once
 *                                                                                    at binding if it is ready then
 *   EXIT         pid, 0 = any       -                          pid | status << 16    when that process ends (status as waitpid's)
 *   RESOURCE     pid                ULS_RESOURCE_x << 24 | threshold   the measured amount   once each time the measure, taken at every
 *                                                                                    tick, goes from below to at least the threshold
 */
#define ULS_SOURCE_POST     0
#define ULS_SOURCE_TIMER    1
#define ULS_SOURCE_INIT     2
#define ULS_SOURCE_BENCH    3
#define ULS_SOURCE_UART     4
#define ULS_SOURCE_FD       5
#define ULS_SOURCE_EXIT     6
#define ULS_SOURCE_RESOURCE 7

#define ULS_RESOURCE_CPU    1            /* ticks of CPU time since the binding */
#define ULS_RESOURCE_MEMORY 2            /* resident 4 KB pages of the process */
#define ULS_RESOURCE_FILES  3            /* open descriptors */

#define ULS_CONTROL_MODE     1           /* ULS_MODE_x */
#define ULS_CONTROL_PRIORITY 2           /* of events raised by its bindings and by SYS_uls_post: 0..31, the higher first; 0 */
#define ULS_CONTROL_BUDGET   3           /* ticks an upcall may run; 0 = no limit; default from the command line */
#define ULS_CONTROL_ALLOW    4           /* uid 0: undo a revocation */
#define ULS_MODE_DIRECT      0           /* on the interrupted context; becomes a thread when it blocks */
#define ULS_MODE_THREADED    1           /* its own schedulable thread from the start, priority of its owner */

#define ULS_STATE_FREE      0            /* in the image, not registered */
#define ULS_STATE_IDLE      1
#define ULS_STATE_RUNNING   2            /* in an upcall now */
#define ULS_STATE_BLOCKED   3            /* its handler blocked in a system call and is a schedulable thread */
#define ULS_STATE_FAULTED   4
#define ULS_STATE_REVOKED   5            /* by SYS_uls_revoke */
#define ULS_STATE_UNLOADED  6            /* in the image, not in the areas: SYS_uls_load */

#define ULS_FLUSH_INVLPG    0            /* flush=invlpg: sandbox PDEs global, INVLPG of the protected page */
#define ULS_FLUSH_CR3       1            /* flush=cr3:    sandbox PDEs not global, CR3 reload */
#define ULS_FLUSH_NONE      2            /* flush=none:   nothing: shows the stale-TLB protection hole */
#define ULS_ENTRY_SYSEXIT   0            /* entry=sysexit */
#define ULS_ENTRY_IRET      1            /* entry=iret */

/* bench operations. n <= 65536. Stamps may be 0 where not said otherwise. Forbidden (-EPERM) by `bench=off`. */
#define ULS_BENCH_NOP           0        /* returns at once */
#define ULS_BENCH_OPEN          1        /* sandbox_open() and nothing else; the caller STAYS open (a task flag, kept
                                            over context switches) until CLOSE. stamps[0] = around the one call */
#define ULS_BENCH_CLOSE         2        /* sandbox_close(); stamps[0] likewise */
#define ULS_BENCH_RAW_UPCALL    3        /* sandbox opened first; n times { t0; upcall(id); t1 } -> stamps[0..n-1] */
#define ULS_BENCH_FULL_UPCALL   4        /* one open + upcall + close, as a real event; stamps[0] around all three */
#define ULS_BENCH_RDTSC         5        /* n times { t0; t1 }: what the measuring itself costs */
#define ULS_BENCH_OPEN_CLOSE    6        /* n times { t0; open; t1; close } -> stamps[i] around the open alone */
#define ULS_BENCH_THREADED      7        /* threaded extension; n times { t0; raise; until its thread has run; t1 }, value 0 */
#define ULS_BENCH_THREADED_ENTRY 8       /* the same; the event's value is the address of stamps[i].t1, which the handler
                                            writes. Its thread borrows the caller's address space */
#define ULS_BENCH_RAISE         9        /* n times { t0; raise; t1; deliver it } -> stamps[i] around queueing alone */
#define ULS_BENCH_QUEUED       10        /* n times { t0; raise ULS_BENCH_DEPTH events; deliver them; t1 } */
#define ULS_BENCH_RAW_SYSEXIT  11        /* RAW_UPCALL by SYSEXIT, whatever entry= says (-ENODEV without SYSENTER) */
#define ULS_BENCH_RAW_IRET     12        /* RAW_UPCALL by IRET */
#define ULS_BENCH_DEPTH         8

#ifndef __ASSEMBLER__

typedef unsigned char      abi_u8;
typedef unsigned short     abi_u16;
typedef unsigned int       abi_u32;
typedef int                abi_s32;
typedef unsigned long long abi_u64;

struct abi_timespec { abi_s32 tv_sec; abi_s32 tv_nsec; };
struct abi_tms      { abi_s32 utime, stime, cutime, cstime; };      /* ticks; children's are 0 */
struct abi_sched_param { abi_s32 sched_priority; };
struct abi_pollfd   { abi_s32 fd; short events, revents; };
struct abi_rlimit   { abi_u32 cur, max; };
struct abi_shmid_ds { abi_u32 key, uid, mode, size, cpid, lpid, nattch; };      /* ours: what IPC_STAT tells */

/* ---- sandbox image: one ELF32 ET_EXEC, this header at ULS_PUBLIC_BASE ----
 * The file is the multiboot module whose string starts with the word `sandbox`. Its PT_LOAD segments lie in the two
 * areas: text, rodata (and this header) in the public, data and bss in the protected one. The kernel gives every
 * extension a stack of `stack_size` bytes (0 = 16 KB; rounded up to 4 KB) above the highest protected segment.
 */
struct uls_entry {
	char    name[ULS_NAME_LEN];          /* zero terminated */
	abi_u32 entry;                       /* void handler(const struct uls_event *event), in the public area */
	abi_u32 stack_size;
	abi_u32 init;                        /* 0, or same signature: run as an upcall by SYS_uls_register. Of an extension
	                                        with constructors, a veneer that calls them first */
	abi_u32 flags;                       /* 0 */
	abi_u32 text, text_size;             /* its part of the public area, whole PT_LOADs ... */
	abi_u32 data, data_size;             /* ... and of the protected one; 0, 0 if it has none */
	abi_u32 needs;                       /* bit i: uses symbols of ext[i], which must stay loaded as long */
	abi_u32 authorisation;               /* ULS_AUTHORISATION_x that the host has found */
	abi_u8  seal[ULS_SEAL_SIZE];         /* of SIGNED: Ed25519 over "uls ext" NUL, this entry up to here, and each of its
	                                        PT_LOADs: p_vaddr, p_filesz, p_memsz, p_flags, the bytes in the file */
};

struct uls_header {
	abi_u32 magic, version, count;
	abi_u32 return_sysenter;             /* stub a handler returns to with entry=sysexit: EAX = SYS_uls_return,
	                                        ECX = ESP, EDX = anything, SYSENTER */
	abi_u32 return_int80;                /* the same with entry=iret: EAX = SYS_uls_return, INT 0x80 */
	abi_u8  seal[ULS_SEAL_SIZE];         /* over "uls base", the five words before, ext[], and as above each PT_LOAD that
	                                        is no extension's but for the first, which holds this header alone */
	struct uls_entry ext[];
};

/* Copied by the kernel onto the extension's stack:
 *     ESP -> return stub | event pointer | 12 bytes unused | struct uls_event | 8 bytes unused | top of the stack
 * ESP + 4 is a multiple of 16, as after a CALL in the System V ABI. All other registers start as 0.
 */
struct uls_event {                       /* the payload, as siginfo's: who, why, when */
	abi_u32 number;                      /* 1, 2, 3 ... per extension and registration, in order of raising */
	abi_u32 value;
	abi_u32 source;                      /* ULS_SOURCE_x */
	abi_u32 pid;                         /* who was current when the event was raised (0: idle) */
	abi_u64 time;                        /* time-stamp counter at raising */
};

struct uls_stamp { abi_u64 t0, t1; };

struct uls_info {
	abi_u32 owner;                       /* pid */
	abi_u32 state;                       /* ULS_STATE_x */
	abi_u32 delivered;                   /* handlers run to their end */
	abi_u32 faulted;                     /* handlers aborted */
	abi_u32 blocked;                     /* times a handler blocked in a system call */
	abi_u32 queued;                      /* events waiting now */
	abi_u32 overflowed;                  /* events refused because the queue was full */
	abi_u32 last_cr3;                    /* page directory the last event was delivered on, or a handler resumed on */
	abi_u32 last_pid;                    /* current process at that moment (0: idle) */
	abi_u32 last_switches;               /* context switches between open and close of the last upcall */
	abi_u32 last_cr3_writes;             /* CR3 writes in the same span: flush=invlpg 0, flush=cr3 2 (open and close) */
	abi_u32 stack_base, stack_size;
	abi_u32 last_eip, last_cr2, last_error, last_trap;   /* of the last fault */
	abi_u32 mode, priority, budget;      /* ULS_CONTROL_x */
	abi_u32 over_budget;                 /* handlers aborted for that; counted in `faulted`, too */
	abi_u32 raised, dropped;             /* events accepted; events lost with a fault, an unregistering or a revocation.
	                                        raised = delivered + faulted + dropped + queued + (RUNNING or BLOCKED) */
	abi_u32 authorisation;               /* ULS_AUTHORISATION_x */
};

#define ULS_AUTHORISATION_NONE    0      /* the image says nothing: an image from before authorisation */
#define ULS_AUTHORISATION_TRUSTED 1      /* by name, on the command line of the host */
#define ULS_AUTHORISATION_SIGNED  2      /* Ed25519, by a key that is trusted */

struct uls_pstat {
	abi_u32 pid, state;                  /* 'R' running/ready, 'S' sleeping, 'T' stopped, 'Z' exited */
	abi_u32 policy, priority, timeslice;
	abi_u32 utime, stime;                /* ticks */
	abi_u32 switches;                    /* times it was switched to */
	abi_u64 cycles;                      /* time-stamp counter cycles it was current */
	char    name[16];
};

struct uls_sysinfo {
	abi_u32 flush, entry, hz, memory_kb;
	abi_u32 ticks, switches, cr3_writes, extensions;
};

/* ---- signals ---- */
struct old_sigaction {                   /* SYS_sigaction */
	abi_u32 handler, mask, flags, restorer;
};

struct kernel_sigaction {                /* SYS_rt_sigaction, sigsetsize 8 */
	abi_u32 handler, flags, restorer, mask[2];
};

/*
 * Signal frames, Linux 2.4 on the i386. Handler: cdecl, ESP -> the frame.
 *
 *     sigframe (no SA_SIGINFO)                rt_sigframe (SA_SIGINFO)
 *     +0    pretcode  (return address)        +0  pretcode
 *     +4    sig                               +4  sig
 *     +8    struct sigcontext                 +8  siginfo *
 *     +96   struct fpstate                    +12 ucontext *
 *     +720  extramask                         +16 struct abi_siginfo    (128 bytes)
 *     +724  retcode[8]                        ..  struct abi_ucontext, struct fpstate, retcode[8]
 *
 * pretcode is sa_restorer with SA_RESTORER, else retcode (popl %eax; movl $SYS_sigreturn,%eax; int $0x80, or movl
 * $SYS_rt_sigreturn,%eax; int $0x80). sc.fpstate is 0 if the process has not used the FPU.
 */
struct fpreg   { abi_u16 significand[4]; abi_u16 exponent; };

struct fpstate {
	abi_u32 cw, sw, tag, ipoff, cssel, dataoff, datasel;      /* the FSAVE image, as a 387 user expects it */
	struct fpreg st[8];
	abi_u16 status, magic;                                    /* magic 0: the FXSAVE image follows */
	abi_u8  fxsave[512];
};

struct sigcontext {
	abi_u16 gs, gsh, fs, fsh, es, esh, ds, dsh;
	abi_u32 edi, esi, ebp, esp, ebx, edx, ecx, eax;
	abi_u32 trapno, err;                                      /* of the last exception, as Linux */
	abi_u32 eip;
	abi_u16 cs, csh;
	abi_u32 eflags, esp_at_signal;
	abi_u16 ss, ssh;
	struct fpstate *fpstate;
	abi_u32 oldmask, cr2;
};

struct abi_siginfo {
	abi_s32 si_signo, si_errno, si_code;
	union {
		struct { abi_s32 si_pid, si_uid; };
		abi_u32 si_addr;
		abi_s32 pad[29];
	};
};

struct abi_ucontext {
	abi_u32 flags;
	struct abi_ucontext *link;
	struct { abi_u32 sp; abi_s32 flags; abi_u32 size; } stack;
	struct sigcontext mcontext;
	abi_u32 sigmask[2];
};

struct sigframe {
	abi_u32 pretcode;
	abi_s32 sig;
	struct sigcontext sc;
	struct fpstate fpstate;
	abi_u32 extramask;
	abi_u8  retcode[8];
};

struct rt_sigframe {
	abi_u32 pretcode;
	abi_s32 sig;
	struct abi_siginfo *info_ptr;
	struct abi_ucontext *uc_ptr;
	struct abi_siginfo info;
	struct abi_ucontext uc;
	struct fpstate fpstate;
	abi_u8  retcode[8];
};

#endif /* __ASSEMBLER__ */
#endif
