"""RDTSC from modelled time, with a snapshot of the ledger at each reading if the host asks for one.

The difference of two snapshots explains, cause by cause, the time between two RDTSCs of the guest:
that is how a benchmark's ledger adds up to the cycle with no help from the guest.
"""

from typing import Any

import numpy as np
from numba import carray, types

from emulator.compiled import Word, as_pointer, callback, compiled
from emulator.timing.causes import COUNT
from emulator.timing.state import STATE_POINTER

WORDS = 1 + COUNT  # one snapshot: the TSC, then the sums by cause


@compiled
def snapshot(s: Any, now: Word) -> None:
    """Append the ledger's sums by cause to the log."""
    rows = s.symbols * 4
    ledger = carray(as_pointer(s.ledger), (1 << 20, COUNT), dtype=np.int64)
    log = carray(as_pointer(s.tsc_log + s.tsc_count * 8 * WORDS), (WORDS,), dtype=np.int64)
    log[:] = 0
    log[0] = now
    for row in range(rows):
        for cause in range(COUNT):
            log[1 + cause] += ledger[row, cause]


@callback(types.int64(types.int64, STATE_POINTER))
def on_rdtsc(engine: Any, state: Any) -> Any:
    """UC_HOOK_INSN for RDTSC: modelled time into EDX:EAX; 1 means handled."""
    s = carray(state, (1,))[0]
    now = s.cycles + s.tsc_offset
    registers = carray(as_pointer(s.at_registers), (8,), dtype=np.int64)
    registers[0] = now & 0xFFFFFFFF
    registers[2] = (now >> 32) & 0xFFFFFFFF
    if s.tsc_count < s.tsc_capacity:
        snapshot(s, now)
        s.tsc_count += 1
    return 1
