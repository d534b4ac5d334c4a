/* uls.h - the sandbox, extensions and upcalls. */
#ifndef ULS_H
#define ULS_H

#include "task.h"

/* event_queue.c: POSIX.4 - not merged, FIFO within a priority, the highest priority first, bounded */
#define EVENT_PRIORITIES 32
struct queued_event { struct uls_event event; u32 order; u8 next; };
struct event_queue {
	u32 count;
	u32 present;                       /* bit p: a list of priority p has events */
	u8 free;                           /* the list of free slots, linked by `next` */
	u8 first[EVENT_PRIORITIES], last[EVENT_PRIORITIES];
	struct queued_event slot[ULS_QUEUE_LEN];
};
void event_queue_clear(struct event_queue *q);
bool event_queue_put(struct event_queue *q, const struct uls_event *event, u32 priority);
bool event_queue_take(struct event_queue *q, struct uls_event *event);
u32  event_queue_order(const struct event_queue *q);   /* when the event that is next was raised, among all queues */

#define MAX_BINDINGS 8
struct binding {
	u32 source, a, b;                  /* as SYS_uls_bind got them; source 0: a free slot */
	u32 count;                         /* TIMER: ticks to go. RESOURCE: CPU ticks at the binding */
	u32 was;                           /* RESOURCE: above the threshold. FD: what was ready */
	struct task *process;              /* EXIT (0: any), RESOURCE */
};

struct extension {
	char name[ULS_NAME_LEN];
	u32 entry, init;
	u32 stack_base, stack_size;        /* user stack, in the protected area */
	struct task *task;                 /* thread structure and kernel stack */
	struct task *owner;                /* the process, or 0 */
	u32 state;                         /* ULS_STATE_x */
	u32 next_number;
	u32 mode, priority, budget;        /* ULS_CONTROL_x */
	u32 used;                          /* ticks of the budget used by this handler */
	bool over_budget;
	bool started;                      /* threaded: woken for an event that it has not taken yet */
	u32 needs;                         /* bit i: uses symbols of extension i */
	u32 authorisation;                 /* ULS_AUTHORISATION_x: what this kernel has checked */
	u32 loaded_state;                  /* of an unloaded one: ULS_STATE_FREE, or ULS_STATE_REVOKED, which loading keeps */
	struct event_queue queue;
	struct binding binding[MAX_BINDINGS];
	struct uls_info info;
};

/* Its handler has begun and not ended. */
static inline bool handling(const struct extension *x)
{
	return x->state == ULS_STATE_RUNNING || x->state == ULS_STATE_BLOCKED;
}

/* The process for which the current task acts. */
static inline struct task *process(void) { return current->ext ? current->ext->owner->leader : current->leader; }

/* abandon.c */
void extension_abandon(struct extension *x);   /* it will never run on: what it holds is given back */
void extension_unmap_all(struct extension *x); /* sys_memory.c: what it got by mmap and brk */

/* sandbox.c */
void sandbox_init(const struct module *m);
void sandbox_open(void);
void sandbox_close(void);
extern u32 sandbox_return_stub;

/* sandbox_heap.c. `who` has the pages: extension number + 1, or SANDBOX_SEGMENT */
#define SANDBOX_SEGMENT 0xfd
void sandbox_heap_init(void *frames, u32 first);
void sandbox_clear(u32 address, u32 n);
u32  sandbox_brk(u32 address, u8 who);
u32  sandbox_break_release(u8 who);
u32  sandbox_alloc(u32 pages, u8 who);         /* zeroed; address in the protected area, or 0 */
u32  sandbox_free(u32 address, u32 pages, u8 who);
u32  sandbox_free_all(u8 who);
u32  sandbox_physical(u32 address);

/* sandbox_load.c */
bool sandbox_load_image(const struct module *m, char *frames, u32 *heap_start);
bool extension_complete(const struct extension *x);

/* ed25519.zig: 7 KB of stack, and longer than a tick */
struct piece { const void *at; u32 size; };
bool ed25519_verify(const u8 key[32], const u8 signature[64], const struct piece *piece, u32 count);

/* extension.c */
extern struct extension extension[ULS_MAX_EXT];
extern u32 extension_count;
s32  extension_find(const char *name);
struct extension *extension_owned(u32 id, s32 *error);
s32  extension_raise(struct extension *x, u32 source, u32 priority, u32 value);
void extension_wake(struct extension *x);
void extension_drop(struct extension *x, u32 state);
void extension_tick(void);
void extension_release(struct task *process);

/* source.c */
void sources_clear(struct extension *x);
void sources_tick(void);
void source_uart(u8 byte);
void sources_process_ended(struct task *process);

/* extension_thread.c */
struct task *extension_thread(struct extension *x);
void extension_thread_start(struct extension *x);
void extension_thread_follow(struct task *owner);
void extension_thread_stop(struct extension *x);
void __attribute__((noreturn)) extension_thread_next(void);
void extension_blocks(struct extension *x);
void extension_resumes(struct extension *x);

/* upcall.c */
enum upcall_status { UPCALL_DONE, UPCALL_BLOCKED, UPCALL_FAULTED };
extern struct extension *upcall_running;  /* the extension of a direct upcall in progress, or 0 */
extern struct task *upcall_caller;         /* and the task it interrupted */
int  upcall(struct extension *x, const struct uls_event *event);
u32  upcall_prepare(struct extension *x, const struct uls_event *event);
void __attribute__((noreturn)) upcall_leave(struct extension *x, u32 state, int status);
int  deliver(struct extension *x, const struct uls_event *event);
void run_bottom_halves(void);
void upcall_block(void);
void __attribute__((noreturn)) extension_abort(const char *why, const struct pt_regs *regs);

/* switch.S */
int  upcall_enter(u32 *save_esp, u32 eip, u32 esp, bool use_sysexit);
void __attribute__((noreturn)) upcall_resume(u32 esp, int status);
void upcall_detach(u32 *save_esp, u32 esp, int status);

#endif
