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

/* Another entry than the command line's, for this one operation. */
static s32 bench_raw_by(struct extension *x, u32 entry, u32 n, u32 stamps)
{
	const struct uls_header *h = (const void *)ULS_PUBLIC_BASE;
	u32 was = options.entry, stub = sandbox_return_stub;
	if (entry == ULS_ENTRY_SYSEXIT && !(cpu.features & CPUID_SEP))
		return -ENODEV;
	options.entry = entry;
	sandbox_return_stub = entry == ULS_ENTRY_SYSEXIT ? h->return_sysenter : h->return_int80;
	s32 result = bench_raw(x, n, stamps);
	options.entry = was;
	sandbox_return_stub = stub;
	return result;
}

/* From raising to the moment when the caller has the processor again. They have the same priority, so that a yield gives
 * it to the thread. */
static s32 bench_threaded(struct extension *x, bool entry, u32 n, u32 stamps)
{
	s32 result = 0;
	if (x->mode != ULS_MODE_THREADED || (entry && !stamps))
		return -EINVAL;
	for (u32 i = 0; i < n && result == 0; i++) {
		u32 to = stamps + i * sizeof(struct uls_stamp);
		u64 t0 = rdtsc();
		extension_raise(x, ULS_SOURCE_BENCH, 0, entry ? to + offsetof(struct uls_stamp, t1) : 0);
		while (x->started || handling(x))
			sched_yield();
		u64 t1 = rdtsc();
		if (x->state != ULS_STATE_IDLE)
			result = -EIO;
		else
			result = entry ? copy_to_user(to, &t0, sizeof(t0)) : put_stamp(stamps, i, t0, t1);
	}
	return result;
}

static s32 bench_raise(struct extension *x, u32 depth, bool delivery, u32 n, u32 stamps)
{
	s32 result = 0;
	for (u32 i = 0; i < n && result == 0; i++) {
		u64 t0 = rdtsc();
		for (u32 j = 0; j < depth; j++)
			extension_raise(x, ULS_SOURCE_BENCH, 0, j);
		u64 t1 = rdtsc();
		run_bottom_halves();
		if (delivery)
			t1 = rdtsc();
		result = x->state == ULS_STATE_IDLE ? put_stamp(stamps, i, t0, t1) : -EIO;
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
	if (op == ULS_BENCH_RAW_UPCALL || op == ULS_BENCH_FULL_UPCALL || (op >= ULS_BENCH_THREADED && op <= ULS_BENCH_RAW_IRET)) {
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
	case ULS_BENCH_RAW_SYSEXIT: return bench_raw_by(x, ULS_ENTRY_SYSEXIT, n, stamps);
	case ULS_BENCH_RAW_IRET:    return bench_raw_by(x, ULS_ENTRY_IRET, n, stamps);
	case ULS_BENCH_THREADED:    return bench_threaded(x, false, n, stamps);
	case ULS_BENCH_THREADED_ENTRY: return bench_threaded(x, true, n, stamps);
	case ULS_BENCH_RAISE:       return bench_raise(x, 1, false, n, stamps);
	case ULS_BENCH_QUEUED:      return bench_raise(x, ULS_BENCH_DEPTH, true, n, stamps);
	case ULS_BENCH_OPEN_CLOSE:  return bench_open_close(n, stamps);
	}
	return -EINVAL;
}
