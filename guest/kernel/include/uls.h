/* uls.h - the sandbox, extensions and upcalls. */
#ifndef ULS_H
#define ULS_H

#include "task.h"

struct queued_event { struct uls_event event; u32 order; };

struct extension {
	char name[ULS_NAME_LEN];
	u32 entry, init;
	u32 stack_base, stack_size;        /* user stack, in the protected area */
	struct task *task;                 /* thread structure and kernel stack */
	struct task *owner;
	u32 state;                         /* ULS_STATE_x */
	u32 next_number;
	u32 period, countdown;             /* timer source, ticks */
	u32 used;                          /* ticks of the budget used by this upcall */
	bool over_budget;
	u32 needs;                         /* bit i: uses symbols of extension i */
	u32 authorisation;                 /* ULS_AUTHORISATION_x: what this kernel has checked */
	u32 loaded_state;                  /* of an unloaded one: ULS_STATE_FREE, or ULS_STATE_REVOKED, which loading keeps */
	struct queued_event queue[ULS_QUEUE_LEN];
	u32 head, count;
	struct uls_info info;
};

/* The process for which the current task acts. */
static inline struct task *process(void) { return current->ext ? current->ext->owner->leader : current->leader; }

/* abandon.c */
void extension_abandon(struct extension *x);   /* it will never run on: what it holds is given back */
void extension_unmap_all(struct extension *x); /* sys_memory.c: what it got by mmap */

/* sandbox.c */
void sandbox_init(const struct module *m);
void sandbox_open(void);
void sandbox_close(void);
extern u32 sandbox_return_stub;

/* sandbox_heap.c. `who` has the pages: extension number + 1, or SANDBOX_SEGMENT */
#define SANDBOX_SEGMENT 0xfd
void sandbox_heap_init(void *frames, u32 first);
u32  sandbox_brk(u32 address);
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
struct task *extension_thread(struct extension *x);
s32  extension_raise(struct extension *x, u32 source, u32 value);
void extension_tick(void);
void extension_release(struct task *owner);

/* upcall.c */
enum upcall_status { UPCALL_DONE, UPCALL_BLOCKED, UPCALL_FAULTED };
extern struct extension *upcall_running;  /* the extension of a direct upcall in progress, or 0 */
extern struct task *upcall_caller;         /* and the task it interrupted */
int  upcall(struct extension *x, const struct uls_event *event);
int  deliver(struct extension *x, const struct uls_event *event);
void run_bottom_halves(void);
void upcall_block(void);
void __attribute__((noreturn)) extension_abort(const char *why, const struct pt_regs *regs);

/* switch.S */
int  upcall_enter(u32 *save_esp, u32 eip, u32 esp, bool use_sysexit);
void __attribute__((noreturn)) upcall_resume(u32 esp, int status);
void upcall_detach(u32 *save_esp, u32 esp, int status);

#endif
