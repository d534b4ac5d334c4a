"""The block hook of a machine without a model, for speed: see `hooks.on_block` for the other."""

from typing import Any

import numpy as np

from emulator.compiled import callback
from emulator.jit import carray, types
from emulator.mmu.walk import CR0_PG, control, walk
from emulator.timing.after import after_effect, block_at
from emulator.timing.hooks import find_block, must_stop
from emulator.timing.modes import NEEDS, enter_block, evaluate
from emulator.timing.state import STATE_POINTER


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_block_plain(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_BLOCK with all accounting off: time is one cycle an instruction, nothing is modelled."""
    s = carray(state, (1,))[0]
    if s.after:
        after_effect(s)
        if evaluate(s):
            return
    if s.table_written:
        s.table_written = 0
    if must_stop(s):
        return
    address = address & 0xFFFFFFFF
    page = address >> 12
    frame = page
    if control(s, 0) & CR0_PG:
        frame = walk(s, page)
        if frame < 0:
            return
        frame &= 0xFFFFF
    physical = frame << 12 | (address & 0xFFF)
    if physical >= s.ram_size:
        return
    index = find_block(s, address, physical, np.int64(size))
    if index <= 0:
        return
    block = block_at(s, index)
    if s.watch & block.needs & NEEDS and enter_block(s, block, index):
        return
    s.after = block.after
    s.blocks += 1
    s.instructions += block.count
    s.cycles += block.count
    s.last_block = index
    s.last_address = address
