/* elf.h - the two ELF32 structures a loader needs. */
#ifndef ELF_H
#define ELF_H

#include "types.h"

struct elf_header {
	u8  ident[16];
	u16 type, machine;
	u32 version, entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_program { u32 type, offset, vaddr, paddr, filesz, memsz, flags, align; };

#define ET_EXEC  2
#define EM_386   3
#define PT_LOAD  1
#define PF_EXEC  1u
#define PF_WRITE 2u

const struct elf_program *elf_segments(const void *file, u32 size, u32 *count, u32 *entry);

#endif
