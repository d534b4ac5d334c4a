#ifndef TYPES_H
#define TYPES_H

#include <stdbool.h>
#include <stddef.h>

typedef unsigned char      u8;
typedef unsigned short     u16;
typedef unsigned int       u32;
typedef unsigned long long u64;
typedef int                s32;

#define ARRAY_SIZE(a)      (sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(x, a)   ((x) & ~((u32)(a) - 1))
#define ALIGN_UP(x, a)     (((x) + (u32)(a) - 1) & ~((u32)(a) - 1))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))

#endif
