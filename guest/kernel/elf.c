/* elf.c - ELF32 executables: a process's image into its address space. */
#include "elf.h"
#include "task.h"

const struct elf_program *elf_segments(const void *file, u32 size, u32 *count, u32 *entry)
{
	const struct elf_header *h = file;
	if (size < sizeof(*h) || memcmp(h->ident, "\177ELF\1\1", 6) || h->type != ET_EXEC || h->machine != EM_386 ||
	    h->phentsize != sizeof(struct elf_program) || h->phoff > size ||
	    h->phnum > (size - h->phoff) / sizeof(struct elf_program))
		return 0;
	const struct elf_program *p = (const void *)((const char *)file + h->phoff);
	for (u32 i = 0; i < h->phnum; i++)
		if (p[i].type == PT_LOAD && (p[i].filesz > p[i].memsz || p[i].offset > size ||
		    p[i].filesz > size - p[i].offset || p[i].vaddr + p[i].memsz < p[i].vaddr))
			return 0;
	*count = h->phnum;
	*entry = h->entry;
	return p;
}

/* Returns the entry point, or 0. */
u32 elf_load(struct mm *mm, const struct module *m)
{
	const char *file = direct(m->start);
	u32 count, entry;
	const struct elf_program *p = elf_segments(file, m->end - m->start, &count, &entry);
	if (!p)
		return 0;
	for (; count; count--, p++) {
		if (p->type != PT_LOAD || !p->memsz)
			continue;
		u32 end = ALIGN_UP(p->vaddr + p->memsz, PAGE_SIZE);
		if (mm_add(mm, ALIGN_DOWN(p->vaddr, PAGE_SIZE), end, p->flags & PF_WRITE, 0) < 0)
			return 0;
		for (u32 done = 0; done < p->filesz;) {
			u32 a = p->vaddr + done, n = PAGE_SIZE - (a & (PAGE_SIZE - 1));
			if (n > p->filesz - done)
				n = p->filesz - done;
			void *to = mm_touch(mm, a);
			if (!to)
				return 0;
			memcpy(to, file + p->offset + done, n);
			done += n;
		}
		if (end > mm->brk)
			mm->brk_start = mm->brk = end;
	}
	return entry;
}
