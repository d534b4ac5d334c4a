/* panic.c - the two ways a run ends: the debug exit port with a status, and panic (status 255). */
#include "task.h"

#define DEBUG_EXIT 0xf4

void machine_exit(u32 status)
{
	outl(DEBUG_EXIT, status);
	for (;;) {                      /* no debug exit device: stop here */
		cli();
		asm volatile("hlt");
	}
}

void panic(const char *why)
{
	cli();
	printk("panic: %s\n", why);
	machine_exit(255);
}

void panic_regs(const char *why, const struct pt_regs *r)
{
	cli();
	printk("panic: %s\n", why);
	printk("vector %u error %x cr2 %p cr3 %p, current pid %u %s\n", r->vector, r->error, (void *)read_cr2(),
	       (void *)read_cr3(), current->pid, current->name);
	printk("cs:eip %04x:%08x eflags %08x\n", r->cs, r->eip, r->eflags);
	printk("eax %08x ebx %08x ecx %08x edx %08x\n", r->eax, r->ebx, r->ecx, r->edx);
	printk("esi %08x edi %08x ebp %08x esp %08x\n", r->esi, r->edi, r->ebp,
	       user_mode(r) ? r->esp : (u32)&r->esp);
	machine_exit(255);
}
