/* multiboot.c - what the loader says (Multiboot Specification 0.6.96): memory, command line, modules. */
#include "kernel.h"

#define MULTIBOOT_MAGIC 0x2BADB002
#define HAS_MEMORY  (1u << 0)
#define HAS_CMDLINE (1u << 2)
#define HAS_MODULES (1u << 3)
#define HAS_MAP     (1u << 6)

struct multiboot_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};
struct multiboot_module { u32 start, end, string, reserved; };
struct multiboot_map { u32 size, base, base_high, length, length_high, type; } __attribute__((packed));

#define DIRECT_MAP_TOP (192u * SUPERPAGE_SIZE)

extern char _kernel_end[];
struct boot_info boot;

static void reserve(u32 end)
{
	if (end > boot.reserved_end)
		boot.reserved_end = end;
}

void multiboot_read(u32 magic, u32 info)
{
	if (magic != MULTIBOOT_MAGIC)
		panic("not started by a multiboot loader");
	const struct multiboot_info *mb = direct(info);
	reserve(physical(_kernel_end));
	reserve(info + sizeof(*mb));

	if (mb->flags & HAS_MEMORY)
		boot.memory_top = 0x100000 + mb->mem_upper * 1024;
	if (mb->flags & HAS_MAP) {      /* better: the block of RAM (type 1) that holds the kernel */
		u32 at = mb->mmap_addr, end = at + mb->mmap_length;
		for (; at < end; at += ((struct multiboot_map *)direct(at))->size + 4) {
			const struct multiboot_map *m = direct(at);
			if (m->type == 1 && !m->base_high && m->base <= 0x100000 && m->base + m->length > 0x100000)
				boot.memory_top = m->base + m->length;
		}
		reserve(end);
	}
	if (boot.memory_top > DIRECT_MAP_TOP)
		boot.memory_top = DIRECT_MAP_TOP;

	if (mb->flags & HAS_CMDLINE) {
		const char *line = direct(mb->cmdline);
		copy_string(boot.cmdline, line, sizeof(boot.cmdline));
		reserve(mb->cmdline + strlen(line) + 1);
	}
	if (mb->flags & HAS_MODULES) {
		const struct multiboot_module *m = direct(mb->mods_addr);
		reserve(mb->mods_addr + mb->mods_count * sizeof(*m));
		for (u32 i = 0; i < mb->mods_count && i < MAX_MODULES; i++, m++) {
			struct module *to = &boot.module[boot.module_count++];
			to->start = m->start;
			to->end = m->end;
			to->string = m->string ? direct(m->string) : "";
			reserve(m->end);
			reserve(m->string + strlen(to->string) + 1);
		}
	}
	if (boot.memory_top <= boot.reserved_end)
		panic("the loader reports no memory above the kernel");
}
