"""The block hook of planned mode, for the usual block; whatever is unusual goes to `hooks.on_block`.

Usual: nothing waits from before, the block is known, lies in one page, begins no REP, is not checked, and its
accesses are a plan of one section. The host's time is mostly spent here, so state and block record are laid
out for it (`state.SCALARS`, `state.BLOCK`), and what is rare is called, not merged in.
"""

from typing import Any, Final

import numpy as np

from emulator.compiled import Word, as_pointer, call3, call4, callback, inlined, load_u32
from emulator.jit import carray, types
from emulator.mmu.tlb import CODE, frame_of, probe, touch
from emulator.mmu.walk import CR0_PG, control
from emulator.timing.access import fetch_lines, use_code_page
from emulator.timing.after import block_at
from emulator.timing.branches import (
    predict,
)
from emulator.timing.causes import COUNT
from emulator.timing.charge import charge_instructions, settle
from emulator.timing.hooks import EFLAGS_IF
from emulator.timing.plan_access import quick
from emulator.timing.plan_entries import DOUBTFUL, FLAG_WRITE, MARKED, PASSED, entry_at, value_of
from emulator.timing.state import STATE_POINTER

ALL: Final = 0xFFFFFFFF


@callback(types.int64(types.int64, types.int64, STATE_POINTER))
def on_fetch(index: Any, physical: Any, state: Any) -> Any:
    """Bring in the code lines of a block that may not all be in."""
    s = carray(state, (1,))[0]
    block = block_at(s, index)
    fetch_lines(s, physical, physical + np.int64(block.size) - 1)
    block.fetched = s.l1i_version
    return 0


@inlined
def run_straight(s: Any, index: Word, first: Word, end: Word) -> None:
    """The accesses of a block that has no others: 32-bit, through flat segments."""
    r = carray(as_pointer(s.at_registers), (9,), dtype=np.int64)
    i = first
    while i < end:
        e = entry_at(s, i)
        linear = value_of(r, e) & ALL
        size = np.int64(e.size)
        write = np.int64(e.flags) & FLAG_WRITE
        if not quick(s, linear, size, write, s.user):
            result = call3(s.access_function, linear, size << 2 | write << 1 | s.user, s.self)
            if result != PASSED:
                if result == DOUBTFUL:
                    call3(s.section_entry, index, 1 << 32 | i, s.self)
                elif result == MARKED:
                    call3(s.section_entry, index, 2 << 32 | i, s.self)
                return
        i += 1


@inlined
def other_page(s: Any, page: Word) -> Any:
    """Fetch from another page than the last block, if the modelled ITLB has it: that is free."""
    entry: Word = -1
    frame = page
    if control(s, 0) & CR0_PG:
        entry = probe(s, CODE, page)
        if entry < 0:
            return False
        frame = frame_of(s, entry, page)
    if frame << 12 >= s.ram_size:
        return False
    if entry >= 0:
        touch(s, entry)
    use_code_page(s, page, frame)
    return True


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_block_planned(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_BLOCK in planned mode."""
    s = carray(state, (1,))[0]
    address = address & ALL
    size = np.int64(size)
    index: Word = 0
    if (
        not s.after | s.rewritten | s.table_written | s.section_next | s.last_rep | (s.piece_next + 1)
        and not (s.interrupt_pending and load_u32(s.at_eflags) & EFLAGS_IF)
        and s.cycles < s.deadline
        and load_u32(s.at_hflags) == s.usual_hflags
        and (address >> 12 == s.last_code_page or other_page(s, address >> 12))
    ):
        index = load_u32(s.code_table + 4 * (address & 0xFFF))
    block = block_at(s, index)
    if block.size != size or s.watch & block.needs:
        call4(s.block_function, engine, address, size, s.self)
        return
    kind = s.last_branch
    if kind:
        predict(s, kind, address)
    row = np.int64(block.symbol) * (4 * COUNT) + s.ring_row
    if row != s.row:
        settle(s)
        s.row = row
    charge_instructions(s, np.int64(block.cost256))
    s.instructions += block.count
    s.blocks += 1
    s.last_block = index
    s.last_address = address
    s.last_branch = block.branch
    if block.fetched != s.l1i_version:
        call3(s.fetch_function, index, s.last_code_frame << 12 | (address & 0xFFF), s.self)
    entries = np.int64(block.entries)
    if entries > 0:
        first = np.int64(block.entry)
        run_straight(s, index, first, first + entries)
    elif entries:
        call3(s.section_entry, index, 0, s.self)
