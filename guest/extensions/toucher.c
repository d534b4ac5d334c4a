/* toucher.c - tries what an extension must not do; each must end in its abort and in nothing else. */
#include <ringtoll/extensions.h>

static abi_u32 seen;

void handler(const struct uls_event *event)
{
	volatile abi_u32 *kernel = (abi_u32 *)TOUCH_KERNEL_ADDRESS;
	volatile abi_u32 *public = (abi_u32 *)ULS_PUBLIC_BASE;

	switch (event->value) {
	case TOUCH_READ_KERNEL: seen = *kernel; break;
	case TOUCH_WRITE_KERNEL: *kernel = 1; break;
	case TOUCH_WRITE_PUBLIC: *public = 1; break;
	case TOUCH_JUMP_KERNEL: ((void (*)(void))TOUCH_KERNEL_ADDRESS)(); break;
	case TOUCH_PRIVILEGED: __asm__ volatile("cli"); break;
	}
}
