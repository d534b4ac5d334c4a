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

from emulator.compiled import Word, call3, callback, compiled, load_u32
from emulator.jit import carray, types
from emulator.timing.access import code_frame
from emulator.timing.after import block_at
from emulator.timing.charge import select_row
from emulator.timing.hooked import note_hook
from emulator.timing.hooks import NOWHERE, begin, charge_extras, fetch, find_block
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
    begin(s, index, address, np.int64(block.cost256))
    s.piece_count += 1
    if block.more:
        s.piece_next = (address + size) & ALL
    elif (s.piece_edge - address) & ALL < size:
        s.piece_next = NOWHERE  # it ends in the next translation
    fetch(s, block, address, physical, size)
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
