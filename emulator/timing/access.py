"""What one access by LINEAR address does to the model: TLB, page walk, A and D bits, caches.

Both ways of feeding the model end here: memory hooks (reference mode) and, later, access plans.

    access(linear) -> TLB hit?  --no-->  walk, charge by reason, set A/D, insert
                         |
                         v
                    frame -> L1 -> L2 -> memory
"""

from typing import Any

from emulator.compiled import Word, call_ctl, compiled, inlined, load_u32
from emulator.mmu.tlb import (
    CODE,
    DATA,
    PARKED,
    WHY_CAPACITY,
    drop,
    drop_parked,
    frame_of,
    insert,
    next_small,
    probe,
    reason,
    touch,
    victim,
)
from emulator.mmu.walk import (
    CR0_PG,
    CR4_PSE,
    RIGHT_BIG,
    RIGHT_DIRTY,
    RIGHT_GLOBAL,
    control,
    set_accessed,
    walk,
)
from emulator.timing.cache import code_access, data_access, table_access
from emulator.timing.causes import DTLB_COLD, ITLB_COLD
from emulator.timing.charge import charge


@compiled
def flush_soft_tlb(s: Any) -> None:
    """Empty Unicorn's own soft TLB, a host-side cache of our translations."""
    call_ctl(s.control_function, s.engine, s.flush_control)
    s.epoch += 1
    s.last_data_line = -1


@compiled
def walk_cycles(s: Any, page: Word, base: Word) -> Word:
    """Cycles of the page-miss handler for `page`, touching the table lines in the caches."""
    at = (control(s, 3) & 0xFFFFF000) + ((page >> 10) << 2)
    cycles = base + table_access(s, at)
    pde = load_u32(s.ram + at)
    if not (pde & 0x80 and control(s, 4) & CR4_PSE):
        cycles += table_access(s, (pde & 0xFFFFF000) + ((page & 0x3FF) << 2))
    return cycles


@compiled
def miss(s: Any, side: Word, page: Word, write: bool) -> Word:
    """A modelled TLB miss: walk, charge, set A and D, insert. The new entry, or -1 if not mapped."""
    translation = walk(s, page)
    if translation < 0:
        return -1
    return miss_walked(s, side, page, write, translation)


@compiled
def miss_walked(s: Any, side: Word, page: Word, write: bool, translation: Word) -> Word:
    """The same after a walk that has found `translation`."""
    big = (translation >> 20) & RIGHT_BIG != 0
    why = reason(s, side, page, translation >> 20)
    s.tlb_misses[side, why] += 1
    if side == DATA:
        charge(s, DTLB_COLD + why, walk_cycles(s, page, s.dtlb_walk_cost))
        if big:
            s.dtlb_misses_4m += 1
        else:
            s.dtlb_misses_4k += 1
    else:
        charge(s, ITLB_COLD + why, walk_cycles(s, page, s.itlb_walk_cost))
        if big:
            s.itlb_misses_4m += 1
        else:
            s.itlb_misses_4k += 1
    set_accessed(s, page, write)
    if write:
        translation |= RIGHT_DIRTY << 20
    if big:
        drop_small(s, side, page)
    if (translation >> 20) & RIGHT_GLOBAL:
        drop_parked(s, side, page, big)
    entry = victim(s, side, page, big)
    evict(s, side, entry)
    insert(s, side, page, entry, translation)
    return entry


@compiled
def drop_small(s: Any, side: Word, page: Word) -> None:
    """A 4 MB entry ends the entries of 4 KB pages inside it, left from before the tables changed.

    Were both kept, which of them translates would be open (SDM vol. 3A 4.10.2: either).
    """
    entry = next_small(s, side, page, 0)
    while entry >= 0:
        evict(s, side, entry)
        drop(s, side, entry, WHY_CAPACITY)
        entry = next_small(s, side, page, entry)


@compiled
def evict(s: Any, side: Word, entry: Word) -> None:
    """Before an entry goes: if the tables have changed since, the soft TLB must forget it too.

    A data entry goes inside a memory hook, where the engine still holds a pointer into its TLB (a flush
    there crashes the host): the flush waits for the next block. A parked entry has nothing there: MOV CR3
    has emptied the soft TLB since it was in use.
    """
    tag = s.tlb_tag[entry]
    if tag < 0 or tag >> PARKED:
        return
    page = tag
    mask = 0xFFFFF
    if s.tlb_rights[entry] & RIGHT_BIG:
        page = (tag & 0x3FF) << 10
        mask = 0xFFC00
    now = walk(s, page)
    unchanged = now >= 0 and (now & mask) == s.tlb_frame[entry]
    # D may have been set meanwhile through another entry: it doesn't change what the soft TLB allows
    if not unchanged or ((now >> 20) ^ s.tlb_rights[entry]) & ~RIGHT_DIRTY:
        if side == CODE:
            flush_soft_tlb(s)
        else:
            s.table_written = 1
        s.evict_flushes += 1
        s.last_code_page = -1
        s.last_data_page = -1
        s.quick_page = -1


@compiled
def data_frame(s: Any, page: Word, write: bool) -> Word:
    """Look `page` up for data, walking if need be; leaves the filter set. The frame, or -1."""
    s.quick_page = -1
    if not control(s, 0) & CR0_PG:
        s.last_data_page = page
        s.last_data_frame = page
        s.last_data_writable = 1
        return page
    entry = probe(s, DATA, page)
    translation: Word = 0
    if entry < 0:
        translation = walk(s, page)
        if translation < 0:
            return -1
    return data_frame_at(s, page, write, entry, translation)


@compiled
def data_frame_at(s: Any, page: Word, write: bool, entry: Word, translation: Word) -> Word:
    """The same with paging on, after the look-up: it found `entry`, or -1 and then a walk `translation`."""
    s.quick_page = -1
    if entry < 0:
        entry = miss_walked(s, DATA, page, write, translation)
    else:
        touch(s, entry)
        if write and not s.tlb_rights[entry] & RIGHT_DIRTY:
            # SDM vol. 3A 3.7.6: the first write through a clean entry walks again to set D
            charge(s, DTLB_COLD + 1, walk_cycles(s, page, s.dtlb_walk_cost))
            if walk(s, page) >= 0:
                set_accessed(s, page, True)
                s.dirty_set += 1
            s.tlb_rights[entry] |= RIGHT_DIRTY
    s.last_data_page = page
    s.last_data_frame = frame_of(s, entry, page)
    s.last_data_writable = s.tlb_rights[entry] & RIGHT_DIRTY
    return s.last_data_frame


@compiled
def access(s: Any, linear: Word, write: bool) -> Word:
    """One data access inside one page, already known to be allowed. Its physical address, or -1."""
    page = linear >> 12
    known = page == s.last_data_page and (not write or s.last_data_writable)
    if not known and data_frame(s, page, write) < 0:
        s.unmapped_model += 1
        return -1
    physical = s.last_data_frame << 12 | (linear & 0xFFF)
    if physical < s.ram_size:
        data_access(s, physical, write)
    return physical


@inlined
def use_code_page(s: Any, page: Word, frame: Word) -> None:
    """Remember the page that was fetched from, and where its blocks are in the block table."""
    s.last_code_page = page
    s.last_code_frame = frame
    if frame << 12 < s.ram_size:
        s.code_table = s.block_table + (frame << 14)
    else:
        s.usual_hflags = -1  # there are no blocks


@compiled
def code_frame(s: Any, page: Word) -> Word:
    """Look `page` up for a fetch, walking if need be; leaves the filter set. The frame, or -1."""
    if not control(s, 0) & CR0_PG:
        use_code_page(s, page, page)
        return page
    entry = probe(s, CODE, page)
    if entry < 0:
        entry = miss(s, CODE, page, False)
        if entry < 0:
            s.last_code_page = -1
            return -1
    else:
        touch(s, entry)
    use_code_page(s, page, frame_of(s, entry, page))
    return s.last_code_frame


@compiled
def fetch_lines(s: Any, first: Word, last: Word) -> None:
    """Bring the code lines of a block in; `first` and `last` are physical addresses in one page.

    A block remembers the `l1i_version` at which all its lines were in, and isn't looked up again until
    a line has been replaced (on_block). So ages are exact between misses only: the order among lines
    used since the last miss is that of their first use.
    """
    for line in range(first >> s.l1i_shift, (last >> s.l1i_shift) + 1):
        code_access(s, line << s.l1i_shift)
