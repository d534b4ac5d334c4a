"""Long blocks: charged in pieces whose ends depend on the code alone.

The engine ends a translation where its buffer is full, and what else is in the buffer (memory hooks, address
hooks) is no property of the guest. So the model divides straight-line code anew:

    engine   |---------------- translation ----------------|------- translation -------|
    model    |--- 128 instructions ---|--- 128 instructions ---|--- ... up to the branch ---|
             on_block                 on_piece (an address hook)   on_piece

The block hook of a translation that begins inside a piece charges nothing. Interrupts and the deadline wait
for the end of the straight-line code, at which every translation ends; after eight thousand instructions they
take the next end of a translation.
"""

from typing import Any, Final

import numpy as np

from emulator.compiled import Word, call3, callback, compiled, load_u32, store_u8
from emulator.jit import carray, types
from emulator.timing.access import code_frame, fetch_lines
from emulator.timing.after import block_at
from emulator.timing.charge import charge_instructions, select_row
from emulator.timing.hooked import note_hook
from emulator.timing.hooks import NOWHERE, charge_extras, find_block
from emulator.timing.state import STATE_POINTER

ALL: Final = 0xFFFFFFFF
PIECE: Final = -1  # instead of a size: the piece that begins there


@compiled
def charge_piece(s: Any, index: Word, address: Word, physical: Word) -> None:
    """What on_block does for a block, without what may not happen in the middle of a translation."""
    block = block_at(s, index)
    size = np.int64(block.piece)
    if s.checks:
        if block.plan < 0:
            call3(s.plan_function, index, 0, 0)
        s.plan_next = block.plan
    select_row(s, np.int64(block.symbol), load_u32(s.at_hflags) & 3)
    s.instructions += block.count
    if block.extras:
        charge_extras(s, np.int64(block.extra), np.int64(block.extras))
    charge_instructions(s, np.int64(block.cost256))
    s.last_cost256 = block.cost256
    s.blocks += 1
    s.piece_count += 1
    s.after = block.after
    if s.at_skip_sync:
        store_u8(s.at_skip_sync, 0 if block.sync else 1)
    s.last_block = index
    s.last_address = address
    s.last_branch = block.branch
    s.last_rep = address + block.rep_offset + 1 if block.rep_offset >= 0 else 0
    if block.more:
        s.piece_next = (address + size) & ALL
    elif (s.piece_edge - address) & ALL < size:
        s.piece_next = NOWHERE  # it ends in the next translation
    in_page = 4096 - (address & 0xFFF)
    if size <= in_page:
        if block.fetched != s.l1i_version:
            fetch_lines(s, physical, physical + size - 1)
            block.fetched = s.l1i_version
    else:
        fetch_lines(s, physical, physical + in_page - 1)
        frame = code_frame(s, ((address + in_page) & ALL) >> 12)
        if frame >= 0:
            fetch_lines(s, frame << 12, (frame << 12) + size - in_page - 1)
    if block.sections and not s.checks:
        call3(s.section_entry, index, 0, s.self)


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_piece(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE where a piece of a long block begins, but for the first."""
    s = carray(state, (1,))[0]
    address = address & ALL
    note_hook(s, address)
    if address != s.piece_next:
        return
    s.piece_next = -1
    page = address >> 12
    frame = s.last_code_frame
    if page != s.last_code_page:
        frame = code_frame(s, page)
    physical = frame << 12 | (address & 0xFFF)
    if frame < 0 or physical >= s.ram_size:
        return
    index = find_block(s, address, physical, PIECE)
    if index > 0:
        charge_piece(s, index, address, physical)
