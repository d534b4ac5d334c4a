"""Entries of access plans: their kinds and flags, and what one says by itself. `timing.plan` runs them.

offset of an access = register1 * factor1 + register2 * factor2 + displacement
"""

from typing import Any, Final

import numpy as np

from emulator.compiled import (
    Word,
    as_pointer,
    compiled,
    inlined,
    load_i64,
    load_u32,
)
from emulator.jit import carray
from emulator.mmu.walk import (
    RIGHT_DIRTY,
    RIGHT_WRITE,
    control,
)
from emulator.timing.state import ENTRY, SECTION

ENTRY_BYTES: Final = ENTRY.itemsize
SECTION_BYTES: Final = SECTION.itemsize

(
    ENTRY_ACCESS,
    ENTRY_LOAD,
    ENTRY_SUM,
    ENTRY_OPERATE,
    ENTRY_STEP,
    ENTRY_NOT_ZERO,
    ENTRY_DESCRIPTOR,
    ENTRY_NO_TASK,
    ENTRY_FAR,
    ENTRY_PROTECTED,
    ENTRY_FXSR,
    ENTRY_ALIGNED,
    ENTRY_RING0,
    ENTRY_IOPL,
    ENTRY_VM86,
    ENTRY_FPU,
    ENTRY_SSE,
    ENTRY_OPAQUE,
) = range(18)

FLAG_WRITE: Final = 1
FLAG_MASK: Final = 2  # 16-bit addressing
FLAG_STACK: Final = 4  # wraps with SS
FLAG_OVERRIDE: Final = 8  # the segment's base counts even if the usual ones are 0
FLAG_SIGNED: Final = 16
FLAG_FIRST: Final = 32  # the instruction has accessed nothing before

ZERO: Final = 8
STACK_TOP: Final = 10  # what a far transfer needs, besides a selector: ESP,
RELEASED: Final = 11  # and the bytes that RETF releases
TEMPORARIES: Final = 128
IMMEDIATE: Final = 255

DONE: Final = 0
STOPPED: Final = 1  # nothing behind is accessed
SPLIT: Final = 2  # the rest needs a section of its own, which begins at the instruction `split_wanted`

ALL: Final = 0xFFFFFFFF
WRITTEN: Final = RIGHT_WRITE | RIGHT_DIRTY
STORES: Final = 64
HF_SS32: Final = 0x20
HF_ADDSEG: Final = 0x40
AT_STEP: Final = 172  # env.df, behind the registers: +1 or -1
CR0_EM_TS: Final = 0xC
CR4_OSFXSR: Final = 1 << 9
CR0_PE: Final = 1
VM: Final = 0x20000
SS: Final = 2

PASSED: Final = 0
REFUSED: Final = 1
DOUBTFUL: Final = 2  # passed; what follows must wait until the block has come here
MARKED: Final = 4  # nothing done yet: a table is read that the block may have accessed just before


@inlined
def operate(operation: Word, a: Word, b: Word) -> Word:
    """The operations of `cpu.plan_values`."""
    if operation == 0:
        return a & b
    if operation == 1:
        return a | b
    if operation == 2:
        return a ^ b
    b &= 31 if operation != 6 and operation != 12 else ALL
    if operation == 3:
        return (a << b) & ALL
    if operation == 4:
        return a >> b
    if operation == 5:
        return (((a ^ 0x80000000) - 0x80000000) >> b) & ALL
    if operation == 6:
        return (a * b) & ALL
    if operation == 7:
        return (((a & 0xFF) ^ 0x80) - 0x80) & ALL
    if operation == 8:
        return (((a & 0xFFFF) ^ 0x8000) - 0x8000) & ALL
    if operation == 9:
        return ((a << b) | (a >> (32 - b))) & ALL
    if operation == 10:
        return ((a >> b) | (a << (32 - b))) & ALL
    if operation == 11:
        return (a & 0xFF) << 24 | (a & 0xFF00) << 8 | (a >> 8) & 0xFF00 | a >> 24
    low = (a & 0xFFFF) * b
    return (((a >> 16) * b) + (low >> 16)) >> 16 & ALL


@compiled
def allowed(s: Any, guard: Word) -> Any:
    """May the instruction behind this guard run, or is it an exception?"""
    if guard == ENTRY_PROTECTED:
        return control(s, 0) & CR0_PE != 0 and not load_u32(s.at_eflags) & VM
    if guard == ENTRY_RING0:
        return load_u32(s.at_hflags) & 3 == 0
    if guard == ENTRY_IOPL:
        flags = load_u32(s.at_eflags)
        if not control(s, 0) & CR0_PE:
            return True
        ring = load_u32(s.at_hflags) & 3
        return (flags >> 12 & 3) == 3 if flags & VM else ring <= flags >> 12 & 3
    if guard == ENTRY_VM86:
        flags = load_u32(s.at_eflags)
        return not flags & VM or flags >> 12 & 3 == 3
    if guard == ENTRY_FPU:
        return not control(s, 0) & CR0_EM_TS
    if guard == ENTRY_SSE:
        return not control(s, 0) & CR0_EM_TS and control(s, 4) & CR4_OSFXSR != 0
    return control(s, 4) & CR4_OSFXSR != 0  # ENTRY_FXSR


@inlined
def value_of(r: Any, e: Any) -> Word:
    """The linear sum of an entry."""
    return (
        r[np.uint64(e.first)] * np.int64(e.factor1)
        + r[np.uint64(e.second)] * np.int64(e.factor2)
        + np.int64(e.displacement)
    )


@inlined
def linear_of(s: Any, r: Any, e: Any, hflags: Word) -> Word:
    """The linear address of an access."""
    flags = np.int64(e.flags)
    address = value_of(r, e) & ALL
    if flags & FLAG_MASK or (flags & FLAG_STACK and not hflags & HF_SS32):
        address &= 0xFFFF
    segment = np.int64(e.segment)
    if segment > 3 or flags & FLAG_OVERRIDE or hflags & HF_ADDSEG:
        address = (address + load_i64(s.at_segments + 24 * segment + 8)) & ALL
    return address


@inlined
def entry_at(s: Any, number: Word) -> Any:
    """One entry of a plan."""
    return carray(as_pointer(s.entries + ENTRY_BYTES * number), (1,), dtype=ENTRY)[0]


@inlined
def section_at(s: Any, number: Word) -> Any:
    """One section."""
    return carray(as_pointer(s.sections + SECTION_BYTES * number), (1,), dtype=SECTION)[0]
