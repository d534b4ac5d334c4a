/* kernel.h - small services every file uses: console, strings, pages, time. */
#ifndef KERNEL_H
#define KERNEL_H

#include <ringtoll/abi.h>
#include "types.h"
#include "x86.h"

/* console.c, printk.c */
void console_init(void);
void console_enable_input(void);
void console_putc(char c);
s32  console_read(char *buf, u32 n);
bool console_readable(void);
void console_interrupt(void);
void printk(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* panic.c */
struct pt_regs;
void __attribute__((noreturn)) machine_exit(u32 status);
void __attribute__((noreturn)) panic(const char *why);
void __attribute__((noreturn)) panic_regs(const char *why, const struct pt_regs *regs);
#define ASSERT(x) do { if (!(x)) panic("assertion failed: " #x); } while (0)

/* string.c */
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int   memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int   strcmp(const char *a, const char *b);
int   strncmp(const char *a, const char *b, size_t n);
u32   copy_string(char *to, const char *from, u32 size);
u32   parse_number(const char *s);

/* page_alloc.c: frames of 4 KB in blocks of 2^order */
#define MAX_ORDER 11                       /* 8 MB: the two sandbox superpages in one block */
void  page_alloc_init(u32 start_free, u32 top);
void *alloc_pages(u32 order);              /* address in the direct map, or 0. Not cleared */
void *alloc_zero_page(void);
void  free_pages(void *p, u32 order);
u32   free_page_count(void);
void  page_share(u32 phys);                /* one more address space maps this frame, copy-on-write */
bool  page_shared(u32 phys);
void  page_release(u32 phys);              /* one less; the last one frees it */

/* pool.c: objects smaller than a page */
struct pool { u32 size; void *free; };
void *pool_alloc(struct pool *p);          /* zeroed, or 0 */
void  pool_free(struct pool *p, void *object);

static inline u32   physical(const void *p) { return (u32)p - KERNEL_BASE; }
static inline void *direct(u32 phys) { return (void *)(phys + KERNEL_BASE); }

/* multiboot.c, cmdline.c */
#define MAX_MODULES 32
struct module { u32 start, end; const char *string; };
struct boot_info {
	u32 memory_top;                    /* end of the RAM that starts at 1 MB */
	u32 reserved_end;                  /* end of kernel, modules and multiboot data */
	u32 module_count;
	struct module module[MAX_MODULES];
	char cmdline[1024];
};
extern struct boot_info boot;
void multiboot_read(u32 magic, u32 info);
struct options {
	u32 flush, entry, budget;
	bool bench, unwaited, global, small, tagged;
	bool sealed;                       /* uls_key= is given: extensions are loaded as `key` and `trust` allow */
	u8 key[32];
	const char *trust;                 /* uls_trust=, the names */
};
extern struct options options;
void cmdline_parse(char *line);
void small_option(const char *word);       /* small.c: small=, tagged= */

/* cpu.c */
struct cpu { char vendor[13]; u32 family, model, stepping, features; };
extern struct cpu cpu;
#define CPUID_PSE  (1u << 3)
#define CPUID_TSC  (1u << 4)
#define CPUID_SEP  (1u << 11)
#define CPUID_PGE  (1u << 13)
#define CPUID_FXSR (1u << 24)
#define CPUID_SSE  (1u << 25)
void cpu_init(void);

/* segment.c */
void segment_init(void);
void interrupt_table_init(void);
void interrupt_table_set(const u32 *exceptions, const u32 *irqs, void (*call)(void), void (*sysenter)(void));
extern volatile u32 *const tss_esp0;
extern u64 *const user_segments;           /* GDT: user code, user data */
void user_segment_descriptors(u64 to[2], u32 base, u32 pages);
void set_kernel_stack(u32 esp0);           /* TSS.esp0, and with it what SYSENTER loads */

/* pic.c, timer.c */
void pic_init(void);
void pic_enable(u32 irq);
void pic_eoi(u32 irq);
void timer_init(void);
void timer_interrupt(const struct pt_regs *regs);
extern volatile u32 ticks;

/* uaccess.c: 0 or -EFAULT (copies), length or minus error (strings) */
s32 copy_from_user(void *to, u32 from, u32 n);
s32 copy_to_user(u32 to, const void *from, u32 n);
s32 string_from_user(char *to, u32 from, u32 size);
bool access_ok(u32 address, u32 n);
u32 find_fixup(u32 eip);

#endif
