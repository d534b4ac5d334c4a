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
	heap_start = ULS_PROTECTED_BASE;
	if (m && !sandbox_load_image(m, frames, &heap_start))
		panic("sandbox image is not valid");
	sandbox_heap_init(frames + ULS_AREA_SIZE, m ? heap_start : ULS_PROTECTED_BASE);
}
