"""Checked execution: what Unicorn leaves out, done before each instruction while it can matter.

    segments that aren't flat        limits, null, read-only, execute-only        #GP(0), #SS(0)
                                     near branches out of the code segment        #GP(0)
    CR0.AM, EFLAGS.AC and ring 3     alignment                                    #AC(0)
    DR7                              instruction and data breakpoints             #DB
    EFLAGS.NT                        IRET switches tasks
    an unmasked x87 exception        #MF, FERR#

`modes.py` says when. What an instruction accesses comes from its plan (`cpu.operand_plan`).
"""

from typing import Any, Final

import numpy as np

from emulator.compiled import (
    Word,
    as_pointer,
    call3,
    callback,
    compiled,
    inlined,
    load_i64,
    load_u8,
    load_u32,
    store_u32,
)
from emulator.jit import carray, types
from emulator.mmu.tlb import DATA
from emulator.mmu.walk import control, permitted
from emulator.timing.after import block_at
from emulator.timing.fill import translation
from emulator.timing.fpu import numeric_error
from emulator.timing.hooked import note_hook
from emulator.timing.modes import (
    ALL,
    BIG,
    CHECK_ALIGNMENT,
    CHECK_DEBUG,
    CHECK_FPU,
    CHECK_NESTED,
    CHECK_SEGMENTS,
    CR0_PE,
    CS,
    HF_INHIBIT,
    PRESENT,
    RF,
    SS,
    VM,
)
from emulator.timing.state import ACCESS, PLAN, STATE_POINTER

ECX: Final = 1

# plan flags
PLAN_REP: Final = 1
PLAN_IRET: Final = 2
PLAN_SHADOW: Final = 4  # MOV SS, POP SS: debug traps wait for the next instruction
PLAN_ADDRESS16: Final = 8
PLAN_WAITING: Final = 16  # an x87 or MMX instruction before which a pending x87 error is raised
# access flags
WRITE: Final = 1
STACK: Final = 2  # offset from ESP, by the width of SS
NO_DATA: Final = 4  # checked, not accessed
LOW_BYTE: Final = 16  # XLAT: the index is AL
BIT_OFFSET: Final = 32  # BT m, r: `index` counts bits
FRAME: Final = 64  # LEAVE: offset from EBP, by the width of SS
ALIGNED_16: Final = 128  # a 16-byte operand that must be aligned
TARGET: Final = 256  # no access: EIP after a near branch, of `size` bytes; from a register, or
RELATIVE: Final = 512  # `displacement` from the next instruction
LOADED: Final = 1024  # in memory at this operand
CONDITIONAL: Final = 2048  # Python knows whether it is taken
REGISTER_16: Final = 8

DB, SEGMENT, GP, AC_VECTOR = 1, 12, 13, 17
TRAP: Final = -1


@compiled
def fail(s: Any, address: Word, vector: Word, error: Word) -> Any:
    """Deliver a fault of the instruction at `address`, which doesn't run."""
    call3(s.check_function, address, vector, error)
    return False


@inlined
def register(s: Any, number: Word, flags: Word) -> Word:
    """A base or index register."""
    value = load_u32(s.at_registers + 8 * (number & 7))
    if number & REGISTER_16:
        return value & 0xFFFF
    if flags & LOW_BYTE:
        return value & 0xFF
    return value


@compiled
def access_offset(s: Any, a: Any) -> Word:
    """Offset of an access in its segment."""
    flags = np.int64(a.flags)
    offset = np.int64(a.displacement)
    if flags & (STACK | FRAME):
        mask = ALL if load_u32(s.at_segments + 24 * SS + 20) & BIG else 0xFFFF
        return (offset + load_u32(s.at_registers + 8 * a.base)) & mask
    if a.base >= 0:
        offset += register(s, np.int64(a.base), 0)
    if a.index >= 0 and flags & BIT_OFFSET:
        bits = load_u32(s.at_registers + 8 * (a.index & 7))
        if a.size == 4:
            offset += ((bits ^ 0x80000000) - 0x80000000) >> 5 << 2
        else:
            offset += (((bits & 0xFFFF) ^ 0x8000) - 0x8000) >> 4 << 1
    elif a.index >= 0:
        offset += register(s, np.int64(a.index), flags) * a.scale
    return offset & np.int64(a.mask)


@compiled
def segment_refuses(s: Any, segment: Word, offset: Word, size: Word, write: Word) -> Any:
    """May not `size` bytes at `offset` be read or written through a segment (SDM vol. 3A 4.3 to 4.5)?"""
    at = s.at_segments + 24 * segment
    limit = load_u32(at + 16)
    high = load_u32(at + 20)
    last = offset + size - 1
    if control(s, 0) & CR0_PE and not load_u32(s.at_eflags) & VM:
        if not high & PRESENT:
            return True
        if high & 0x800:
            if write or not high & 0x200:
                return True
        else:
            if write and not high & 0x200:
                return True
            if high & 0x400:  # expand-down
                top = ALL if high & BIG else 0xFFFF
                return offset <= limit or last > top
    if limit == ALL:
        return False
    return last > limit


@compiled
def misaligned(s: Any, linear: Word, alignment: Word, write: Word) -> Any:
    """Would an access raise #AC? A page fault comes first."""
    if not linear & (alignment - 1):
        return False
    for at in (linear, (linear + alignment - 1) & ALL):
        found = translation(s, DATA, at >> 12)
        if found < 0 or not permitted(s, found >> 20, write != 0, True):
            return False
    return True


@compiled
def watch_data(s: Any, linear: Word, size: Word, write: Word) -> None:
    """Note the data breakpoints that an access hits (SDM vol. 3B 15.2.5)."""
    for n in range(4):
        if not s.dr7 >> (2 * n) & 3:
            continue
        control_bits = s.dr7 >> (16 + 4 * n) & 15
        kind = control_bits & 3
        if kind != 3 and not (kind == 1 and write):
            continue
        length = (control_bits >> 2) + 1  # 2 is undefined: treated as 4 below
        if length == 3:
            length = 4
        start = load_i64(s.debug_addresses + 8 * n) & ~(length - 1)
        if linear < start + length and start < linear + size:
            s.debug_hits |= 1 << n


@compiled
def peek(s: Any, linear: Word, size: Word) -> Word:
    """What a load would give, or -1 if it would fault."""
    user = load_u32(s.at_hflags) & 3 == 3
    value = 0
    for i in range(size):
        at = (linear + i) & ALL
        found = translation(s, DATA, at >> 12)
        if found < 0 or not permitted(s, found >> 20, False, user):
            return -1
        physical = (found & 0xFFFFF) << 12 | (at & 0xFFF)
        if physical >= s.ram_size:
            return -1
        value |= load_u8(s.ram + physical) << (8 * i)
    return value


@compiled
def check_target(s: Any, a: Any, address: Word, length: Word) -> Any:
    """A near branch: its target must be inside the code segment (SDM vol. 2A and 2B: JMP, CALL, Jcc, RET)."""
    code = s.at_segments + 24 * CS
    limit = load_u32(code + 16)
    mask = ALL if a.size == 4 else 0xFFFF
    if limit == ALL or mask <= limit or not s.checks & CHECK_SEGMENTS:
        return True
    flags = np.int64(a.flags)
    if flags & RELATIVE:
        target = address - load_i64(code + 8) + length + a.displacement
    elif flags & LOADED:
        linear = (access_offset(s, a) + load_i64(s.at_segments + 24 * np.int64(a.segment) + 8)) & ALL
        target = peek(s, linear, np.int64(a.size))
        if target < 0:
            return True  # it faults by itself
    else:
        target = register(s, np.int64(a.base), 0)
    if target & mask <= limit or (flags & CONDITIONAL and not call3(s.taken_function, address, 0, 0)):
        return True
    return fail(s, address, GP, 0)


@compiled
def check_access(s: Any, a: Any, address: Word, length: Word) -> Any:
    """One access; False if it faults, which has been delivered then."""
    if a.flags & TARGET:
        return check_target(s, a, address, length)
    offset = access_offset(s, a)
    segment = np.int64(a.segment)
    size = np.int64(a.size)
    write = np.int64(a.flags) & WRITE
    if segment_refuses(s, segment, offset, size, write):
        return fail(s, address, SEGMENT if segment == SS else GP, 0)
    if a.flags & NO_DATA:
        return True
    if s.checks & (CHECK_ALIGNMENT | CHECK_DEBUG):
        linear = (offset + load_i64(s.at_segments + 24 * segment + 8)) & ALL
        if s.checks & CHECK_ALIGNMENT and misaligned(s, linear, np.int64(a.alignment), write):
            return fail(s, address, AC_VECTOR, 0)
        if s.checks & CHECK_DEBUG:
            watch_data(s, linear, size, write)
    return True


@compiled
def instruction_breakpoint(s: Any, address: Word) -> Any:
    """Does a breakpoint stop the instruction at `address`? RF holds it off once (SDM vol. 3B 15.3.1.1)."""
    flags = load_u32(s.at_eflags)
    if flags & RF:
        store_u32(s.at_eflags, flags & ~RF)
        return False
    for n in range(4):
        if (
            s.dr7 >> (2 * n) & 3
            and not s.dr7 >> (16 + 4 * n) & 3
            and load_i64(s.debug_addresses + 8 * n) == address
        ):
            s.debug_hits |= 1 << n
    return s.debug_hits != 0


@compiled
def find_plan(s: Any, offset: Word, plans: Any) -> Word:
    """Index of the plan of the instruction at an offset of the running block, or -1."""
    at = s.plan_next
    if at >= 0 and plans[at].offset == offset:
        return at
    block = block_at(s, s.last_block)
    for at in range(block.plan, block.plan + block.plans):
        if plans[at].offset == offset:
            return at
    return -1


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_instruction(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE of checked translations: before each instruction."""
    s = carray(state, (1,))[0]
    address = address & ALL
    note_hook(s, address)
    block = block_at(s, s.last_block)
    if not s.checks or not s.last_block or block.plan < 0:
        return
    if s.debug_hits and not (s.debug_shadow and load_u32(s.at_hflags) & HF_INHIBIT):
        fail(s, address, DB, TRAP)
        return
    s.debug_shadow = 0
    if s.checks & CHECK_DEBUG and instruction_breakpoint(s, address):
        fail(s, address, DB, TRAP)
        return
    plans = carray(as_pointer(s.plans), (1 << 22,), dtype=PLAN)
    accesses = carray(as_pointer(s.accesses), (1 << 22,), dtype=ACCESS)
    at = find_plan(s, (address - s.last_address) & ALL, plans)
    if at < 0:
        return
    s.plan_next = at + 1
    plan = plans[at]
    if s.checks & CHECK_SEGMENTS:
        code = s.at_segments + 24 * CS
        offset = (address - load_i64(code + 8)) & ALL
        if offset + plan.length - 1 > load_u32(code + 16):
            fail(s, address, GP, 0)
            return
    flags = np.int64(plan.flags)
    if flags & PLAN_WAITING and s.checks & CHECK_FPU and numeric_error(s, address):
        return
    if flags & PLAN_REP:
        count = load_u32(s.at_registers + 8 * ECX)
        if (count & 0xFFFF if flags & PLAN_ADDRESS16 else count) == 0:
            return
    if flags & PLAN_IRET and s.checks & CHECK_NESTED:
        call3(s.task_function, address, np.int64(plan.length), 0)
        return
    for i in range(plan.first, plan.first + plan.count):
        if not check_access(s, accesses[i], address, np.int64(plan.length)):
            return
    if flags & PLAN_SHADOW:
        s.debug_shadow = 1
    if s.planned:
        if block.steps < 0:
            call3(s.steps_function, s.last_block, 0, 0)
        call3(s.section_entry, np.int64(block.steps) + at - np.int64(block.plan), -1, s.self)
