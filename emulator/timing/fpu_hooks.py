"""Where the engine is held up for x87 and SSE exceptions: see `fpu.py`."""

from typing import Any

from emulator.compiled import Word, call3, callback, compiled
from emulator.jit import carray, types
from emulator.timing.control_moves import LONGEST, code_byte
from emulator.timing.fpu import UNKNOWN, collect, settle, unmasked
from emulator.timing.modes import ALL, CHECK_FPU, RELOADED
from emulator.timing.state import STATE_POINTER


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_status_stored(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE on FNSTSW, FXSAVE and STMXCSR."""
    s = carray(state, (1,))[0]
    collect(s)


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_status_loaded(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE on FNCLEX, FNINIT, FNSAVE, FLDENV, FRSTOR, FXRSTOR and LDMXCSR."""
    s = carray(state, (1,))[0]
    collect(s)
    s.fp_flags = UNKNOWN


@compiled
def stores_environment(s: Any, address: Word) -> Any:
    """Is it FNSTENV, D9 /6 with memory, behind prefixes? Another address space may have other code there."""
    for at in range(address, address + LONGEST):
        byte = code_byte(s, at & ALL)
        if byte == 0xD9:
            modrm = code_byte(s, (at + 1) & ALL)
            return 0 <= modrm < 0xC0 and modrm >> 3 & 7 == 6
        if byte & 0xE7 != 0x26 and byte & 0xFC != 0x64:
            return False
    return False


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_environment_stored(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE on FNSTENV."""
    s = carray(state, (1,))[0]
    collect(s)
    if stores_environment(s, address & ALL):
        s.fp_flags = UNKNOWN
        s.masking = address & ALL


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_behind_load(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE on the next x87, MMX or SSE instruction behind one of these or FLDCW in the same block."""
    s = carray(state, (1,))[0]
    settle(s)
    if unmasked(s) and not s.checks & CHECK_FPU:
        call3(s.check_function, address & ALL, CHECK_FPU, RELOADED)
