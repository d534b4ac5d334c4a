"""RDTSC from modelled time, with a snapshot of the ledger at each reading if the host asks for one.

The difference of two snapshots explains, cause by cause, the time between two RDTSCs of the guest:
that is how a benchmark's ledger adds up to the cycle with no help from the guest.

One snapshot: the TSC | the ledger's sums by cause | how many misses there were, `COUNTERS`
"""

from typing import Any, Final

import numpy as np

from emulator.compiled import Word, as_pointer, call3, callback, compiled, load_i64, load_u32
from emulator.jit import carray, types
from emulator.timing.after import block_at
from emulator.timing.causes import CAUSES, COUNT, DTLB_COLD, L1D_MISS
from emulator.timing.charge import charge, charge_instructions, settle
from emulator.timing.plan_entries import section_at
from emulator.timing.state import EXTRA, STAMP, STATE_POINTER

TLB_CAUSES: Final = CAUSES[DTLB_COLD:L1D_MISS]
COUNTERS: Final = (*TLB_CAUSES, "l1d", "l1i", "l2_data", "l2_fetch")
REASONS: Final = len(TLB_CAUSES) // 2  # why a translation wasn't there, the same for data and code
WORDS: Final = 1 + COUNT + len(COUNTERS)
RDTSC_BYTES: Final = 2
AT_CODE_BASE = 24 + 8  # the base of CS among the segments


@compiled
def snapshot(s: Any, now: Word) -> None:
    """Append the ledger's sums by cause and the counts of misses to the log."""
    settle(s)
    rows = s.symbols * 4
    ledger = carray(as_pointer(s.ledger), (1 << 20, COUNT), dtype=np.int64)
    log = carray(as_pointer(s.tsc_log + s.tsc_count * 8 * WORDS), (WORDS,), dtype=np.int64)
    log[:] = 0
    log[0] = now
    for row in range(rows):
        for cause in range(COUNT):
            log[1 + cause] += ledger[row, cause]
    for side in range(2):
        for why in range(REASONS):
            log[1 + COUNT + side * REASONS + why] = s.tlb_misses[side, why]
    misses = 1 + COUNT + 2 * REASONS
    log[misses] = s.l1d_misses
    log[misses + 1] = s.l1i_misses
    log[misses + 2] = s.l2_data_misses
    log[misses + 3] = s.l2_fetch_misses


@compiled
def charge_rest(s: Any, sign: Word) -> None:
    """Take back (-1) what the block has charged for the instructions behind this RDTSC, or put it back.

    A block is charged whole at its entry, but two RDTSCs in one block must not read the same time.
    """
    block = block_at(s, s.last_block)
    if block.stamps == 0:
        return
    offset = (load_u32(s.at_eip) + load_i64(s.at_segments + AT_CODE_BASE) - s.last_address) & 0xFFFFFFFF
    stamps = carray(as_pointer(s.block_stamps), (1 << 20,), dtype=STAMP)
    for i in range(np.int64(block.stamp), np.int64(block.stamp) + block.stamps):
        stamp = stamps[i]
        if stamp.offset == offset:
            if s.accounting:
                charge_instructions(s, sign * np.int64(stamp.cost256))
                extras = carray(as_pointer(s.block_extras), (1 << 22,), dtype=EXTRA)
                for j in range(np.int64(stamp.extra), np.int64(stamp.extra) + stamp.extras):
                    charge(s, np.int64(extras[j].cause), sign * np.int64(extras[j].cycles))
            else:
                s.cycles += sign * np.int64(stamp.count)


@compiled
def go_on_behind(s: Any) -> None:
    """Planned mode: what is behind RDTSC waits for the registers that it sets; no other hook is there."""
    behind = (load_u32(s.at_eip) + load_i64(s.at_segments + AT_CODE_BASE) + RDTSC_BYTES) & 0xFFFFFFFF
    number = s.section_next
    section = section_at(s, np.int64(block_at(s, s.last_block).section) + number)
    if (behind - s.last_address) & 0xFFFFFFFF == np.int64(section.offset):
        call3(s.section_entry, s.last_block, number, s.self)


@callback(types.int64(types.int64, STATE_POINTER))
def on_rdtsc(engine: Any, state: Any) -> Any:
    """UC_HOOK_INSN for RDTSC: modelled time into EDX:EAX; 1 means handled."""
    s = carray(state, (1,))[0]
    charge_rest(s, -1)
    now = s.cycles + s.tsc_offset
    registers = carray(as_pointer(s.at_registers), (8,), dtype=np.int64)
    registers[0] = now & 0xFFFFFFFF
    registers[2] = (now >> 32) & 0xFFFFFFFF
    if s.tsc_count < s.tsc_capacity:
        snapshot(s, now)
        s.tsc_count += 1
    charge_rest(s, 1)
    if s.section_next:
        go_on_behind(s)
    return 1
