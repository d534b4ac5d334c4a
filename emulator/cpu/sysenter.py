"""SYSENTER, which Unicorn 2.1.4 executes as a NOP (SDM vol. 2B, SYSENTER).

CS = SYSENTER_CS, flat, CPL 0     SS = SYSENTER_CS + 8, flat     ESP, EIP from the MSRs
IF, RF and VM cleared; nothing is saved
"""

from typing import Any, Final

from emulator.compiled import callback, load_u32, store_i64, store_u32
from emulator.jit import carray, types
from emulator.timing.state import STATE_POINTER

CODE_FLAGS: Final = 0x00CF9B00  # 4 GB, 32-bit, execute/read, accessed, DPL 0
STACK_FLAGS: Final = 0x00CF9300
CLEARED: Final = 0x200 | 0x10000 | 0x20000
INSTRUCTION_LENGTH: Final = 2  # Unicorn adds it to EIP after the hook
HF_CLEARED: Final = 0x3 | 0x8 | 0x40 | 0x20000
HF_SET: Final = 0x10 | 0x20


@callback(types.int64(types.int64, STATE_POINTER))
def on_sysenter(engine: Any, state: Any) -> Any:
    """UC_HOOK_INSN for SYSENTER. A null SYSENTER_CS is #GP(0): `intercepts.py` sees to that first."""
    s = carray(state, (1,))[0]
    selector = s.sysenter_cs & 0xFFFC
    if selector == 0:
        return 0
    s.sysenters += 1
    for index in range(2):
        at = s.at_segments + 24 * (1 + index)
        store_u32(at, selector + 8 * index)
        store_i64(at + 8, 0)
        store_u32(at + 16, 0xFFFFFFFF)
        store_u32(at + 20, CODE_FLAGS if index == 0 else STACK_FLAGS)
    store_u32(s.at_eflags, load_u32(s.at_eflags) & ~CLEARED)
    hflags = (load_u32(s.at_hflags) & ~HF_CLEARED) | HF_SET
    if load_u32(s.at_segments + 24 * 3 + 8) | load_u32(s.at_segments + 8):
        hflags |= 0x40  # ADDSEG: a data segment isn't flat
    store_u32(s.at_hflags, hflags)
    store_i64(s.at_registers + 8 * 4, s.sysenter_esp)
    store_i64(s.at_eip, s.sysenter_eip - INSTRUCTION_LENGTH)
    return 0
