"""When must blocks be checked before they run? Decided after every instruction that may change the answer.

The engine keeps two sets of translations, told apart by a spare bit of hflags: those made while checking
call `checks.on_instruction` before each instruction, the others pay nothing. Entering or leaving checked
execution costs a stop of the engine, so a segment that isn't flat counts only once a block uses it
(`BLOCK.needs`): the null FS and GS of most kernels' users cost nothing.
"""

from typing import Any, Final

from emulator.compiled import Word, call1, call3, compiled, load_u32, store_i64, store_u32
from emulator.mmu.walk import control
from emulator.timing.entered import entered
from emulator.timing.fpu import settle, unmasked
from emulator.timing.state import STOP_MODE, STOP_PAE

CHECK_SEGMENTS: Final = 1
CHECK_ALIGNMENT: Final = 2
CHECK_DEBUG: Final = 4
CHECK_NESTED: Final = 8
CHECK_FPU: Final = 16
RELOADED: Final = -2  # `check_function`'s error: begin checking in the middle of a block

NEEDS_PROTECTED: Final = 64
NEEDS: Final = 511
NEEDS_SLOW: Final = 512  # a block that planned.py leaves to hooks.on_block; always watched
NEEDS_CHECKED: Final = 128  # every block's, to meet `watch` while checking is on
NEEDS_FPU: Final = 256  # x87, MMX and SSE instructions
NEEDS_SEGMENTS: Final = 0x7F
NEEDS_FRAME: Final = NEEDS_CHECKED  # what ENTER leaves undone: any instruction's
HF_CHECKED: Final = 1 << 28
HF_INHIBIT: Final = 8
ALL: Final = 0xFFFFFFFF
CR4_PAE: Final = 1 << 5
CR0_PE: Final = 1
CR0_AM: Final = 1 << 18
NT: Final = 0x4000
RF: Final = 0x10000
VM: Final = 0x20000
AC: Final = 0x40000
PRESENT: Final = 1 << 15
BIG: Final = 1 << 22
CS: Final = 1
SS: Final = 2


@compiled
def unflat_segments(s: Any) -> Word:
    """Bits of the segment registers through which an access may fault; bit 8 if one of them isn't null."""
    protected = control(s, 0) & CR0_PE and not load_u32(s.at_eflags) & VM
    found = 0
    for index in range(6):
        at = s.at_segments + 24 * index
        high = load_u32(at + 20)
        if load_u32(at + 16) == ALL:
            if not protected:
                continue
            kind = high >> 8 & 0xF
            if high & PRESENT and (kind & 0xE == 2 or (index == CS and kind & 0xA == 0xA)):
                continue
        found |= 1 << index
        if not protected or load_u32(at) & 0xFFFC:
            found |= 0x100
    return found


@compiled
def evaluate(s: Any) -> Any:
    """Must blocks be checked from now on? True if the engine must stop to change over."""
    flags = load_u32(s.at_eflags)
    cr0 = control(s, 0)
    if flags & RF and not s.dr7 & 0xFF:
        # the engine would keep it and show it to PUSHF; its one instruction has no breakpoint to be held off
        store_u32(s.at_eflags, flags & ~RF)
    if control(s, 4) & CR4_PAE:  # SDM vol. 3A 3.8: another table format
        s.stop |= STOP_PAE
        call1(s.stop_function, s.engine)
        return True
    unflat = unflat_segments(s)
    wanted = 0
    if load_u32(s.at_segments + 24 * CS + 16) != ALL or (s.checks & CHECK_SEGMENTS and unflat & 0x100):
        wanted |= CHECK_SEGMENTS
    if flags & AC and cr0 & CR0_AM and load_u32(s.at_hflags) & 3 == 3:
        wanted |= CHECK_ALIGNMENT
    if s.dr7 & 0xFF or s.debug_hits:
        wanted |= CHECK_DEBUG
    if flags & NT and cr0 & CR0_PE and not flags & VM:
        wanted |= CHECK_NESTED
    s.watch = unflat & 0x3F
    if s.fp_flags < 0:
        settle(s)
    if s.entering >= 0:
        entered(s)
    if unmasked(s):
        s.watch |= NEEDS_FPU
        wanted |= s.checks & CHECK_FPU
    if cr0 & CR0_PE and not flags & VM:
        s.watch |= NEEDS_PROTECTED
    return set_checks(s, wanted)


@compiled
def set_checks(s: Any, wanted: Word) -> Any:
    """Check for `wanted` from the next block on; True if the engine must stop first."""
    s.checks = wanted
    s.watch = (s.watch & (NEEDS_SEGMENTS | NEEDS_FPU)) | NEEDS_SLOW | (NEEDS_CHECKED if wanted else 0)
    hflags = load_u32(s.at_hflags)
    if (hflags & HF_CHECKED != 0) == (wanted != 0):
        return False
    store_u32(s.at_hflags, hflags ^ HF_CHECKED)
    store_i64(s.hook_bounds, 0 if wanted else -2)
    store_i64(s.hook_bounds + 8, -1 if wanted else -2)
    s.stop |= STOP_MODE
    call1(s.stop_function, s.engine)
    return True


@compiled
def enter_block(s: Any, block: Any, index: Word) -> Any:
    """A block is checked, or has something to check. True if the engine stops to begin checking."""
    wanted = s.checks
    if s.watch & block.needs & NEEDS_SEGMENTS:
        wanted |= CHECK_SEGMENTS
    if s.watch & block.needs & NEEDS_FPU:
        wanted |= CHECK_FPU
    if wanted != s.checks and set_checks(s, wanted):
        return True
    if block.plan < 0:
        call3(s.plan_function, index, 0, 0)
    s.plan_next = block.plan
    return False
