/*
 * blocker.c - waits in the system call that its creator asks for, through memory that they share.
 *
 * The event's value is the operation; struct blocking lies at a fixed address, in this extension's own data, and is
 * copied out by BLOCK_REPORT.
 */
#include <errno.h>
#include <ringtoll/extensions.h>
#include <sys/wait.h>
#include <time.h>
#include <uls.h>
#include <unistd.h>

static struct blocking b;

void handler(const struct uls_event *event)
{
	abi_u32 op = event->value >> 24, argument = event->value & 0xffffff;
	struct timespec t = { 0, (long)argument * 1000000 };

	if (event->value >= RECORDER_ADDRESS && op < BLOCK_SLEEP) {
		*(struct blocking *)event->value = b;
		return;
	}
	b.begun++;
	switch (op) {
	case BLOCK_SLEEP:  b.result = nanosleep(&t, 0); break;
	case BLOCK_READ:   b.result = read((int)argument, b.bytes, sizeof b.bytes); break;
	case BLOCK_WAIT:   b.result = waitpid((int)argument, &b.status, 0); break;
	case BLOCK_SPIN:   for (volatile abi_u32 i = 0; i < argument * 1000; i++) ; break;
	case BLOCK_LEAVE:  uls_unregister((int)argument); b.survived++; break;
	case BLOCK_REVOKE: b.result = uls_revoke((int)argument); b.error = errno; break;
	case BLOCK_SLEEP_SPIN:
		nanosleep(&t, 0);
		for (;;)
			;
	case BLOCK_PRIVATE:
		b.seen = *(volatile abi_u32 *)0x08048000;
		break;
	}
	b.ended++;
}
