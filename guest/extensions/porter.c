/* porter.c - reads or writes I/O ports. Value: PORT_x << 24 | port << 8 | byte, or 1 << 31 | ms: sleeps, then reads. */
#include <ringtoll/extensions.h>
#include <time.h>

static struct port_access last;

void handler(const struct uls_event *event)
{
	abi_u32 v = event->value, op = v >> 24;
	unsigned short port = (unsigned short)(v >> 8);

	if (op == PORT_REPORT) {
		*(struct port_access *)((v & 0xffffff) + RECORDER_ADDRESS) = last;
		return;
	}
	last.tried++;
	if (op == PORT_SLEEP_IN) {
		struct timespec t = { 0, 20000000 };
		nanosleep(&t, 0);
	}
	if (op == PORT_OUT)
		__asm__ volatile("outb %0, %1" : : "a"((unsigned char)v), "d"(port));
	else
		__asm__ volatile("inb %1, %0" : "=a"(last.byte) : "d"(port));
	last.done++;
}
