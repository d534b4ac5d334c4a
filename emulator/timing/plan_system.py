"""What segment loads and far transfers access, step by step as the engine does it, up to a fault.

    load       descriptor, and back to it with A set (or a TSS's with "busy") if it is loaded
    JMP far    descriptor; a call gate's code descriptor
    CALL far   descriptor, return address; or gate, code descriptor, inner stack from the TSS and its
               descriptor, SS:ESP and parameters, return address
    RETF IRET  frame, code descriptor; to an outer ring its stack, too; to VM86 six more words

The checks between the accesses are those of SDM vol. 2A (CALL, IRET ...): one that fails ends the accesses.
Task switches aren't here: our own code does them, and charges what it accesses.
"""

from typing import Any, Final

import numpy as np

from emulator.compiled import Word, callback, compiled, load_i64, load_u32
from emulator.jit import carray, types
from emulator.mmu.walk import control
from emulator.timing.plan_access import peek, stored, touch
from emulator.timing.plan_entries import (
    ALL,
    CR0_PE,
    ENTRY_DESCRIPTOR,
    ENTRY_NO_TASK,
    FLAG_FIRST,
    MARKED,
    PASSED,
    REFUSED,
    RELEASED,
    SS,
    STACK_TOP,
    VM,
    entry_at,
)
from emulator.timing.state import STATE_POINTER

FAR_CALL: Final = 0
FAR_JUMP: Final = 1
FAR_RETURN: Final = 2
FAR_IRET: Final = 3

TO_SEGMENT: Final = 0
TO_LDT: Final = 1
TO_TASK: Final = 2
TO_LOOK: Final = 3  # LAR, LSL, VERR, VERW: no fault, whatever it is

PRESENT: Final = 1 << 15
SYSTEM: Final = 1 << 12  # clear in a system descriptor
CODE: Final = 1 << 11
CONFORMING: Final = 1 << 10
WRITABLE: Final = 1 << 9  # readable, of code
ACCESSED: Final = 1 << 8
BIG: Final = 1 << 22
TASK_TYPES: Final = 1 << 1 | 1 << 3 | 1 << 5 | 1 << 9 | 1 << 11


@compiled
def ring(s: Any) -> Word:
    """CPL."""
    return load_u32(s.at_hflags) & 3


@compiled
def protected(s: Any) -> Any:
    """Protected mode without VM86?"""
    return control(s, 0) & CR0_PE != 0 and not load_u32(s.at_eflags) & VM


@compiled
def place(s: Any, selector: Word) -> Word:
    """Linear address of a descriptor, or -1 outside its table."""
    table = s.at_ldt if selector & 4 else s.at_gdt
    if selector | 7 > load_u32(table + 16):
        return -1
    return (load_i64(table + 8) + (selector & 0xFFF8)) & ALL


@compiled
def privilege(high: Word) -> Word:
    """DPL of a descriptor."""
    return high >> 13 & 3


@compiled
def read_descriptor(s: Any, selector: Word) -> Word:
    """Read a descriptor as a supervisor: its upper half, or -1 if there is none or its page isn't mapped."""
    at = place(s, selector)
    if at < 0 or not selector & 0xFFFC:
        return -1
    for half in range(2):
        if touch(s, at + 4 * half, 4, 0, 0) == REFUSED:
            return -1
    s.last_data_page = -1  # the ring may have no right to it
    s.quick_page = -1
    s.last_data_line = -1
    return peek(s, (at + 4) & ALL, 4)


@compiled
def loadable(s: Any, selector: Word, high: Word, what: Word, register: Word) -> Any:
    """May this descriptor be loaded into LDTR, TR or a data segment register?"""
    if what != TO_SEGMENT:
        kind = high >> 8 & 0x1F
        wanted = kind == 2 if what == TO_LDT else kind & ~8 == 1
        return wanted and not selector & 4 and high & PRESENT != 0
    if not high & SYSTEM or not high & PRESENT:
        return False
    now, asked, own = ring(s), selector & 3, privilege(high)
    if register == SS:
        return high & (CODE | WRITABLE) == WRITABLE and asked == now and own == now
    if high & (CODE | WRITABLE) == CODE:
        return False
    return high & (CODE | CONFORMING) == CODE | CONFORMING or (own >= now and own >= asked)


@compiled
def load_descriptor(s: Any, selector: Word, what: Word, register: Word) -> Word:
    """A segment load: PASSED, or REFUSED if it faults."""
    selector &= 0xFFFF
    if not protected(s):
        return PASSED
    if not selector & 0xFFFC:
        return REFUSED if what == TO_SEGMENT and register == SS else PASSED
    at = place(s, selector)
    if what == TO_LOOK:
        if at >= 0 and read_descriptor(s, selector) < 0:
            return REFUSED
        return PASSED
    if at < 0 or (what != TO_SEGMENT and selector & 4):
        return REFUSED
    high = read_descriptor(s, selector)
    if high < 0 or not loadable(s, selector, high, what, register):
        return REFUSED
    if what == TO_TASK or (what == TO_SEGMENT and not high & ACCESSED):
        if touch(s, at + 4, 4, 1, 0) == REFUSED:
            return REFUSED
        s.last_data_page = -1
        s.quick_page = -1
    return PASSED


@compiled
def switches_task(s: Any, selector: Word) -> Any:
    """Does a far JMP or CALL to this selector switch tasks? Looked up without a trace."""
    selector &= 0xFFFF
    if not protected(s) or not selector & 0xFFFC:
        return False
    at = place(s, selector)
    if at < 0:
        return False
    kind = peek(s, (at + 5) & ALL, 1)
    return kind >= 0 and not kind & 0x10 and TASK_TYPES >> (kind & 15) & 1 != 0


# -- stacks: an access at `base + (top & mask)`


@compiled
def stack_mask(high: Word) -> Word:
    """How much of ESP counts."""
    return ALL if high & BIG else 0xFFFF


@compiled
def push(s: Any, base: Word, top: Word, mask: Word, size: Word, user: Word) -> Word:
    """One push: the new top, or -1 if it faults."""
    top = (top - size) & ALL
    if touch(s, base + (top & mask), size, 1, user) == REFUSED:
        return -1
    return top


@compiled
def pop(s: Any, top: Word, mask: Word, size: Word, user: Word) -> Word:
    """One pop off the running stack: its value, or -1 if it faults."""
    at = (load_i64(s.at_segments + 24 * SS + 8) + (top & mask)) & ALL
    if touch(s, at, size, 0, user) == REFUSED:
        return -1
    value = peek(s, at, size)
    return 0 if value < 0 else value


@compiled
def push_return(s: Any, top: Word, size: Word) -> None:
    """CS and EIP on the running stack."""
    base, mask = load_i64(s.at_segments + 24 * SS + 8), stack_mask(load_u32(s.at_segments + 24 * SS + 20))
    user = 1 if ring(s) == 3 else 0
    top = push(s, base, top, mask, size, user)
    if top >= 0:
        push(s, base, top, mask, size, user)


@compiled
def code_refused(s: Any, selector: Word, high: Word) -> Any:
    """May a far JMP or CALL not go to this code segment directly?"""
    now = ring(s)
    if not high & CODE or not high & PRESENT:
        return True
    if high & CONFORMING:
        return privilege(high) > now
    return selector & 3 > now or privilege(high) != now


@compiled
def through_gate(s: Any, gate: Word, high: Word, top: Word, call: bool) -> None:
    """JMP or CALL through a call gate whose descriptor has been read."""
    kind = high >> 8 & 15
    now = ring(s)
    if kind & ~8 != 4 or privilege(high) < max(now, gate & 3) or not high & PRESENT:
        return
    size = 4 if kind == 12 else 2
    target = peek(s, (place(s, gate) + 2) & ALL, 2)
    if target < 0 or not target & 0xFFFC:
        return
    code = read_descriptor(s, target)
    if code < 0 or not code & SYSTEM or not code & CODE or privilege(code) > now or not code & PRESENT:
        return
    if not call:
        return
    if code & CONFORMING or privilege(code) == now:
        push_return(s, top, size)
    else:
        inner_call(s, privilege(code), top, size, high & 0x1F)


@compiled
def inner_call(s: Any, inner: Word, top: Word, size: Word, parameters: Word) -> None:
    """CALL to an inner ring: its stack from the TSS, SS:ESP, parameters, CS:EIP."""
    task = s.at_tr
    wide = load_u32(task + 20) >> 11 & 1
    index = (inner * 4 + 2) << wide
    if index + (4 << wide) - 1 > load_u32(task + 16):
        return
    at = load_i64(task + 8) + index
    width = 2 << wide
    if touch(s, at, width, 0, 0) == REFUSED or touch(s, at + width, 2, 0, 0) == REFUSED:
        return
    s.last_data_page = -1
    s.quick_page = -1
    stack = peek(s, at & ALL, width)
    selector = peek(s, (at + width) & ALL, 2)
    if stack < 0 or selector < 0 or not selector & 0xFFFC or selector & 3 != inner:
        return
    high = read_descriptor(s, selector)
    if high < 0 or privilege(high) != inner or not high & PRESENT:
        return
    if high & (SYSTEM | CODE | WRITABLE) != SYSTEM | WRITABLE:
        return
    place_of = place(s, selector)
    base = peek(s, (place_of + 2) & ALL, 2) | peek(s, (place_of + 4) & ALL, 1) << 16 | high & 0xFF000000
    mask = stack_mask(high)
    old_base = load_i64(s.at_segments + 24 * SS + 8)
    old_mask = stack_mask(load_u32(s.at_segments + 24 * SS + 20))
    for _ in range(2):
        stack = push(s, base, stack, mask, size, 0)
        if stack < 0:
            return
    for i in range(parameters - 1, -1, -1):
        if touch(s, old_base + ((top + i * size) & old_mask), size, 0, 0) == REFUSED:
            return
        stack = push(s, base, stack, mask, size, 0)
        if stack < 0:
            return
    stack = push(s, base, stack, mask, size, 0)
    if stack >= 0:
        push(s, base, stack, mask, size, 0)


@compiled
def far_return(s: Any, top: Word, size: Word, released: Word, iret: bool) -> None:
    """RETF or IRET."""
    real = not protected(s)
    now = ring(s)
    user = 1 if now == 3 else 0
    mask = stack_mask(load_u32(s.at_segments + 24 * SS + 20))
    flags = load_u32(s.at_eflags)
    if real and iret:
        if flags & VM and flags >> 12 & 3 != 3:
            return
        mask = 0xFFFF
    selector: Word = 0
    popped: Word = 0
    for n in range(3 if iret else 2):
        popped = pop(s, top, mask, size, user)
        if popped < 0:
            return
        if n == 1:
            selector = popped & 0xFFFF
        top += size
    if real:
        return
    if iret and size == 4 and popped & VM:
        for _ in range(6):
            if pop(s, top, mask, 4, user) < 0:
                return
            top += 4
        return
    high = read_descriptor(s, selector)
    asked = selector & 3
    if high < 0 or high & (SYSTEM | CODE) != SYSTEM | CODE or asked < now or not high & PRESENT:
        return
    if privilege(high) > asked if high & CONFORMING else privilege(high) != asked:
        return
    if asked == now:
        return
    top += released
    if pop(s, top, mask, size, user) < 0:
        return
    selector = pop(s, top + size, mask, size, user)
    if selector >= 0 and selector & 0xFFFC and selector & 3 == asked:
        read_descriptor(s, selector & 0xFFFF)


@compiled
def far_transfer(s: Any, how: Word, selector: Word, size: Word, top: Word, released: Word) -> None:
    """A far transfer: what it accesses besides a pointer in memory."""
    if how >= FAR_RETURN:
        far_return(s, top, size, released, how == FAR_IRET)
    elif not protected(s):
        if how == FAR_CALL:
            push_return(s, top, size)
    else:
        selector &= 0xFFFF
        high = read_descriptor(s, selector)
        if high < 0:
            return
        if not high & SYSTEM:
            through_gate(s, selector, high, top, how == FAR_CALL)
        elif not code_refused(s, selector, high) and how == FAR_CALL:
            push_return(s, top, size)
    s.last_data_page = -1
    s.quick_page = -1


@callback(types.int64(types.int64, types.int64, STATE_POINTER))
def on_system(number: Any, value: Any, state: Any) -> Any:
    """An entry of a system instruction: PASSED, REFUSED if the plan ends, MARKED if the instruction waits."""
    s = carray(state, (1,))[0]
    e = entry_at(s, number)
    kind = np.int64(e.kind)
    size = np.int64(e.size)
    flags = np.int64(e.flags)
    if kind == ENTRY_NO_TASK:
        return REFUSED if switches_task(s, value) else PASSED
    if kind == ENTRY_DESCRIPTOR:
        if flags & FLAG_FIRST and e.stores:
            at = place(s, value & 0xFFFF)
            if at >= 0 and stored(s, at, 8, np.int64(e.stores)):
                s.split_wanted = np.int64(e.index)
                return MARKED
        return load_descriptor(s, value, size, np.int64(e.result))
    far_transfer(s, flags, value, size, s.temporaries[STACK_TOP], s.temporaries[RELEASED])
    return REFUSED
