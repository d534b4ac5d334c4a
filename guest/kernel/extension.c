/*
 * extension.c - who owns which extension, and raising events.
 *
 * The counts of uls_info always add up:
 *
 *     raised = delivered + faulted + dropped + queued + (1 while a handler runs or is blocked)
 *
 * and every attempt to raise is in `raised` or, if the queue was full, in `overflowed`.
 */
#include "uls.h"

struct extension extension[ULS_MAX_EXT];
u32 extension_count;

s32 extension_find(const char *name)
{
	for (u32 i = 0; i < extension_count; i++)
		if (!strcmp(extension[i].name, name))
			return (s32)i;
	return -ENOENT;
}

/* Interrupts off: see to it that what is queued is delivered. */
void extension_wake(struct extension *x)
{
	if (!x->queue.count || x->state != ULS_STATE_IDLE)
		return;                         /* upcall_leave() looks again */
	if (x->mode == ULS_MODE_DIRECT)
		bottom_half_pending = 1;
	else if (!x->started)
		extension_thread_start(x);
}

/* Also called from interrupts. */
s32 extension_raise(struct extension *x, u32 source, u32 priority, u32 value)
{
	s32 result = 0;
	u32 flags = irq_save();
	if (!x->owner) {
		result = -EINVAL;
	} else if (x->state == ULS_STATE_FAULTED) {
		result = -EHOSTDOWN;
	} else {
		struct task *raiser = upcall_running ? upcall_caller : current;
		struct uls_event event = { x->next_number, value, source, raiser->pid, rdtsc() };
		if (event_queue_put(&x->queue, &event, priority)) {
			x->next_number++;
			x->info.raised++;
			extension_wake(x);
		} else {
			x->info.overflowed++;
			result = -EAGAIN;
		}
	}
	irq_restore(flags);
	return result;
}

/* Timer interrupt: the tick budget of the handler that runs, as an upcall or as a thread; and the event sources. */
void extension_tick(void)
{
	struct extension *x = current->ext;
	if (x && handling(x) && x->budget && ++x->used > x->budget)
		x->over_budget = true;
	sources_tick();
}

/* Take x from its owner, whatever it is doing. */
static void extension_take(struct extension *x, u32 state)
{
	u32 flags = irq_save();
	if (x->owner)
		extension_abandon(x);
	extension_thread_stop(x);
	if (x->task) {
		fpu_forget(x->task);
		x->task->flags &= ~TASK_USED_FPU;
	}
	x->info.dropped += x->queue.count + handling(x);
	event_queue_clear(&x->queue);
	sources_clear(x);
	x->started = x->over_budget = false;
	x->state = state;
	x->owner = 0;
	irq_restore(flags);
}

/* For a system call. An extension may give itself up: then there is no way back to its handler. */
void extension_drop(struct extension *x, u32 state)
{
	if (x == current->ext) {
		cli();                          /* a task that acts for nobody: nothing may look at it */
		extension_take(x, state);
		upcall_leave(x, state, UPCALL_DONE);
	}
	extension_take(x, state);
}

/* The process has ended: it takes its extensions, their memory and their events with it, and bindings to it end. */
void extension_release(struct task *process)
{
	for (u32 i = 0; i < extension_count; i++)
		if (extension[i].owner == process)
			extension_take(&extension[i], ULS_STATE_FREE);
	sources_process_ended(process);
}

/* For the calls that only the owner may make; an extension acts with its creator's credentials. */
struct extension *extension_owned(u32 id, s32 *error)
{
	struct extension *x = id < extension_count ? &extension[id] : 0;
	*error = !x || !x->owner ? -EINVAL : x->owner != process() ? -EPERM : 0;
	return *error ? 0 : x;
}

static void take_over(struct extension *x)
{
	struct task *t = extension_thread(x);
	extension_take(x, ULS_STATE_FREE);
	memset(&x->info, 0, sizeof(x->info));
	x->owner = process();
	x->info.owner = x->owner->pid;
	x->info.stack_base = x->stack_base;
	x->info.stack_size = x->stack_size;
	x->next_number = 1;
	sandbox_clear(x->stack_base, x->stack_size);    /* no owner sees another's; libc/sandbox/context.c relies on it */
	x->mode = ULS_MODE_DIRECT;
	x->priority = 0;
	x->budget = options.budget;
	t->slice = t->slice_left = x->owner->slice;
	x->state = ULS_STATE_IDLE;
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
	if (x->state == ULS_STATE_REVOKED)
		return -EACCES;
	if (!extension_complete(x))
		return -ENOENT;
	if ((x->owner && x->owner != process()) || handling(x) || upcall_running)
		return -EBUSY;

	take_over(x);
	if (x->init) {
		struct uls_event event = { 0, 0, ULS_SOURCE_INIT, current->pid, rdtsc() };
		x->info.raised++;
		if (deliver(x, &event) == UPCALL_FAULTED)
			return -EIO;
	}
	return id;
}

s32 sys_uls_post(u32 id, u32 value);
s32 sys_uls_post(u32 id, u32 value)
{
	if (id >= extension_count)
		return -EINVAL;
	struct extension *x = &extension[id];
	s32 result = extension_raise(x, ULS_SOURCE_POST, x->priority, value);
	if (result < 0)
		return result;
	if (upcall_running)                             /* from inside an upcall: after this one */
		return 1;
	run_bottom_halves();
	if (x->state == ULS_STATE_FAULTED)
		return -EIO;
	return handling(x) || x->queue.count;
}

s32 sys_uls_raise(u32 id, u32 priority, u32 value);
s32 sys_uls_raise(u32 id, u32 priority, u32 value)
{
	if (id >= extension_count || priority >= EVENT_PRIORITIES)
		return -EINVAL;
	return extension_raise(&extension[id], ULS_SOURCE_POST, priority, value);
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
	info.queued = x->queue.count;
	info.mode = x->mode;
	info.priority = x->priority;
	info.budget = x->budget;
	info.authorisation = x->authorisation;
	irq_restore(flags);
	return copy_to_user(to, &info, sizeof(info));
}

s32 sys_uls_unregister(u32 id);
s32 sys_uls_unregister(u32 id)
{
	s32 error;
	struct extension *x = extension_owned(id, &error);
	if (!x)
		return error;
	extension_drop(x, ULS_STATE_FREE);
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
