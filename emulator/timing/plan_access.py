"""One access of an access plan: its rights, the model, and what it may disturb.

quick      to a page that is in the TLB with all rights, in one line: nearly all
modelled   any other; it may find that it will not happen, or that what follows must wait
"""

from typing import Any

import numpy as np

from emulator.compiled import (
    Word,
    call3,
    callback,
    compiled,
    inlined,
    load_i64,
    load_u8,
    load_u32,
    store_i64,
)
from emulator.jit import carray, types
from emulator.mmu.tlb import AGE_SHIFT, ARRAY_SIZE, DATA, frame_of, probe
from emulator.mmu.walk import (
    CR0_PG,
    RIGHT_USER,
    RIGHT_WRITE,
    control,
    permitted,
    table_frame,
    walk,
)
from emulator.timing.access import data_frame, data_frame_at, flush_soft_tlb
from emulator.timing.after import in_last_block
from emulator.timing.cache import data_access
from emulator.timing.causes import DEVICE
from emulator.timing.charge import charge
from emulator.timing.crossing import crossing
from emulator.timing.fill import fetched_alike, translation
from emulator.timing.plan_entries import ALL, DOUBTFUL, MARKED, PASSED, REFUSED, WRITTEN
from emulator.timing.state import QUICK_PAGES, STATE_POINTER


@inlined
def look_at_frame(s: Any, physical: Word, size: Word, write: bool) -> Word:
    """Frames that hold code or page tables need more than the model."""
    frame = physical >> 12
    if load_u8(s.code_frames + frame):
        s.last_data_writable = 0  # every store to it must come here
        if write and not s.rewritten and in_last_block(s, physical, physical + size - 1):
            s.rewritten = 1
            return REFUSED  # the engine begins again with this store
    if table_frame(s, frame):
        if write:
            s.table_written = 1
        return DOUBTFUL
    return PASSED


@compiled
def apart_from_code(s: Any, page: Word, found: Word, user: bool) -> Any:
    """Is this a frame of code, in a page that may not be granted as one (`fill.grant_data`)?"""
    frame = found & 0xFFFFF
    if frame << 12 >= s.ram_size or not load_u8(s.code_frames + frame):
        return False
    return not fetched_alike(s, page, frame, user)


@compiled
def modelled(s: Any, linear: Word, size: Word, write: bool, user: bool) -> Word:
    """One access: check its rights, count it, and drive the model. Its physical address is `planned_at`."""
    page = linear >> 12
    entry: Word = -1
    paging = control(s, 0) & CR0_PG
    if not paging:
        found = page | (RIGHT_WRITE | RIGHT_USER) << 20
    else:
        entry = probe(s, DATA, page)
        if entry >= 0:
            found = frame_of(s, entry, page) | s.tlb_rights[entry] << 20
        else:
            found = walk(s, page)
            if s.marked:
                return MARKED
    if found < 0 or not permitted(s, found >> 20, write, user):
        return REFUSED
    last = (linear + size - 1) & ALL
    physical = (found & 0xFFFFF) << 12 | (linear & 0xFFF)
    s.planned_at = physical
    apart = write and apart_from_code(s, page, found, user)
    if last >> 12 != page:
        second = translation(s, DATA, last >> 12)
        if s.marked:
            return MARKED
        if second < 0 or not permitted(s, second >> 20, write, user):
            return REFUSED
        s.planned_at = -1
        apart = apart or (write and apart_from_code(s, last >> 12, second, user))
    if s.marked:
        return MARKED
    if apart:
        flush_soft_tlb(s)  # the engine looks for code at the first store after a fill only
    if write:
        s.writes += 1
    else:
        s.reads += 1
    if physical >= s.ram_size:
        s.outside_ram += 1
        charge(s, DEVICE, s.uncached_cost)
        return DOUBTFUL
    if last >> 12 != page:
        crossing(s, linear, write)
        return DOUBTFUL if s.table_written or apart else PASSED
    if page != s.last_data_page or (write and not s.last_data_writable):
        if paging:
            data_frame_at(s, page, write, entry, found)
        else:
            data_frame(s, page, write)
    data_access(s, physical, write)
    if (physical + size - 1) >> s.l1d_shift != physical >> s.l1d_shift:
        data_access(s, physical + size - 1, write)
    if not permitted(s, found >> 20, True, user):
        s.last_data_writable = 0
    if load_u8(s.special_frames + (physical >> 12)):
        result = look_at_frame(s, physical, size, write)
        return DOUBTFUL if result == PASSED and apart else result
    s.quick_page = page
    s.quick_base = physical & ~0xFFF
    s.quick_write = s.last_data_writable
    return PASSED


@callback(types.int64(types.int64, types.int64, STATE_POINTER))
def on_access(linear: Any, how: Any, state: Any) -> Any:
    """`modelled`, for compiled callers: it is large. how = size << 2 | write << 1 | user."""
    s = carray(state, (1,))[0]
    return modelled(s, linear, how >> 2, how & 2 != 0, how & 1 != 0)


@compiled
def touch(s: Any, linear: Word, size: Word, write: Word, user: Word) -> Word:
    """One access, whichever tables it reads: PASSED, DOUBTFUL or REFUSED."""
    result = MARKED
    while result == MARKED:
        s.marked = 0
        result = call3(s.access_function, linear & ALL, size << 2 | write << 1 | user, s.self)
    return result


@callback(types.int64(types.int64, types.int64, STATE_POINTER))
def on_line(physical: Any, write: Any, state: Any) -> Any:
    """An access to a line that isn't at the front of its set."""
    s = carray(state, (1,))[0]
    data_access(s, physical, write != 0)
    return 0


@compiled
def find_page(s: Any, page: Word, user: bool) -> Any:
    """Remember a page for `select_page`, if its entry allows it with nothing left to note.

    Not if its frame is special: what is stored there must be looked at.
    """
    frame, rights, entry = page, RIGHT_USER | WRITTEN, -1
    if control(s, 0) & CR0_PG:
        entry = probe(s, DATA, page)
        if entry < 0:
            return False
        frame, rights = frame_of(s, entry, page), s.tlb_rights[entry]
        if s.tlb_fifo[entry // ARRAY_SIZE]:
            entry = -1
    if (user and not rights & RIGHT_USER) or frame << 12 >= s.ram_size:
        return False
    if load_u8(s.special_frames + frame):
        return False
    at = s.quick_at + 32 * (page & (QUICK_PAGES - 1))
    store_i64(at, s.quick_generation + page)
    store_i64(at + 8, frame << 12)
    store_i64(at + 16, 1 if rights & WRITTEN == WRITTEN else 0)
    store_i64(at + 24, entry)
    return True


@inlined
def select_page(s: Any, page: Word, user: bool) -> Any:
    """Go over to another page, which becomes the youngest. False: only `modelled` can do that."""
    at = s.quick_at + 32 * (page & (QUICK_PAGES - 1))
    if load_i64(at) != s.quick_generation + page and not find_page(s, page, user):
        return False
    entry = load_i64(at + 24)
    if entry >= 0:
        s.tick += 1
        store_i64(s.tlb_age_at + 8 * entry, s.tick << AGE_SHIFT | entry)
    s.last_data_page = -1
    s.quick_page = page
    s.quick_base = load_i64(at + 8)
    s.quick_write = load_i64(at + 16)
    return True


@inlined
def quick(s: Any, linear: Word, size: Word, write: Word, user: bool) -> Any:
    """An access as most are: to a page that is in the TLB with all rights, in one line. False: not done.

    A line at the front of its set is the youngest already.
    """
    page = linear >> 12
    if page != s.quick_page and not select_page(s, page, user):
        return False
    if write and not s.quick_write:
        return False
    physical = s.quick_base | (linear & 0xFFF)
    line = physical >> s.l1d_shift
    if (physical + size - 1) >> s.l1d_shift != line:
        return False
    if load_u32(s.l1d_at + (line & (s.l1d_sets - 1)) * s.l1d_stride) == line:
        s.store_line = -1
    else:
        call3(s.line_function, physical, write, s.self)
    if write:
        s.writes += 1
    else:
        s.reads += 1
    return True


@compiled
def peek(s: Any, linear: Word, size: Word) -> Word:
    """Bytes at a linear address, or -1: no rights are checked and nothing is charged."""
    value = 0
    found = translation(s, DATA, linear >> 12)
    if found < 0:
        return -1
    physical = (found & 0xFFFFF) << 12 | (linear & 0xFFF)
    if (linear & 0xFFF) + size <= 4096:
        if physical + size > s.ram_size:
            return -1
        if size == 4:
            return load_u32(s.ram + physical)
    for i in range(size):
        at = (linear + i) & ALL
        found = translation(s, DATA, at >> 12)
        physical = (found & 0xFFFFF) << 12 | (at & 0xFFF)
        if found < 0 or physical >= s.ram_size:
            return -1
        value |= load_u8(s.ram + physical) << (8 * i)
    return value


@inlined
def among(s: Any, physical: Word, size: Word, count: Word) -> Any:
    """Do the section's first `count` stores touch these bytes of one page?"""
    for i in range(count):
        at = s.store_at[np.uint64(i)]
        if at < 0 or (physical < at + s.store_size[np.uint64(i)] and at < physical + size):
            return True
    return False


@compiled
def stored(s: Any, linear: Word, size: Word, count: Word) -> Any:
    """Has one of the section's first `count` stores touched these bytes?"""
    found = translation(s, DATA, linear >> 12)
    physical = (found & 0xFFFFF) << 12 | (linear & 0xFFF)
    return (linear & 0xFFF) + size > 4096 or among(s, physical, size, count)
