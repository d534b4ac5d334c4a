/*
 * source.c - where events come from (the table is in abi.h), and binding extensions to it.
 *
 *   timer tick ------ sources_tick() -----------+   every TIMER counted down, every RESOURCE measured
 *   COM1 ------------ source_uart() ------------+
 *   file layer ------ uls_file_ready() ---------+--> extension_raise(), with the extension's own priority
 *   last thread ends  sources_process_ended() --+
 *
 * A binding names a process by its structure, and ends with it, so that a pid that is used again is not mistaken for it.
 * A descriptor is looked up in the owner's table each time: no file is held open by being watched.
 */
#include "file.h"
#include "uls.h"

#define THRESHOLD(b) ((b) & 0x00ffffff)
#define KIND(b)      ((b) >> 24)

void sources_clear(struct extension *x) { memset(x->binding, 0, sizeof(x->binding)); }

static void raise(struct extension *x, u32 source, u32 value) { extension_raise(x, source, x->priority, value); }

/* ---- resources ---- */

static u32 resident_pages(const struct mm *mm)
{
	u32 n = 0;
	for (u32 i = 0; mm && i < PDX(KERNEL_BASE); i++) {
		if ((mm->pgd[i] & (PTE_P | PTE_PS)) != PTE_P)
			continue;
		const u32 *table = direct(PTE_FRAME(mm->pgd[i]));
		for (u32 j = 0; j < PAGE_SIZE / 4; j++)
			n += table[j] & PTE_P;
	}
	return n;
}

static u32 measure(const struct binding *b)
{
	struct task *p = b->process;
	switch (KIND(b->b)) {
	case ULS_RESOURCE_CPU:    return p->cpu_ticks - b->count;
	case ULS_RESOURCE_MEMORY: return resident_pages(p->mm);
	case ULS_RESOURCE_FILES:  return p->files ? files_open(p->files) : 0;
	}
	return 0;
}

static void resource_tick(struct extension *x, struct binding *b)
{
	u32 amount = measure(b);
	bool above = amount >= THRESHOLD(b->b);
	if (above && !b->was)
		raise(x, ULS_SOURCE_RESOURCE, amount);
	b->was = above;
}

/* ---- what happens ---- */

void sources_tick(void)
{
	for (u32 i = 0; i < extension_count; i++) {
		struct extension *x = &extension[i];
		for (struct binding *b = x->binding; x->owner && b < x->binding + MAX_BINDINGS; b++) {
			if (b->source == ULS_SOURCE_TIMER && --b->count == 0) {
				b->count = b->a;
				raise(x, ULS_SOURCE_TIMER, ticks);
			} else if (b->source == ULS_SOURCE_RESOURCE) {
				resource_tick(x, b);
			}
		}
	}
}

void source_uart(u8 byte)
{
	for (u32 i = 0; i < extension_count; i++)
		for (u32 j = 0; j < MAX_BINDINGS; j++)
			if (extension[i].binding[j].source == ULS_SOURCE_UART)
				raise(&extension[i], ULS_SOURCE_UART, byte);
}

/* An end that nobody can change any more (error, hang-up) is always of interest, as for poll(). */
static void file_state(struct extension *x, struct binding *b, u32 revents)
{
	u32 ready = revents & (b->b | POLLERR | POLLHUP);
	if (ready & ~b->was)
		raise(x, ULS_SOURCE_FD, b->a | ready << 16);
	b->was = ready;
}

void uls_file_ready(struct file *f, u32 revents)
{
	u32 flags = irq_save();
	for (u32 i = 0; i < extension_count; i++) {
		struct extension *x = &extension[i];
		for (struct binding *b = x->binding; x->owner && b < x->binding + MAX_BINDINGS; b++)
			if (b->source == ULS_SOURCE_FD && x->owner->files && file_of(x->owner->files, b->a) == f)
				file_state(x, b, revents);
	}
	irq_restore(flags);
}

void sources_process_ended(struct task *process)
{
	u32 flags = irq_save();
	for (u32 i = 0; i < extension_count; i++)
		for (u32 j = 0; j < MAX_BINDINGS; j++) {
			struct extension *x = &extension[i];
			struct binding *b = &x->binding[j];
			if (b->source == ULS_SOURCE_EXIT && (!b->process || b->process == process))
				raise(x, ULS_SOURCE_EXIT, process->pid | process->exit_code << 16);
			if (b->process == process)
				memset(b, 0, sizeof(*b));
		}
	irq_restore(flags);
}

/* ---- binding ---- */

static struct binding *find(struct extension *x, u32 source, u32 a)
{
	for (struct binding *b = x->binding; b < x->binding + MAX_BINDINGS; b++)
		if (b->source == source && (b->a == a || source == ULS_SOURCE_TIMER || source == ULS_SOURCE_UART))
			return b;
	return 0;
}

static s32 find_process(u32 pid, struct task **process)
{
	struct task *t = find_task(pid);
	*process = t;
	return t && t->leader == t && !process_ended(t) ? 0 : -ESRCH;
}

/* Fills in what the source needs besides a and b. */
static s32 check(struct extension *x, struct binding *b)
{
	s32 error;
	switch (b->source) {
	case ULS_SOURCE_TIMER:
		b->count = b->a;
		return b->a > 0x7fffffff ? -EINVAL : 0;
	case ULS_SOURCE_UART:
		return 0;
	case ULS_SOURCE_FD:
		if (!b->b || (b->b & ~(u32)(POLLIN | POLLOUT)))
			return -EINVAL;
		return b->a < MAX_FILES && file_of(x->owner->files, b->a) ? 0 : -EBADF;
	case ULS_SOURCE_EXIT:
		return b->a ? find_process(b->a, &b->process) : 0;
	case ULS_SOURCE_RESOURCE:
		if (KIND(b->b) < ULS_RESOURCE_CPU || KIND(b->b) > ULS_RESOURCE_FILES)
			return -EINVAL;
		error = find_process(b->a, &b->process);
		if (error == 0)
			b->count = b->process->cpu_ticks;
		return error;
	}
	return -EINVAL;
}

static s32 unbind(struct extension *x, u32 source, u32 a)
{
	u32 flags = irq_save();
	struct binding *b = source == ULS_SOURCE_POST ? 0 : find(x, source, a);
	if (b)
		memset(b, 0, sizeof(*b));
	irq_restore(flags);
	return b ? 0 : -ENOENT;
}

/* Binding to the same again replaces: a timer's period, a descriptor's events, a process's threshold. */
s32 sys_uls_bind(u32 id, u32 source, u32 a, u32 b);
s32 sys_uls_bind(u32 id, u32 source, u32 a, u32 b)
{
	s32 error;
	struct extension *x = extension_owned(id, &error);
	struct binding new = { .source = source, .a = a, .b = b };
	if (!x)
		return error;
	if (x->state == ULS_STATE_FAULTED)
		return -EHOSTDOWN;
	if (source == ULS_SOURCE_TIMER && a == 0) {
		unbind(x, source, a);
		return 0;
	}
	error = check(x, &new);
	if (error)
		return error;
	u32 flags = irq_save();
	struct binding *at = find(x, source, a);
	if (!at)
		at = find(x, ULS_SOURCE_POST, 0);
	if (at) {
		*at = new;
		struct file *f = source == ULS_SOURCE_FD ? file_of(x->owner->files, a) : 0;
		if (f)
			file_state(x, at, f->ops->poll(f));
	}
	irq_restore(flags);
	return at ? 0 : -ENOSPC;
}

s32 sys_uls_unbind(u32 id, u32 source, u32 a);
s32 sys_uls_unbind(u32 id, u32 source, u32 a)
{
	s32 error;
	struct extension *x = extension_owned(id, &error);
	return x ? unbind(x, source, a) : error;
}
