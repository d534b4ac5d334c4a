"""16-byte operands of SSE instructions must be aligned: #GP(0) if they aren't, which Unicorn doesn't check.

An address hook on each such instruction, compiled: it works the address out from the instruction's plan.
#UD and #NM come first (SDM vol. 3A, table 6-2), and the engine raises those itself.
"""

from typing import Any, Final

import numpy as np

from emulator.compiled import as_pointer, call3, callback, load_i64, load_u32
from emulator.jit import carray, types
from emulator.mmu.walk import control
from emulator.timing.after import block_at
from emulator.timing.checks import ALIGNED_16, GP, access_offset, fail
from emulator.timing.hooked import note_hook
from emulator.timing.modes import ALL, CS
from emulator.timing.state import ACCESS, PLAN, STATE_POINTER

CR0_EM_TS: Final = 1 << 2 | 1 << 3
CR4_OSFXSR: Final = 1 << 9


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_aligned(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE on an instruction with an aligned 16-byte operand."""
    s = carray(state, (1,))[0]
    address = address & ALL
    note_hook(s, address)
    if control(s, 0) & CR0_EM_TS or not control(s, 4) & CR4_OSFXSR or not s.last_block:
        return
    if (load_u32(s.at_eip) + load_i64(s.at_segments + 24 * CS + 8)) & ALL != address:
        return  # checked execution has delivered a fault of this instruction
    block = block_at(s, s.last_block)
    if block.plan < 0:
        call3(s.plan_function, s.last_block, 0, 0)
    plans = carray(as_pointer(s.plans), (1 << 22,), dtype=PLAN)
    accesses = carray(as_pointer(s.accesses), (1 << 22,), dtype=ACCESS)
    offset = (address - s.last_address) & ALL
    for at in range(block.plan, block.plan + block.plans):
        plan = plans[at]
        if plan.offset != offset:
            continue
        for i in range(plan.first, plan.first + plan.count):
            if not accesses[i].flags & ALIGNED_16:
                continue
            base = load_i64(s.at_segments + 24 * np.int64(accesses[i].segment) + 8)
            if (base + access_offset(s, accesses[i])) & 15:
                fail(s, address, GP, 0)
            return
        return
