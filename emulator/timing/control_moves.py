"""MOV to CR0 and CR4: values that a processor refuses with #GP(0), and Unicorn takes (SDM vol. 2A, MOV).

    CR0   PG without PE, NW without CD
    CR4   bits that the profile's processor doesn't have

An address hook on each such instruction, compiled, since kernels set TS at every task switch.
"""

from typing import Any, Final

from emulator.compiled import Word, callback, compiled, load_u8, load_u32
from emulator.jit import carray, types
from emulator.mmu.tlb import CODE
from emulator.timing.checks import GP, fail
from emulator.timing.fill import translation
from emulator.timing.hooked import note_hook
from emulator.timing.modes import ALL
from emulator.timing.state import STATE_POINTER

PE: Final = 1
NW: Final = 1 << 29
CD: Final = 1 << 30
PG: Final = 1 << 31
LONGEST: Final = 15


@compiled
def code_byte(s: Any, linear: Word) -> Word:
    """A byte of code, or -1."""
    found = translation(s, CODE, linear >> 12)
    if found < 0:
        return -1
    physical = (found & 0xFFFFF) << 12 | (linear & 0xFFF)
    return load_u8(s.ram + physical) if physical < s.ram_size else -1


@compiled
def move_to_control(s: Any, address: Word) -> Word:
    """ModR/M of the MOV to a control register at `address`, or -1: another address space may differ."""
    for at in range(address, address + LONGEST - 2):
        if code_byte(s, at & ALL) == 0x0F:
            return code_byte(s, (at + 2) & ALL) if code_byte(s, (at + 1) & ALL) == 0x22 else -1
    return -1


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_move_to_control(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE on MOV to CR0 or CR4. Outside ring 0 the engine refuses it by itself."""
    s = carray(state, (1,))[0]
    address = address & ALL
    note_hook(s, address)
    if load_u32(s.at_hflags) & 3:
        return
    modrm = move_to_control(s, address)
    if modrm < 0:
        return
    value = load_u32(s.at_registers + 8 * (modrm & 7))
    number = modrm >> 3 & 7
    if number == 0:
        if (value & PG and not value & PE) or (value & NW and not value & CD):
            fail(s, address, GP, 0)
    elif number == 4 and value & s.cr4_reserved:
        fail(s, address, GP, 0)
