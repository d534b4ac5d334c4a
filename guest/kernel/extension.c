/* extension.c - who owns which extension, its event queue and its timer. */
#include "uls.h"

struct extension extension[ULS_MAX_EXT];
u32 extension_count;
static u32 next_order;

s32 extension_find(const char *name)
{
	for (u32 i = 0; i < extension_count; i++)
		if (!strcmp(extension[i].name, name))
			return (s32)i;
	return -ENOENT;
}

/* The thread structure and kernel stack; made at the first registration and kept. */
struct task *extension_thread(struct extension *x)
{
	if (!x->task) {
		x->task = task_create(x->name);
		x->task->ext = x;
		x->task->flags = TASK_SANDBOX_OPEN;
	}
	return x->task;
}

/* POSIX.4: queued, not merged, FIFO, bounded. Also called from the timer interrupt. */
s32 extension_raise(struct extension *x, u32 source, u32 value)
{
	s32 result = 0;
	u32 flags = irq_save();
	if (x->state == ULS_STATE_FREE || x->state == ULS_STATE_UNLOADED) {
		result = -EINVAL;
	} else if (x->state == ULS_STATE_FAULTED) {
		result = -EHOSTDOWN;
	} else if (x->count == ULS_QUEUE_LEN) {
		x->info.overflowed++;
		result = -EAGAIN;
	} else {
		struct queued_event *q = &x->queue[(x->head + x->count++) % ULS_QUEUE_LEN];
		struct task *raiser = upcall_running ? upcall_caller : current;
		q->event = (struct uls_event){ x->next_number++, value, source, raiser->pid, rdtsc() };
		q->order = next_order++;
		bottom_half_pending = 1;
	}
	irq_restore(flags);
	return result;
}

/* Timer interrupt: the timer source, and the tick budget of the upcall that runs. */
void extension_tick(void)
{
	for (u32 i = 0; i < extension_count; i++) {
		struct extension *x = &extension[i];
		if (x->period && --x->countdown == 0) {
			x->countdown = x->period;
			extension_raise(x, ULS_SOURCE_TIMER, ticks);
		}
	}
	struct extension *x = upcall_running;
	if (x && options.budget && ++x->used > options.budget)
		x->over_budget = true;
}

static void release(struct extension *x)
{
	u32 flags = irq_save();
	if (x->state == ULS_STATE_BLOCKED) {            /* its thread sleeps or waits to run: it never will */
		sleep_cancel(x->task);
		sched_remove(x->task);
		x->task->state = TASK_SLEEPING;
	}
	if (x->task) {
		fpu_forget(x->task);
		x->task->flags &= ~TASK_USED_FPU;
	}
	x->state = ULS_STATE_FREE;
	x->owner = 0;
	x->period = x->count = 0;
	irq_restore(flags);
}

void extension_release(struct task *owner)
{
	for (u32 i = 0; i < extension_count; i++)
		if (extension[i].owner == owner)
			release(&extension[i]);
}

/* An extension acts with its creator's credentials; the creator is a process, whichever thread made the call. */
static struct task *credentials(void) { return process(); }

static struct extension *owned(u32 id, s32 *error)
{
	struct extension *x = id < extension_count ? &extension[id] : 0;
	*error = !x || !x->owner ? -EINVAL : x->owner != credentials() ? -EPERM : 0;
	return *error ? 0 : x;
}

s32 sys_uls_register(u32 name_at, u32 flags);
s32 sys_uls_register(u32 name_at, u32 flags)
{
	char name[ULS_NAME_LEN];
	s32 id = string_from_user(name, name_at, sizeof(name));
	if (id < 0 || (id = extension_find(name)) < 0)
		return id;
	struct extension *x = &extension[id];
	if (flags)
		return -EINVAL;
	if (!extension_complete(x))
		return -ENOENT;
	if (x->owner && x->owner != credentials())
		return -EBUSY;
	if (x->state == ULS_STATE_RUNNING || x->state == ULS_STATE_BLOCKED || upcall_running)
		return -EBUSY;

	struct task *t = extension_thread(x);
	release(x);
	memset(&x->info, 0, sizeof(x->info));
	x->owner = credentials();
	x->info.owner = x->owner->pid;
	x->info.stack_base = x->stack_base;
	x->info.stack_size = x->stack_size;
	x->next_number = 1;
	t->slice = t->slice_left = x->owner->slice;
	x->state = ULS_STATE_IDLE;
	if (x->init) {
		struct uls_event event = { 0, 0, ULS_SOURCE_INIT, current->pid, rdtsc() };
		if (deliver(x, &event) == UPCALL_FAULTED)
			return -EIO;
	}
	return id;
}

s32 sys_uls_bind(u32 id, u32 source, u32 period);
s32 sys_uls_bind(u32 id, u32 source, u32 period)
{
	s32 error;
	struct extension *x = owned(id, &error);
	if (!x)
		return error;
	if (source != ULS_SOURCE_TIMER)
		return -EINVAL;
	if (x->state == ULS_STATE_FAULTED)
		return -EHOSTDOWN;
	u32 flags = irq_save();
	x->period = x->countdown = period;
	irq_restore(flags);
	return 0;
}

s32 sys_uls_post(u32 id, u32 value);
s32 sys_uls_post(u32 id, u32 value)
{
	if (id >= extension_count)
		return -EINVAL;
	struct extension *x = &extension[id];
	s32 result = extension_raise(x, ULS_SOURCE_POST, value);
	if (result < 0)
		return result;
	if (upcall_running)                             /* from inside an upcall: after this one */
		return 1;
	run_bottom_halves();
	if (x->state == ULS_STATE_FAULTED)
		return -EIO;
	return x->state == ULS_STATE_BLOCKED || x->count;
}

s32 sys_uls_info(u32 id, u32 to);
s32 sys_uls_info(u32 id, u32 to)
{
	if (id >= extension_count)
		return -EINVAL;
	struct extension *x = &extension[id];
	u32 flags = irq_save();
	struct uls_info info = x->info;
	info.state = x->state;
	info.queued = x->count;
	info.authorisation = x->authorisation;
	irq_restore(flags);
	return copy_to_user(to, &info, sizeof(info));
}

s32 sys_uls_unregister(u32 id);
s32 sys_uls_unregister(u32 id)
{
	s32 error;
	struct extension *x = owned(id, &error);
	if (!x)
		return error;
	if (x->state == ULS_STATE_RUNNING || x == current->ext)
		return -EBUSY;
	release(x);
	return 0;
}

s32 sys_uls_lookup(u32 name_at);
s32 sys_uls_lookup(u32 name_at)
{
	char name[ULS_NAME_LEN];
	s32 id = string_from_user(name, name_at, sizeof(name));
	if (id >= 0)
		id = extension_find(name);
	return id >= 0 && !extension[id].owner ? -ENOENT : id;
}
