"""The two-level page walk of IA-32 (SDM vol. 3A, 3.7 and 3.12), without side effects.

    linear   31........22 21........12 11.........0
             directory     table        offset          4 KB page
             directory     offset (22 bits)             4 MB page, PDE.PS = 1 and CR4.PSE = 1

    PDE/PTE  31..12 frame | 8 G | 7 PS | 6 D | 5 A | 4 PCD | 3 PWT | 2 U/S | 1 R/W | 0 P

A walk returns one integer, so that it compiles to registers:

    -1                     not present (or a table outside RAM)
    frame | rights << 20   rights: bit 1 R/W, bit 2 U/S, bit 6 D, bit 8 G (only with CR4.PGE), bit 7 big
"""

from typing import Any, Final

from emulator.compiled import (
    Word,
    compiled,
    inlined,
    load_i64,
    load_u8,
    load_u32,
    store_i64,
    store_u8,
    store_u32,
)

RIGHT_WRITE: Final = 0x002
RIGHT_USER: Final = 0x004
RIGHT_ACCESSED: Final = 0x020
RIGHT_DIRTY: Final = 0x040
RIGHT_BIG: Final = 0x080
RIGHT_GLOBAL: Final = 0x100

CR0_WP: Final = 1 << 16
CR0_PG: Final = 1 << 31
CR4_PSE: Final = 1 << 4
CR4_PGE: Final = 1 << 7


@inlined
def control(s: Any, number: Word) -> Word:
    """Control register `number` from the engine's register file."""
    return load_u32(s.at_control + 8 * number)


@compiled
def walk(s: Any, page: Word) -> Word:
    """Translate a linear page number by the tables in RAM; changes nothing but the table-frame marks."""
    cr4 = control(s, 4)
    at = (control(s, 3) & 0xFFFFF000) + ((page >> 10) << 2)
    if at >= s.ram_size:
        return -1
    mark_table(s, at)
    pde = load_u32(s.ram + at)
    if not pde & 1:
        return -1
    global_mask = RIGHT_GLOBAL if cr4 & CR4_PGE else 0
    if pde & 0x80 and cr4 & CR4_PSE:
        frame = ((pde >> 12) & 0xFFC00) | (page & 0x3FF)
        rights = (pde & (RIGHT_WRITE | RIGHT_USER | RIGHT_DIRTY | global_mask)) | RIGHT_BIG
        return frame | rights << 20
    at = (pde & 0xFFFFF000) + ((page & 0x3FF) << 2)
    if at >= s.ram_size:
        return -1
    mark_table(s, at)
    pte = load_u32(s.ram + at)
    if not pte & 1:
        return -1
    rights = (pte & pde & (RIGHT_WRITE | RIGHT_USER)) | (pte & (RIGHT_DIRTY | global_mask))
    return (pte >> 12) | rights << 20


@compiled
def mark_table(s: Any, at: Word) -> None:
    """Remember that a frame holds page tables: a write to it makes cached translations doubtful.

    The mark is the soft TLB's epoch: after a flush nothing there rests on this walk any more. So a frame
    that has once held a table and now holds data isn't flushed for at every store.
    """
    mark = s.table_frames + 8 * (at >> 12)
    if load_i64(mark) != s.epoch:
        store_i64(mark, s.epoch)
        s.marked = 1
        s.last_data_line = -1  # a write to the line that was read last must be looked at
        if not load_u8(s.special_frames + (at >> 12)):
            store_u8(s.special_frames + (at >> 12), 1)
            s.quick_page = -1
            s.quick_generation += 1 << 20  # `tlb.forget_quick_pages`


@compiled
def table_frame(s: Any, frame: Word) -> Any:
    """Does the soft TLB rest on a table that a walk has read in this frame of RAM?"""
    return load_i64(s.table_frames + 8 * frame) == s.epoch


@compiled
def set_accessed(s: Any, page: Word, write: bool) -> None:
    """Set A (and D for a write) in the entries that map `page`, as the page-miss handler does.

    The walk must have succeeded. SDM vol. 3A 3.7.6: A in both levels, D only in the entry that maps.
    """
    at = (control(s, 3) & 0xFFFFF000) + ((page >> 10) << 2)
    pde = load_u32(s.ram + at)
    bits = RIGHT_ACCESSED | (RIGHT_DIRTY if write else 0)
    if pde & 0x80 and control(s, 4) & CR4_PSE:
        if pde & bits != bits:
            store_u32(s.ram + at, pde | bits)
            s.accessed_set += 1
        return
    if not pde & RIGHT_ACCESSED:
        store_u32(s.ram + at, pde | RIGHT_ACCESSED)
        s.accessed_set += 1
    at = (pde & 0xFFFFF000) + ((page & 0x3FF) << 2)
    pte = load_u32(s.ram + at)
    if pte & bits != bits:
        store_u32(s.ram + at, pte | bits)
        s.accessed_set += 1


@compiled
def permitted(s: Any, rights: Word, write: bool, user: bool) -> Any:
    """SDM vol. 3A table 4-2: user needs U; a write needs R/W, except a supervisor's with CR0.WP = 0."""
    if user and not rights & RIGHT_USER:
        return False
    if write and not rights & RIGHT_WRITE:
        return not user and not control(s, 0) & CR0_WP
    return True
