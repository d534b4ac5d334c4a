/*
 * nester.c - raises events while its upcall runs: for another extension, for itself. struct nesting tells the order in
 * which things happened; the recorder's stamp comes from a post after it.
 */
#include <ringtoll/extensions.h>
#include <syscall.h>

static struct nesting n;

static int post(int id, abi_u32 value) { return (int)syscall_int80(SYS_uls_post, id, (long)value, 0, 0, 0, 0); }

void handler(const struct uls_event *event)
{
	struct uls_info before, after;

	if (event->value >= RECORDER_ADDRESS) {
		*(struct nesting *)event->value = n;
		return;
	}
	if (event->value & NEST_REVOKED) {
		post((int)(event->value & 0xff), BLOCK_REVOKE << 24 | (event->value >> 8 & 0xff));
		n.seen = 99;                     /* not reached */
		return;
	}
	if (event->value > NEST_DEPTH) {
		abi_u32 other = event->value & 0xff, self = event->value >> 8 & 0xff;

		n.seen = 0;
		syscall_int80(SYS_uls_info, (long)other, (long)&before, 0, 0, 0, 0);
		n.other_result = post((int)other, 1);
		for (abi_u32 i = 1; i <= NEST_DEPTH; i++)
			n.self_result = post((int)self, i);
		syscall_int80(SYS_uls_info, (long)other, (long)&after, 0, 0, 0, 0);
		n.other_ran_inside = after.delivered != before.delivered;
		n.other_queued = after.queued;
		n.self_inside = n.seen;
		return;
	}
	n.order[n.seen++ % NEST_DEPTH] = event->value;
}
