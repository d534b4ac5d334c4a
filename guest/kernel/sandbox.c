/*
 * sandbox.c - two 4 MB superpages shared by every address space, and opening and closing them.
 *
 *   every page directory                                physical memory (one buddy block of 8 MB)
 *
 *   PDE 256  0x40000000  public     ------------------> +--------------------------------------+
 *            P, U/S, PS             user read/execute   | header | extensions' text and rodata |
 *   PDE 257  0x40400000  protected  ------------------> +--------------------------------------+
 *            P, R/W, PS, and U/S only while open        | data, bss | stack 0 | stack 1 | heap |
 *                                                       +--------------------------------------+
 *   low bits of the PDE:     G = 0    G = 1
 *     public, always         0x085    0x185
 *     protected, closed      0x083    0x183     U/S = 0: ring 3 faults, ring 0 keeps its access
 *     protected, open        0x087    0x187
 *
 * The processor caches U/S in the TLB, so a changed PDE means nothing until the entry is invalidated. Closing without
 * that leaves ring 3 a usable entry (flush=none shows the hole). Two ways:
 *   flush=invlpg  INVLPG of the protected page alone. It drops global entries too, so the two PDEs are global and the
 *                 rest of the TLB survives an upcall.
 *   flush=cr3     reload CR3: drops all non-global entries; the sandbox PDEs must not be global then.
 * Only the protected page is invalidated: the public PDE never changes. Only the current page directory is changed:
 * nobody runs on another one before the sandbox closes again.
 */
#include "elf.h"
#include "uls.h"

#define PDE_PUBLIC    (PTE_P | PTE_U | PTE_PS)
#define PDE_PROTECTED (PTE_P | PTE_W | PTE_PS)

u32 sandbox_return_stub;
static char *frames;                         /* the 8 MB, in the direct map */
static u32 heap_start;                       /* in the protected area, above the stacks */

static inline void flush_protected(void)
{
	if (options.flush == ULS_FLUSH_INVLPG)
		invlpg(ULS_PROTECTED_BASE);
	else if (options.flush == ULS_FLUSH_CR3)
		load_page_directory(loaded_pgd);
}

/* OpenSandbox() */
void __attribute__((noinline)) sandbox_open(void)
{
	loaded_pgd[PDX(ULS_PROTECTED_BASE)] |= PTE_U;
	flush_protected();
}

/* CloseSandbox() */
void __attribute__((noinline)) sandbox_close(void)
{
	loaded_pgd[PDX(ULS_PROTECTED_BASE)] &= ~PTE_U;
	flush_protected();
}

static bool load_image(const struct module *m)
{
	const char *file = direct(m->start);
	u32 count, entry, limit = ULS_PROTECTED_BASE + ULS_AREA_SIZE;
	const struct elf_program *p = elf_segments(file, m->end - m->start, &count, &entry);
	if (!p)
		return false;
	heap_start = ULS_PROTECTED_BASE;
	for (; count; count--, p++) {
		if (p->type != PT_LOAD || !p->memsz)
			continue;
		if (p->vaddr < ULS_PUBLIC_BASE || p->vaddr + p->memsz > limit ||
		    (p->vaddr < ULS_PROTECTED_BASE && p->vaddr + p->memsz > ULS_PROTECTED_BASE))
			return false;
		memcpy(frames + (p->vaddr - ULS_PUBLIC_BASE), file + p->offset, p->filesz);
		if (p->vaddr + p->memsz > heap_start)
			heap_start = ALIGN_UP(p->vaddr + p->memsz, PAGE_SIZE);
	}
	return true;
}

static bool public_address(u32 a) { return a >= ULS_PUBLIC_BASE && a < ULS_PROTECTED_BASE; }

/* Name, entry and stack of each extension, from the header at the start of the public area. */
static bool read_header(void)
{
	const struct uls_header *h = (const void *)frames;
	if (h->magic != ULS_MAGIC || h->version != ULS_VERSION || h->count > ULS_MAX_EXT)
		return false;
	sandbox_return_stub = options.entry == ULS_ENTRY_SYSEXIT ? h->return_sysenter : h->return_int80;
	if (h->count && !public_address(sandbox_return_stub))
		return false;
	for (u32 i = 0; i < h->count; i++) {
		const struct uls_entry *e = &h->ext[i];
		struct extension *x = &extension[extension_count];
		u32 size = ALIGN_UP(e->stack_size ? e->stack_size : 16384, PAGE_SIZE);
		if (!public_address(e->entry) || (e->init && !public_address(e->init)) ||
		    size > ULS_PROTECTED_BASE + ULS_AREA_SIZE - heap_start)
			return false;
		copy_string(x->name, e->name, sizeof(x->name));
		x->entry = e->entry;
		x->init = e->init;
		x->stack_base = heap_start;
		x->stack_size = size;
		heap_start += size;
		extension_count++;
		printk("extension: %s, entry %08x, stack %08x..%08x\n", x->name, x->entry, x->stack_base,
		       x->stack_base + size);
	}
	return true;
}

/* Before the first process: the template is copied into every page directory. */
void sandbox_init(const struct module *m)
{
	u32 global = options.flush == ULS_FLUSH_CR3 || !options.global ? 0 : PTE_G;
	frames = alloc_pages(MAX_ORDER);
	if (!frames) {
		printk("sandbox: no 8 MB block of memory, none\n");
		return;
	}
	memset(frames, 0, 2 * ULS_AREA_SIZE);
	template_pgd[PDX(ULS_PUBLIC_BASE)] = physical(frames) | PDE_PUBLIC | global;
	template_pgd[PDX(ULS_PROTECTED_BASE)] = physical(frames + ULS_AREA_SIZE) | PDE_PROTECTED | global;
	printk("sandbox: public %08x, protected %08x, frames %08x, PDEs %03x %03x\n", ULS_PUBLIC_BASE, ULS_PROTECTED_BASE,
	       physical(frames), PDE_PUBLIC | global, PDE_PROTECTED | global);
	if (m && (!load_image(m) || !read_header()))
		panic("sandbox image is not valid");
	sandbox_heap_init(frames + ULS_AREA_SIZE, m ? heap_start : ULS_PROTECTED_BASE);
}
