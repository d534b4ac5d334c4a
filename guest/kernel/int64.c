/* int64.c - arithmetic on 64 bits that compilers call on their own; ed25519.zig does. */
#include "types.h"

u64 __lshrdi3(u64 value, u32 n);

/* A logical shift to the right. */
u64 __lshrdi3(u64 value, u32 n)
{
	u32 low = (u32)value, high = (u32)(value >> 32);
	if (n & 32)
		return high >> (n & 31);
	if (n & 31)
		return (u64)(high >> n) << 32 | (low >> n | high << (32 - n));
	return value;
}
