/*
 * small.c - small address spaces by segmentation (small=on): protection without changing the page directory.
 *
 *   0xC0000000 +-----------------+  A process with `small` in its module string lives in a window. Windows are the same
 *              | window 15       |  in every page directory (their page tables never change), so a switch to a small
 *              |  ...            |  space writes no CR3: it runs on whatever directory is loaded. Base and limit of the
 *              | window 0        |  user's code and data segments keep it inside:
 *   0xBC000000 +-----------------+      small   base 0xBC000000 + 4 MB * n, limit 4 MB
 *              | stack           |      large   base 0, limit 0xBC000000: windows are out of reach
 *              |  ...            |  A switch rewrites two descriptors of the GDT; the kernel reloads DS and ES on its way
 *   0x00000000 +-----------------+  out anyway, IRET or the trampoline (entry_small.S) CS and SS, RELOAD_FS_GS the rest.
 *
 * All user addresses of a small process, in registers, system calls, its VMAs and its signal frames, are offsets in the
 * window. Its mm has a page directory of its own, never loaded, in which entry 0 is the window's page table, so that
 * address_space.c works on offsets, too. Pages of windows are global: the same everywhere, and INVLPG finds them
 * whatever is loaded. Extensions and idle tasks have no mm and run as large spaces.
 *
 * The ordinary kernel must not pay for this, not one instruction: patch() puts jumps to these functions over the
 * ordinary ones, and the IDT and the SYSENTER MSR point to a second set of entry stubs. This file is linked last, and
 * its strings are kept out of the common pool, so that no line of the ordinary kernel moves either.
 */
#include "uls.h"

#define TEXT(name, ...) static const char name[] __attribute__((section(".rodata.small"))) = __VA_ARGS__

u32 space_base, space_size;                 /* what the user segments in the GDT say now */
u8 reload_fs_gs;                            /* they have changed since the last return to ring 3 */
struct { u32 eip, esp; } small_return;      /* of the last return through the trampoline */
u32 trampoline_interrupted;                 /* times: tests want to see it */
static u64 large_segment[2];
static const u64 *installed;
static bool taken[SMALL_WINDOWS];

extern u32 small_exception_stubs[20], small_irq_stubs[16];
extern const char small_trampoline[], small_trampoline_end[];
void small_system_call(void), small_sysenter_entry(void), small_iret(void);
int small_upcall_enter(u32 *save_esp, u32 eip, u32 esp, bool use_sysexit);
struct pt_regs *small_exception(struct pt_regs *regs);
void small_irq(struct pt_regs *regs);

TEXT(no_memory, "out of memory");
TEXT(gp, "#GP");

/* ---- options and words ---- */

void small_option(const char *word)
{
	TEXT(small, "small=");
	TEXT(tagged, "tagged=");
	TEXT(on, "on");
	TEXT(off, "off");
	TEXT(unknown, "unknown option: %s\n");
	bool *option = !strncmp(word, small, 6) ? &options.small : !strncmp(word, tagged, 7) ? &options.tagged : 0;
	if (!option)
		return;
	const char *value = word + (option == &options.small ? 6 : 7);
	if (!strcmp(value, on))
		*option = true;
	else if (!strcmp(value, off))
		*option = false;
	else
		printk(unknown, word);
}

bool small_word(const char *word)
{
	TEXT(small, "small");
	return !strcmp(word, small);
}

/* ---- whose segments ---- */

/* set_kernel_stack(): called whenever another task begins to run, upcalls included. */
static void small_set_kernel_stack(u32 esp0)
{
	const struct task *t = (const struct task *)(esp0 - STACK_SIZE);
	*tss_esp0 = esp0;
	if (!t->mm && !t->ext)
		return;                             /* idle: never in ring 3 */
	bool small = t->mm && t->mm->window;
	const u64 *segment = small ? t->mm->segment : large_segment;
	if (segment == installed)
		return;
	installed = segment;
	user_segments[0] = segment[0];
	user_segments[1] = segment[1];
	space_base = small ? t->mm->window : 0;
	space_size = small ? SMALL_WINDOW_SIZE : SMALL_AREA_BASE;
	reload_fs_gs = 1;
}

/* load_page_directory(): a small space's own is never loaded. It is the only kind without the trampoline. */
static void small_load_page_directory(u32 *pgd)
{
	if (!pgd[PDX(TRAMPOLINE)])
		return;
	loaded_pgd = pgd;
	cr3_write_count++;
	write_cr3(physical(pgd));
}

struct mm *small_mm_create(const char *name)
{
	TEXT(refused, "module %s: no small address space: %s\n");
	TEXT(all_taken, "all windows are taken");
	TEXT(not_on, "it needs small=on");
	u32 n = 0;
	while (n < SMALL_WINDOWS && taken[n])
		n++;
	if (!options.small || n == SMALL_WINDOWS) {
		printk(refused, name, options.small ? all_taken : not_on);
		return 0;
	}
	struct mm *mm = alloc_zero_page();
	u32 *pgd = alloc_zero_page();
	if (!mm || !pgd)
		panic(no_memory);
	taken[n] = true;
	mm->pgd = pgd;
	mm->users = 1;
	mm->limit = RLIM_INFINITY;
	mm->top = SMALL_WINDOW_SIZE;
	mm->window = SMALL_AREA_BASE + n * SMALL_WINDOW_SIZE;
	mm->global = PTE_G;
	pgd[0] = template_pgd[PDX(mm->window)];
	user_segment_descriptors(mm->segment, mm->window, SMALL_WINDOW_SIZE / PAGE_SIZE);
	return mm;
}

void small_mm_release(struct mm *mm)
{
	taken[(mm->window - SMALL_AREA_BASE) / SMALL_WINDOW_SIZE] = false;
	if (installed == mm->segment)
		installed = 0;                      /* the next mm may lie here */
}

/* ---- user pointers: uaccess.c with base and limit ---- */

static bool small_access_ok(u32 address, u32 n)
{
	if (address >= space_size || n > space_size - address)
		return false;
	if (address < ULS_PROTECTED_BASE + ULS_AREA_SIZE && address + n > ULS_PROTECTED_BASE)
		return current->flags & TASK_SANDBOX_OPEN;
	return true;
}

static s32 small_copy_from_user(void *to, u32 from, u32 n)
{
	return small_access_ok(from, n) && copy_user(to, (const void *)(space_base + from), n) == 0 ? 0 : -EFAULT;
}

static s32 small_copy_to_user(u32 to, const void *from, u32 n)
{
	return small_access_ok(to, n) && copy_user((void *)(space_base + to), from, n) == 0 ? 0 : -EFAULT;
}

static s32 small_string_from_user(char *to, u32 from, u32 size)
{
	for (u32 n = 0; n < size; n++) {
		if (small_copy_from_user(&to[n], from + n, 1) < 0)
			return -EFAULT;
		if (!to[n])
			return (s32)n;
	}
	return -ENAMETOOLONG;
}

/* ---- exceptions and interrupts ---- */

/* ESP tells it from a program that jumps there, which is beyond its limit. One that forges ESP is sent to where the
 * last return went, but in its own space: it could have jumped there itself. */
static bool in_trampoline(const struct pt_regs *regs)
{
	return user_mode(regs) && regs->eip - TRAMPOLINE < (u32)(small_trampoline_end - small_trampoline) &&
	       regs->esp == small_return.esp - 8;
}

/* An interrupt or a fault on the way out: be where the trampoline leads to. The IRET will load the segments. */
static void fix_trampoline(struct pt_regs *regs)
{
	trampoline_interrupted++;
	regs->eip = regs->edx = small_return.eip;
	regs->esp = regs->ecx = small_return.esp;
}

/* IRET faulted, as EIP is beyond the limit of CS: put the user's frame together again and give it the fault. */
static struct pt_regs *bad_return(const struct pt_regs *regs)
{
	struct task *t = current;
	struct pt_regs *user = task_regs(t), saved = *user;     /* EIP and up are whole; below lies `regs` */
	memcpy(&saved, regs, offsetof(struct pt_regs, vector));
	saved.vector = regs->vector;
	saved.error = regs->error;
	t->trap = regs->vector;
	t->error = regs->error;
	*user = saved;
	if (t->ext)
		extension_abort(gp, user);
	force_signal(SIGSEGV, SI_KERNEL, user->eip);
	return user;
}

/* CR2 is linear; what the rest of the kernel knows of a small space are offsets. 0 is never mapped. */
static u32 user_address(u32 linear)
{
	const struct mm *mm = current->mm;
	if (!mm || !mm->window)
		return linear;
	return linear - mm->window < SMALL_WINDOW_SIZE ? linear - mm->window : 0;
}

struct pt_regs *small_exception(struct pt_regs *regs)
{
	if (!user_mode(regs) && regs->eip == (u32)small_iret)
		return bad_return(regs);
	if (in_trampoline(regs)) {
		fix_trampoline(regs);
		if (regs->vector >= 12 && regs->vector <= 14)
			return regs;                /* the far return could not: IRET does it, or faults in its turn */
	}
	if (regs->vector == 14)
		page_fault_at(regs, user_address(read_cr2()));
	else
		handle_exception(regs);
	return regs;
}

void small_irq(struct pt_regs *regs)
{
	if (in_trampoline(regs))
		fix_trampoline(regs);
	handle_irq(regs);
}

/* ---- at boot, interrupts off ---- */

/* JMP rel32 over the first five bytes of a function. */
static void patch(void *function, const void *replacement)
{
	u8 *code = function;
	u32 distance = (u32)replacement - (u32)function - 5;
	code[0] = 0xe9;
	memcpy(code + 1, &distance, 4);
}

static void map_trampoline(void)
{
	u32 *table = alloc_zero_page();
	void *page = alloc_zero_page();
	if (!table || !page)
		panic(no_memory);
	memcpy(page, small_trampoline, (u32)(small_trampoline_end - small_trampoline));
	table[PTX(TRAMPOLINE)] = physical(page) | PTE_P | PTE_U | PTE_G;
	template_pgd[PDX(TRAMPOLINE)] = physical(table) | PTE_P | PTE_U;
}

/* Before the first process: the template is copied into every page directory. */
void small_init(void)
{
	TEXT(banner, "small: %u windows from %08x, trampoline %08x\n");
	map_trampoline();
	for (u32 n = 0; n < SMALL_WINDOWS; n++) {
		void *table = alloc_zero_page();
		if (!table)
			panic(no_memory);
		template_pgd[PDX(SMALL_AREA_BASE) + n] = physical(table) | PTE_P | PTE_W | PTE_U;
	}
	user_segment_descriptors(large_segment, 0, SMALL_AREA_BASE / PAGE_SIZE);
	patch(set_kernel_stack, small_set_kernel_stack);
	patch(load_page_directory, small_load_page_directory);
	patch(access_ok, small_access_ok);
	patch(copy_from_user, small_copy_from_user);
	patch(copy_to_user, small_copy_to_user);
	patch(string_from_user, small_string_from_user);
	patch(upcall_enter, small_upcall_enter);
	interrupt_table_set(small_exception_stubs, small_irq_stubs, small_system_call, small_sysenter_entry);
	asm volatile("movl %0, %%ds; movl %0, %%es" : : "r"(SEL_KERNEL_DS));
	printk(banner, SMALL_WINDOWS, SMALL_AREA_BASE, TRAMPOLINE);
}
