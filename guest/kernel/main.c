/* main.c - bring the machine up, start a process per module, become the idle task. */
#include "uls.h"

void kernel_main(u32 magic, u32 info);
bool module_is_sandbox(const struct module *m);

/* boot.S mapped 768 MB; keep what is RAM. The entries are global: only CR4.PGE off and on again drops them. */
static void trim_direct_map(void)
{
	u32 used = ALIGN_UP(boot.memory_top, SUPERPAGE_SIZE) / SUPERPAGE_SIZE;
	for (u32 i = PDX(KERNEL_BASE) + used; i < 1024; i++)
		template_pgd[i] = 0;
	write_cr4(read_cr4() & ~CR4_PGE);
	if (options.global)
		write_cr4(read_cr4() | CR4_PGE);
}

void kernel_main(u32 magic, u32 info)
{
	static const char *const flush[] = { "invlpg", "cr3", "none" }, *const entry[] = { "sysexit", "iret" };
	console_init();
	printk("ringtoll kernel\n");
	multiboot_read(magic, info);
	cmdline_parse(boot.cmdline);
	cpu_init();
	segment_init();
	sched_init();
	interrupt_table_init();
	fpu_init();
	trim_direct_map();
	page_alloc_init(boot.reserved_end, boot.memory_top);
	printk("memory: %u KB, %u KB free\n", boot.memory_top / 1024, free_page_count() * 4);
	printk("uls: flush=%s entry=%s budget=%u%s\n", flush[options.flush], entry[options.entry], options.budget,
	       options.global ? "" : " global=off");
	if (options.small)
		small_init();
	pic_init();
	timer_init();
	console_enable_input();

	const struct module *image = 0;
	for (u32 i = 0; i < boot.module_count; i++)
		if (module_is_sandbox(&boot.module[i]))
			image = &boot.module[i];
	sandbox_init(image);
	u32 started = 0;
	for (u32 i = 0; i < boot.module_count; i++)
		if (!module_is_sandbox(&boot.module[i])) {
			process_start(&boot.module[i]);
			started++;
		}
	if (!task_list) {
		printk("no process to run\n");
		machine_exit(started ? 127 : 0);
	}
	cpu_idle();
}
