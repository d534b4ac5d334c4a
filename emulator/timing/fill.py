"""The soft-TLB fill: how Unicorn asks our MMU for a translation (UC_HOOK_TLB_FILL).

Unicorn's soft TLB is only a host-side cache whose size depends on the host, so a fill must not
change the guest's state or its statistics. It translates as the machine would at this moment:

    modelled TLB entry?  --yes-->  its frame and rights (a stale entry counts; too few rights: #PF)
            | no
            v
    page walk, without A/D bits  -->  frame and rights, or #PF

Two rules keep the soft TLB honest:
* one live alias per frame in reference mode: memory hooks report physical addresses, `reverse_map` leads
  back; plans have linear addresses and need no such rule;
* a frame is writable or executable, never both, unless it has held code before (then stores take
  Unicorn's slow path, which finds self-modified code under any alias). Where a stale TLB entry forbids that,
  memory hooks keep the slow path, and planned mode flushes before each such store (`plan.modelled`).
"""

from typing import Any, Final

import numpy as np

from emulator.compiled import (
    Word,
    call3,
    callback,
    compiled,
    load_i64,
    load_u8,
    load_u32,
    store_i64,
    store_u8,
)
from emulator.jit import carray, from_dtype, types
from emulator.mmu.tlb import CODE, DATA, WHY_CAPACITY, drop, forget_quick_pages, frame_of, probe
from emulator.mmu.walk import (
    CR0_PG,
    CR0_WP,
    RIGHT_DIRTY,
    RIGHT_USER,
    RIGHT_WRITE,
    control,
    permitted,
    set_accessed,
    walk,
)
from emulator.timing.access import evict, flush_soft_tlb
from emulator.timing.after import AFTER_SEGMENT, after_effect
from emulator.timing.state import FETCH, STATE_POINTER, WRITE

FILL: Final = np.dtype([("physical", "i8"), ("permissions", "i4"), ("padding", "i4")])
FILL_POINTER: Final = types.CPointer(from_dtype(FILL))
PERMIT_READ: Final = 1
PERMIT_WRITE: Final = 2
PERMIT_EXECUTE: Final = 4

FIRST_GROWTH: Final = 1024  # fills
LAST_GROWTH: Final = 1 << 16

FAULT_PAGE: Final = 1
FAULT_UNMAPPED_FETCH: Final = 2

ERROR_PRESENT: Final = 1
ERROR_WRITE: Final = 2
ERROR_USER: Final = 4


@compiled
def translation(s: Any, side: Word, page: Word) -> Word:
    """Frame and rights as the machine would use them now: the TLB's entry, else the tables'."""
    if not control(s, 0) & CR0_PG:
        return page | (RIGHT_WRITE | RIGHT_USER) << 20
    if s.accounting:
        entry = probe(s, side, page)
        if entry >= 0:
            return frame_of(s, entry, page) | s.tlb_rights[entry] << 20
    return walk(s, page)


@compiled
def refuse(s: Any, side: Word, page: Word, kind: Word, error: Word) -> Any:
    """Record a page fault for the run loop. The fault drops the entry that caused it (SDM 3A 4.10.4.1)."""
    s.fault = FAULT_PAGE
    s.fault_error = error
    s.fault_kind = kind
    if s.accounting and control(s, 0) & CR0_PG:
        entry = probe(s, side, page)
        if entry >= 0:
            evict(s, side, entry)  # the other ring may hold the same stale translation in the soft TLB
            drop(s, side, entry, WHY_CAPACITY)
            if side == DATA:
                s.last_data_page = -1
                s.quick_page = -1
                s.last_data_line = -1
            else:
                s.last_code_page = -1
    return False


@compiled
def implicit_supervisor(s: Any, page: Word, kind: Word) -> Any:
    """At CPL 3 the processor itself reads descriptors as a supervisor. Ask Python, which decodes at EIP."""
    linear = page << 12
    for table in range(3):
        at = s.at_gdt if table == 0 else (s.at_ldt if table == 1 else s.at_tr)
        base = load_i64(at + 8)
        limit = load_u32(at + 16)
        if linear + 0xFFF >= base and linear <= base + limit:
            return call3(s.implicit_function, linear, kind, 0) != 0
    return False


@compiled
def grant_code(s: Any, frame: Word) -> Word:
    """Permissions for a fetch fill: execute only; a live writable entry of the frame is flushed first."""
    if frame << 12 < s.ram_size:
        if load_i64(s.write_epochs + 8 * frame) == s.epoch:
            flush_soft_tlb(s)
            s.write_execute_flushes += 1
        store_u8(s.code_frames + frame, 1)
        store_u8(s.special_frames + frame, 1)
        forget_quick_pages(s)
    return PERMIT_EXECUTE


@compiled
def fetched_alike(s: Any, page: Word, frame: Word, user: bool) -> Any:
    """Would a fetch from `page` read the same frame? Either TLB may have a stale entry."""
    fetched = translation(s, CODE, page)
    return fetched >= 0 and fetched & 0xFFFFF == frame and permitted(s, fetched >> 20, False, user)


@compiled
def grant_data(s: Any, page: Word, frame: Word, writable: bool, user: bool) -> Word:
    """Permissions for a data fill, keeping one alias per frame and write-xor-execute."""
    permissions = PERMIT_READ | (PERMIT_WRITE if writable else 0)
    if frame << 12 >= s.ram_size:
        return permissions
    if not s.planned:
        at = s.reverse_map + 8 * frame
        known = load_i64(at)
        if known >> 20 == s.epoch and known & 0xFFFFF != page:
            flush_soft_tlb(s)
            s.alias_flushes += 1
        store_i64(at, s.epoch << 20 | page)
    if load_u8(s.code_frames + frame):
        if fetched_alike(s, page, frame, user):
            permissions |= PERMIT_EXECUTE
    elif writable:
        store_i64(s.write_epochs + 8 * frame, s.epoch)
    return permissions


@compiled
def grow_soft_tlb(s: Any) -> None:
    """Flush the soft TLB for its own good: Unicorn doubles its 256 entries only when it is emptied.

    A guest that seldom flushes would have a fill at most accesses to more pages than that.
    """
    if s.growth:  # not at the first fill
        flush_soft_tlb(s)
        s.growth_flushes += 1
    s.growth = min(max(2 * s.growth, FIRST_GROWTH), LAST_GROWTH)
    s.fills_left = s.growth


@callback(types.boolean(types.int64, types.int64, types.int32, FILL_POINTER, STATE_POINTER))
def on_fill(engine: Any, address: Any, kind: Any, result: Any, state: Any) -> Any:
    """UC_HOOK_TLB_FILL: translate the page of `address` for `kind`, or record a page fault."""
    s = carray(state, (1,))[0]
    out = carray(result, (1,))[0]
    s.fills += 1
    s.fills_left -= 1
    if s.fills_left < 0:
        grow_soft_tlb(s)
    if kind == FETCH and s.after and not s.rewritten and s.resume < 0:
        after_effect(s)
        s.after = AFTER_SEGMENT  # the fetch belongs to the next block: MOV CR3 and INVLPG come first
    page = (address & 0xFFFFFFFF) >> 12
    side = CODE if kind == FETCH else DATA
    write = kind == WRITE
    user = load_u32(s.at_hflags) & 3 == 3
    found = translation(s, side, page)
    error = (ERROR_WRITE if write else 0) | (ERROR_USER if user else 0)
    if found < 0:
        return refuse(s, side, page, kind, error)
    rights = found >> 20
    if user and not rights & RIGHT_USER and kind != FETCH and implicit_supervisor(s, page, kind):
        user = False
    if not permitted(s, rights, write, user):
        return refuse(s, side, page, kind, error | ERROR_PRESENT)
    if not s.accounting and control(s, 0) & CR0_PG:
        set_accessed(s, page, write)  # no modelled access will do it
    frame = found & 0xFFFFF
    if kind == FETCH and frame << 12 >= s.ram_size:
        s.fault = FAULT_UNMAPPED_FETCH
        return False
    out.physical = frame << 12
    if kind == FETCH:
        out.permissions = grant_code(s, frame)
    else:
        writable = rights & RIGHT_WRITE != 0 or (not user and not control(s, 0) & CR0_WP)
        if not s.accounting:
            writable = write or (writable and rights & RIGHT_DIRTY != 0)
        out.permissions = grant_data(s, page, frame, writable, user)
    if control(s, 0) & CR0_PG:
        walk(s, page)  # marks the tables in the epoch of the new entry, which a flush above may have begun
    return True
