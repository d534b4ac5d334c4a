/*
 * bench.c - the operations of the published cost table, timed inside the kernel.
 *
 * Nothing here has a path of its own: sandbox_open(), sandbox_close(), upcall() and deliver() are the functions that
 * real events use. Time is taken by rdtsc() (switch.S), which does nothing else; ULS_BENCH_RDTSC measures that.
 */
#include "uls.h"

#define MAX_RUNS 65536

static s32 put_stamp(u32 to, u32 i, u64 t0, u64 t1)
{
	struct uls_stamp s = { t0, t1 };
	return to ? copy_to_user(to + i * sizeof(s), &s, sizeof(s)) : 0;
}

/* The open state belongs to the task: schedule() closes and opens with it. */
static s32 bench_open(bool open, u32 stamps)
{
	u32 flags = irq_save();
	u64 t0 = rdtsc();
	if (open)
		sandbox_open();
	else
		sandbox_close();
	u64 t1 = rdtsc();
	if (open)
		current->flags |= TASK_SANDBOX_OPEN;
	else
		current->flags &= ~TASK_SANDBOX_OPEN;
	irq_restore(flags);
	return put_stamp(stamps, 0, t0, t1);
}

static s32 bench_raw(struct extension *x, u32 n, u32 stamps)
{
	struct task *t = current;
	bool was_open = t->flags & TASK_SANDBOX_OPEN;
	s32 result = 0;
	if (!was_open)
		bench_open(true, 0);
	for (u32 i = 0; i < n && result == 0; i++) {
		struct uls_event event = { x->next_number++, i, ULS_SOURCE_BENCH, t->pid, rdtsc() };
		x->info.raised++;
		u64 t0 = rdtsc();
		int status = upcall(x, &event);
		u64 t1 = rdtsc();
		result = status == UPCALL_DONE ? put_stamp(stamps, i, t0, t1) : status == UPCALL_FAULTED ? -EIO : -EBUSY;
	}
	if (!was_open)
		bench_open(false, 0);
	return result;
}

static s32 bench_full(struct extension *x, u32 stamps)
{
	struct uls_event event = { x->next_number++, 0, ULS_SOURCE_BENCH, current->pid, rdtsc() };
	x->info.raised++;
	u64 t0 = rdtsc();
	int status = deliver(x, &event);
	u64 t1 = rdtsc();
	return status == UPCALL_DONE ? put_stamp(stamps, 0, t0, t1) : status == UPCALL_FAULTED ? -EIO : -EBUSY;
}

static s32 bench_open_close(u32 n, u32 stamps)
{
	s32 result = 0;
	if (current->flags & TASK_SANDBOX_OPEN)
		return -EBUSY;
	for (u32 i = 0; i < n && result == 0; i++) {
		u64 t0 = rdtsc();
		sandbox_open();
		u64 t1 = rdtsc();
		sandbox_close();
		result = put_stamp(stamps, i, t0, t1);
	}
	return result;
}

static s32 bench_rdtsc(u32 n, u32 stamps)
{
	s32 result = 0;
	for (u32 i = 0; i < n && result == 0; i++) {
		u64 t0 = rdtsc();
		u64 t1 = rdtsc();
		result = put_stamp(stamps, i, t0, t1);
	}
	return result;
}

s32 sys_uls_bench(u32 op, u32 id, u32 n, u32 stamps);
s32 sys_uls_bench(u32 op, u32 id, u32 n, u32 stamps)
{
	struct extension *x = id < extension_count ? &extension[id] : 0;
	if (!options.bench)
		return -EPERM;
	if (current->ext || n > MAX_RUNS)
		return -EINVAL;
	if (op == ULS_BENCH_RAW_UPCALL || op == ULS_BENCH_FULL_UPCALL) {
		if (!x || !x->owner)
			return -EINVAL;
		if (x->state != ULS_STATE_IDLE)
			return x->state == ULS_STATE_FAULTED ? -EHOSTDOWN : -EBUSY;
	}
	switch (op) {
	case ULS_BENCH_NOP:         return 0;
	case ULS_BENCH_OPEN:        return bench_open(true, stamps);
	case ULS_BENCH_CLOSE:       return bench_open(false, stamps);
	case ULS_BENCH_RAW_UPCALL:  return bench_raw(x, n, stamps);
	case ULS_BENCH_FULL_UPCALL: return bench_full(x, stamps);
	case ULS_BENCH_RDTSC:       return bench_rdtsc(n, stamps);
	case ULS_BENCH_OPEN_CLOSE:  return bench_open_close(n, stamps);
	}
	return -EINVAL;
}
