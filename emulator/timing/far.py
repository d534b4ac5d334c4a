"""Far JMP and CALL to a task gate or a TSS: found before the engine switches tasks by itself.

Also the place behind a MOV or POP to a segment register that doesn't end its block: the rest of the block
may use a segment that isn't flat.
"""

from typing import Any, Final

from emulator.compiled import Word, call3, callback, compiled, load_i64, load_u8, load_u32
from emulator.jit import carray, types
from emulator.mmu.tlb import DATA
from emulator.mmu.walk import control
from emulator.timing.after import block_at, invlpg_operand
from emulator.timing.fill import translation
from emulator.timing.hooked import note_hook
from emulator.timing.modes import CHECK_SEGMENTS, CR0_PE, RELOADED, VM, unflat_segments
from emulator.timing.state import STATE_POINTER

TASK_TYPES: Final = 1 << 1 | 1 << 3 | 1 << 5 | 1 << 9 | 1 << 11


@compiled
def peek16(s: Any, linear: Word) -> Word:
    """Two bytes at a linear address without a trace, or -1."""
    value = 0
    for i in range(2):
        at = (linear + i) & 0xFFFFFFFF
        found = translation(s, DATA, at >> 12)
        if found < 0:
            return -1
        physical = (found & 0xFFFFF) << 12 | (at & 0xFFF)
        if physical >= s.ram_size:
            return -1
        value |= load_u8(s.ram + physical) << (8 * i)
    return value


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_far(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE on a far JMP or CALL."""
    s = carray(state, (1,))[0]
    note_hook(s, address & 0xFFFFFFFF)
    block = block_at(s, s.last_block)
    if not control(s, 0) & CR0_PE or load_u32(s.at_eflags) & VM or block.far_selector == 0:
        return
    selector: Word = block.far_selector
    if selector < 0:
        selector = peek16(s, invlpg_operand(s) - selector)
        if selector < 0:
            return
    table = s.at_ldt if selector & 4 else s.at_gdt
    index = selector & 0xFFF8
    if selector & 0xFFFC == 0 or index + 7 > load_u32(table + 16):
        return
    access = peek16(s, load_i64(table + 8) + index + 5) & 0x1F
    if access < 16 and TASK_TYPES >> access & 1:
        call3(s.task_function, address & 0xFFFFFFFF, size, 1 << 16 | selector)


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_segment_loaded(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE behind a segment load in the middle of a block."""
    s = carray(state, (1,))[0]
    note_hook(s, address & 0xFFFFFFFF)
    unflat = unflat_segments(s) & 0x3F
    if unflat & ~s.watch and not s.checks & CHECK_SEGMENTS:
        s.watch |= unflat
        call3(s.check_function, address & 0xFFFFFFFF, CHECK_SEGMENTS, RELOADED)
