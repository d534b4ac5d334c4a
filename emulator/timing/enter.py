"""ENTER loads BP or EBP by the operand's size (SDM vol. 2A, ENTER); Unicorn 2.1.4 does it by the stack's.

Where these differ the right EBP is worked out before, and put in behind: at the next instruction of the
block, or when the next block begins. An ENTER that faults takes it back (`BlockStore.unretire`).
"""

from typing import Any, Final

from emulator.compiled import Word, callback, compiled, load_u32
from emulator.jit import carray, types
from emulator.timing.control_moves import LONGEST, code_byte
from emulator.timing.entered import EBP, entered
from emulator.timing.modes import ALL, BIG, SS
from emulator.timing.state import STATE_POINTER

OPCODE: Final = 0xC8
OPERAND_SIZE: Final = 0x66
CS32: Final = 0x10
ESP: Final = 4


@compiled
def operand_bytes(s: Any, address: Word) -> Word:
    """Operand size of the ENTER at `address`, or 0: another address space may have other code there."""
    wide = load_u32(s.at_hflags) & CS32 != 0
    prefixed = False
    for at in range(address, address + LONGEST):
        byte = code_byte(s, at & ALL)
        if byte == OPCODE:
            return 4 if wide != prefixed else 2
        if byte == OPERAND_SIZE:
            prefixed = True
        elif byte & 0xE7 != 0x26 and byte & 0xFC != 0x64:
            return 0
    return 0


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_enter(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE on ENTER."""
    s = carray(state, (1,))[0]
    width = operand_bytes(s, address & ALL)
    big = load_u32(s.at_segments + 24 * SS + 20) & BIG != 0
    if not width or (width == 4) == big:
        return
    esp = load_u32(s.at_registers + 8 * ESP)
    s.entering = address & ALL
    if width == 2:
        s.entered = (load_u32(s.at_registers + 8 * EBP) & 0xFFFF0000) | ((esp - 2) & 0xFFFF)
    else:
        s.entered = (esp & 0xFFFF0000) | ((esp - 4) & 0xFFFF)


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_behind_enter(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE on the instruction behind ENTER."""
    s = carray(state, (1,))[0]
    if s.entering >= 0:
        entered(s)
