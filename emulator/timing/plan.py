"""Access plans, evaluated: the accesses of a block, from the registers at its entry, drive the model.

    block --> section 0 | section 1 ...      a section begins where the registers must be looked at again
    section --> entries, in program order    one access, or a value that a later address needs

    offset of an access = register1 * factor1 + register2 * factor2 + displacement

A plan stops before the first access that will fault: so exactly what happens is charged. It stops, too,
where the rest depends on what the block itself is about to do (a store to a page table, a device's
register, a load from where the block has just stored): then the block gets another section there.
"""

from typing import Any

import numpy as np

from emulator.compiled import (
    Word,
    as_pointer,
    call3,
    callback,
    compiled,
    inlined,
    load_i64,
    load_u32,
)
from emulator.jit import carray, types
from emulator.mmu.tlb import DATA, forget_quick_pages
from emulator.mmu.walk import (
    control,
)
from emulator.timing.after import block_at
from emulator.timing.fill import translation
from emulator.timing.hooked import note_hook
from emulator.timing.plan_access import among, peek, quick, stored, touch
from emulator.timing.plan_entries import (
    ALL,
    AT_STEP,
    DONE,
    DOUBTFUL,
    ENTRY_ACCESS,
    ENTRY_ALIGNED,
    ENTRY_DESCRIPTOR,
    ENTRY_FAR,
    ENTRY_LOAD,
    ENTRY_NOT_ZERO,
    ENTRY_OPAQUE,
    ENTRY_OPERATE,
    ENTRY_STEP,
    ENTRY_SUM,
    FLAG_SIGNED,
    FLAG_WRITE,
    IMMEDIATE,
    MARKED,
    REFUSED,
    SPLIT,
    STOPPED,
    TEMPORARIES,
    ZERO,
    allowed,
    entry_at,
    linear_of,
    operate,
    section_at,
    value_of,
)
from emulator.timing.state import STATE_POINTER


@compiled
def instruction_end(s: Any, at: Word, end: Word) -> Word:
    """The entries behind the instruction of an entry must wait: their number, and where the split is."""
    index = np.int64(entry_at(s, at).index)
    for i in range(at + 1, end):
        if np.int64(entry_at(s, i).index) != index:
            s.split_wanted = index + 1
            return i
    return end


@compiled
def overlaps(s: Any, at: Word, linear: Word, size: Word) -> Any:
    """Is the table entry at physical address `at` among these bytes?"""
    found = translation(s, DATA, linear >> 12)
    if found < 0:
        return False
    physical = (found & 0xFFFFF) << 12 | (linear & 0xFFF)
    return physical < at + 4 and at < physical + size


@compiled
def tables_of_own(s: Any, r: Any, first: Word, now: Word, page: Word) -> Any:
    """Has an earlier instruction of the section accessed the entries that map `page`?"""
    hflags = load_u32(s.at_hflags)
    directory = (control(s, 3) & 0xFFFFF000) + ((page >> 10) << 2)
    table: Word = directory
    if directory < s.ram_size:
        table = (load_u32(s.ram + directory) & 0xFFFFF000) + ((page & 0x3FF) << 2)
    index = np.int64(entry_at(s, now).index)
    for i in range(first, now):
        e = entry_at(s, i)
        if np.int64(e.kind) != ENTRY_ACCESS or np.int64(e.index) == index:
            continue
        linear = linear_of(s, r, e, hflags)
        size = np.int64(e.size)
        if overlaps(s, directory, linear, size) or overlaps(s, table, linear, size):
            return True
    return False


@compiled
def after_mark(s: Any, r: Any, first: Word, now: Word, linear: Word, user: bool) -> Word:
    """An access reads a page table for the first time since the soft TLB was flushed.

    If the block has accessed that entry just before, what it has stored isn't there yet, or what it is about
    to load would have A and D set too early: the access waits (MARKED). Otherwise it is done.
    """
    e = entry_at(s, now)
    index = np.int64(e.index)
    size = np.int64(e.size)
    begun = False
    for i in range(first, now):
        earlier = entry_at(s, i)
        begun |= np.int64(earlier.kind) == ENTRY_ACCESS and np.int64(earlier.index) == index
    last = (linear + size - 1) & ALL
    if not begun and (
        tables_of_own(s, r, first, now, linear >> 12) or tables_of_own(s, r, first, now, last >> 12)
    ):
        s.marked = 0
        s.split_wanted = index
        return MARKED
    write = np.int64(e.flags) & FLAG_WRITE
    return touch(s, linear, size, write, 1 if user else 0)


@inlined
def careful(s: Any, r: Any, first: Word, now: Word, linear: Word, how: Word) -> Word:
    """Entry `now` of a section from `first` on, an access that isn't quick. `how`: see `on_access`."""
    result = call3(s.access_function, linear, how, s.self)
    if result == MARKED:
        result = after_mark(s, r, first, now, linear, how & 1 != 0)
    return result


@compiled
def run_plain(s: Any, first: Word, begin: Word, end: Word, doubtful: bool) -> Word:
    """Evaluate entries that need no values but those of entry registers; DONE, STOPPED or SPLIT.

    The section's are `first` to `end`, those from `begin` on are left. `doubtful`: that one has been
    evaluated, and what is behind its instruction must wait.
    """
    r = carray(as_pointer(s.at_registers), (9,), dtype=np.int64)
    hflags = load_u32(s.at_hflags)
    user = hflags & 3 == 3
    whole = end
    i = begin
    if doubtful:
        end = instruction_end(s, i, end)
        i += 1
    while i < end:
        e = entry_at(s, i)
        kind = np.int64(e.kind)
        i += 1
        if kind != ENTRY_ACCESS:
            if kind == ENTRY_NOT_ZERO:
                if value_of(r, e) & ALL == 0:
                    return STOPPED
            elif not allowed(s, kind):
                return STOPPED
            continue
        linear = linear_of(s, r, e, hflags)
        size = np.int64(e.size)
        write = np.int64(e.flags) & FLAG_WRITE
        if not quick(s, linear, size, write, user):
            result = careful(s, r, first, i - 1, linear, size << 2 | write << 1 | (1 if user else 0))
            if result == REFUSED:
                return STOPPED
            if result == MARKED:
                return SPLIT
            if result == DOUBTFUL:
                end = instruction_end(s, i - 1, end)
    return DONE if end == whole else SPLIT


@compiled
def run_sliced(s: Any, first: Word, count: Word) -> Word:
    """Evaluate any section."""
    r = carray(as_pointer(s.temporaries_at), (TEMPORARIES,), dtype=np.int64)
    for n in range(8):
        r[n] = load_u32(s.at_registers + 8 * n)
    r[ZERO] = 0
    hflags = load_u32(s.at_hflags)
    user = hflags & 3 == 3
    stores: Word = 0
    end = first + count
    i = first
    while i < end:
        e = entry_at(s, i)
        i += 1
        kind = np.int64(e.kind)
        size = np.int64(e.size)
        flags = np.int64(e.flags)
        if kind == ENTRY_ACCESS:
            linear = linear_of(s, r, e, hflags)
            write = flags & FLAG_WRITE
            if quick(s, linear, size, write, user):
                s.planned_at = s.quick_base | (linear & 0xFFF)
            else:
                result = careful(s, r, first, i - 1, linear, size << 2 | write << 1 | (1 if user else 0))
                if result == REFUSED:
                    return STOPPED
                if result == MARKED:
                    return SPLIT
                if result == DOUBTFUL:
                    end = instruction_end(s, i - 1, end)
            if write:
                s.store_at[np.uint64(stores)] = s.planned_at
                s.store_size[np.uint64(stores)] = size
                stores += 1
        elif kind == ENTRY_LOAD:
            linear = linear_of(s, r, e, hflags)
            value: Word = -1
            if linear >> 12 == s.quick_page and linear & 0xFFF <= 4096 - 4:
                at = s.quick_base | (linear & 0xFFF)  # its access has just been here
                if not among(s, at, size, np.int64(e.stores)):
                    value = load_u32(s.ram + at) & (ALL >> (32 - 8 * size))
            elif e.stores == 0 or not stored(s, linear, size, np.int64(e.stores)):
                value = peek(s, linear, size)
            if value < 0:
                s.split_wanted = np.int64(e.index)
                return SPLIT
            if flags & FLAG_SIGNED:
                value = operate(7 if size == 1 else 8, value, 0)
            r[np.uint64(e.result)] = value
        elif kind == ENTRY_SUM:
            r[np.uint64(e.result)] = value_of(r, e) & ALL
        elif kind == ENTRY_OPERATE:
            right = np.int64(e.displacement) & ALL if e.second == IMMEDIATE else r[np.uint64(e.second)]
            r[np.uint64(e.result)] = operate(size, r[np.uint64(e.first)], right)
        elif kind == ENTRY_STEP:
            r[np.uint64(e.result)] = (load_u32(s.at_registers + AT_STEP) ^ 0x80000000) - 0x80000000
        elif kind == ENTRY_NOT_ZERO:
            if value_of(r, e) & ALL == 0:
                return STOPPED
        elif ENTRY_DESCRIPTOR <= kind <= ENTRY_FAR:
            result = call3(s.system_function, i - 1, value_of(r, e), s.self)
            if result == REFUSED:
                return STOPPED
            if result == MARKED:
                return SPLIT
        elif kind == ENTRY_ALIGNED:
            segment = np.int64(e.result)
            base = load_i64(s.at_segments + 24 * segment + 8)
            if (value_of(r, e) + base) & (size - 1):
                return STOPPED
        elif kind == ENTRY_OPAQUE:
            s.opaque_accesses += 1
        elif not allowed(s, kind):
            return STOPPED
    return DONE if end == first + count else SPLIT


@inlined
def enter_ring(s: Any, ring: Word) -> None:
    """What was allowed to another ring is looked up anew."""
    if ring != s.planned_ring:
        s.planned_ring = ring
        s.last_data_page = -1
        forget_quick_pages(s)


@compiled
def evaluate_section(s: Any, number: Word) -> Word:
    """DONE, STOPPED or SPLIT."""
    section = section_at(s, number)
    enter_ring(s, load_u32(s.at_hflags) & 3)
    first, count = np.int64(section.first), np.int64(section.count)
    if section.sliced:
        return run_sliced(s, first, count)
    return run_plain(s, first, first, first + count, False)


@compiled
def go_on(s: Any, block: Any, index: Word, number: Word, result: Word) -> None:
    """What is left of the block behind section `number` waits in `section_next`."""
    s.section_next = 0
    if result == DONE:
        if number + 1 < np.int64(block.sections):
            s.section_next = number + 1
    elif result == SPLIT:
        call3(s.split_function, index, s.split_wanted, number)


@callback(types.int64(types.int64, types.int64, STATE_POINTER))
def section_entry(index: Any, number: Any, state: Any) -> Any:
    """Run section `number` of the running block, or (-1) that of one instruction, section `index`.

    From 2^32 on `number` is an entry of the block's only section: 1 << 32, it has been evaluated and was
    doubtful; 2 << 32, it hasn't.
    """
    s = carray(state, (1,))[0]
    if number < 0:
        if evaluate_section(s, index) == SPLIT:
            s.opaque_accesses += 1
        return 0
    block = block_at(s, index)
    if number >> 32:
        first = np.int64(block.entry)
        end = first + np.int64(block.entries)
        go_on(s, block, index, 0, run_plain(s, first, number & ALL, end, number >> 32 == 1))
    else:
        go_on(s, block, index, number, evaluate_section(s, np.int64(block.section) + number))
    return 0


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_section(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE where a section begins."""
    s = carray(state, (1,))[0]
    note_hook(s, address & ALL)
    number = s.section_next
    if number == 0:
        return
    section = np.int64(block_at(s, s.last_block).section) + number
    if (address - s.last_address) & ALL == np.int64(section_at(s, section).offset):
        call3(s.section_entry, s.last_block, number, s.self)
