/* extension_control.c - mode, priority, budget and ports of an extension, and taking it away: revocation. */
#include "io_ports.h"
#include "uls.h"

/* Interrupts off. What is queued goes the new way; a handler that has begun ends the way it began. */
static void set_mode(struct extension *x, u32 mode)
{
	if (x->started && mode == ULS_MODE_DIRECT && x->task != upcall_caller) {
		extension_thread_stop(x);
		x->started = false;
	}
	x->mode = mode;
	extension_wake(x);
}

static s32 set(struct extension *x, u32 *field, u32 value)
{
	u32 flags = irq_save(), before = *field;
	if (field == &x->mode)
		set_mode(x, value);
	else
		*field = value;
	irq_restore(flags);
	return (s32)before;
}

static s32 allow(struct extension *x, u32 value)
{
	if (process()->uid != 0)
		return -EPERM;
	if (value != 1)
		return -EINVAL;
	u32 *state = x->state == ULS_STATE_UNLOADED ? &x->loaded_state : &x->state;
	if (*state != ULS_STATE_REVOKED)
		return 1;
	*state = ULS_STATE_FREE;
	return 0;
}

s32 sys_uls_control(u32 id, u32 what, u32 value);
s32 sys_uls_control(u32 id, u32 what, u32 value)
{
	struct extension *x = id < extension_count ? &extension[id] : 0;
	if (!x)
		return -EINVAL;
	if (what == ULS_CONTROL_ALLOW)
		return allow(x, value);
	if (!x->owner)
		return -EINVAL;
	if (x->owner != process() && process()->uid != 0)
		return -EPERM;
	switch (what) {
	case ULS_CONTROL_MODE:     return value > ULS_MODE_THREADED ? -EINVAL : set(x, &x->mode, value);
	case ULS_CONTROL_PRIORITY: return value >= EVENT_PRIORITIES ? -EINVAL : set(x, &x->priority, value);
	case ULS_CONTROL_BUDGET:   return value > 0x7fffffff ? -EINVAL : set(x, &x->budget, value);
	}
	return -EINVAL;
}

s32 sys_uls_revoke(u32 id);
s32 sys_uls_revoke(u32 id)
{
	struct extension *x = id < extension_count ? &extension[id] : 0;
	if (!x)
		return -EINVAL;
	if (process()->uid != 0)
		return -EPERM;
	if (x->state == ULS_STATE_UNLOADED)
		return -ENOENT;
	printk("extension %s: revoked\n", x->name);
	extension_drop(x, ULS_STATE_REVOKED);
	return 0;
}

/* The bitmap belongs to the extension's thread: upcall() and schedule() load and unload it. */
s32 sys_uls_ioperm(u32 id, u32 port, u32 count, u32 on);
s32 sys_uls_ioperm(u32 id, u32 port, u32 count, u32 on)
{
	s32 error;
	struct extension *x = extension_owned(id, &error);
	if (!x)
		return error;
	return process()->uid != 0 ? -EPERM : io_permit(x->task, port, count, on != 0);
}
