"""The common delivery, compiled: a 32-bit interrupt or trap gate, to the same ring or an inner one.

It does what `delivery.Delivery` does, with the same accesses in the same order, and gives up before it
changes a register when anything is out of the ordinary: a missing segment, a bad stack, VM86, 16-bit
gates or stacks, a fault on the way. Then `Delivery` does it again and knows which exception is due.
"""

from typing import Any, Final

from emulator.compiled import Word, compiled, for_python, load_i64, load_u32, store_i64, store_u32
from emulator.jit import types
from emulator.mmu.walk import control
from emulator.timing.after import AFTER_SEGMENT
from emulator.timing.causes import INTERRUPT
from emulator.timing.charge import charge
from emulator.timing.system_access import ARRAY, system_read, system_write

CLEARED: Final = 0x100 | 0x4000 | 0x10000 | 0x20000  # TF NT RF VM
IF: Final = 0x200
VM: Final = 0x20000
HF_CLEARED: Final = 0x3 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100  # CPL, IRQ shadow, CS32, SS32, ADDSEG, TF
BIG: Final = 1 << 22
CS: Final = 1
SS: Final = 2
ESP: Final = 4
SEGMENT_STRIDE: Final = 24


@compiled
def descriptor_base(low: Word, high: Word) -> Word:
    """Base of a segment descriptor."""
    return (low >> 16) | (high & 0xFF) << 16 | (high & 0xFF000000)


@compiled
def descriptor_limit(low: Word, high: Word) -> Word:
    """Limit of a segment descriptor, in bytes."""
    limit = (low & 0xFFFF) | (high & 0xF0000)
    if high >> 23 & 1:
        return limit << 12 | 0xFFF
    return limit


@compiled
def set_segment(s: Any, index: Word, selector: Word, low: Word, high: Word) -> None:
    """Load a segment register with a checked descriptor."""
    at = s.at_segments + SEGMENT_STRIDE * index
    store_u32(at, selector)
    store_i64(at + 8, descriptor_base(low, high))
    store_u32(at + 16, descriptor_limit(low, high))
    store_u32(at + 20, high)


@compiled
def in_gdt(s: Any, selector: Word) -> Any:
    """Does a selector name a descriptor inside the GDT?"""
    return selector & 0xFFFC != 0 and not selector & 4 and (selector & 0xFFF8) + 7 <= load_u32(s.at_gdt + 16)


@compiled
def update_mode(s: Any, code_high: Word, stack_high: Word) -> None:
    """The mode bits that QEMU caches in hflags, from CS and SS and the data segments' bases."""
    hflags = load_u32(s.at_hflags) & ~HF_CLEARED
    hflags |= stack_high >> 13 & 3
    if code_high & BIG:
        hflags |= 0x10
    if stack_high & BIG:
        hflags |= 0x20
    bases = load_i64(s.at_segments + 8)  # ES
    bases |= load_i64(s.at_segments + SEGMENT_STRIDE * SS + 8)
    bases |= load_i64(s.at_segments + SEGMENT_STRIDE * 3 + 8)  # DS
    if not code_high & BIG or bases:
        hflags |= 0x40
    store_u32(s.at_hflags, hflags)


@compiled
def interrupted(s: Any, cost: Word) -> None:
    """What every delivery ends or charges, the common one or not."""
    s.after = AFTER_SEGMENT
    s.debug_hits = 0
    s.debug_shadow = 0
    s.last_branch = 0
    s.last_rep = 0
    s.fault = 0
    if s.accounting:
        charge(s, INTERRUPT, cost)
    else:
        s.cycles += 1  # or faults could go on for ever at the same cycle


@for_python(types.boolean(ARRAY, types.int64, types.int64, types.int64, types.boolean, types.int64))
def deliver_quickly(
    state: Any, vector: Word, error: Word, pushed_flags: Word, software: bool, cost: Word
) -> Any:
    """Deliver `vector`; `error` is -1 for none, `cost` the fixed cycles.

    False: nothing but that was done, take the long way.
    """
    s = state[0]
    interrupted(s, cost)
    cpl = load_u32(s.at_hflags) & 3
    if not control(s, 0) & 1 or pushed_flags & VM or vector * 8 + 7 > load_u32(s.at_idt + 16):
        return False
    idt = load_i64(s.at_idt + 8)
    gate = system_read(state, idt + 8 * vector, 4, False)
    gate_high = system_read(state, idt + 8 * vector + 4, 4, False)
    if (
        gate < 0
        or gate_high < 0
        or gate_high & 0x9E00 != 0x8E00
        or (software and (gate_high >> 13 & 3) < cpl)
    ):
        return False
    selector = gate >> 16
    if not in_gdt(s, selector):
        return False
    gdt = load_i64(s.at_gdt + 8)
    code = system_read(state, gdt + (selector & 0xFFF8), 4, False)
    code_high = system_read(state, gdt + (selector & 0xFFF8) + 4, 4, False)
    if code < 0 or code_high < 0 or code_high & 0x9800 != 0x9800:
        return False
    ring = code_high >> 13 & 3
    if ring > cpl:
        return False
    inner = not code_high & 0x400 and ring < cpl
    at_stack = s.at_segments + SEGMENT_STRIDE * SS
    old_stack = load_u32(at_stack)
    top = load_u32(s.at_registers + 8 * ESP)
    old_top = top
    base = load_i64(at_stack + 8)
    stack = 0
    stack_high = load_u32(at_stack + 20)
    stack_selector = 0
    if inner:
        tss = load_i64(s.at_tr + 8)
        if not load_u32(s.at_tr + 20) & 0x800 or 4 + 8 * ring + 5 > load_u32(s.at_tr + 16):
            return False
        top = system_read(state, tss + 4 + 8 * ring, 4, False)
        stack_selector = system_read(state, tss + 8 + 8 * ring, 2, False)
        if top < 0 or stack_selector < 0 or stack_selector & 3 != ring or not in_gdt(s, stack_selector):
            return False
        stack = system_read(state, gdt + (stack_selector & 0xFFF8), 4, False)
        stack_high = system_read(state, gdt + (stack_selector & 0xFFF8) + 4, 4, False)
        if stack < 0 or stack_high < 0 or stack_high & 0x9A00 != 0x9200 or stack_high >> 13 & 3 != ring:
            return False
        base = descriptor_base(stack, stack_high)
    else:
        ring = cpl
    limit = descriptor_limit(stack, stack_high) if inner else load_u32(at_stack + 16)
    offset = (gate & 0xFFFF) | (gate_high & 0xFFFF0000)
    if not stack_high & BIG or limit != 0xFFFFFFFF or offset > descriptor_limit(code, code_high):
        return False
    at_code = s.at_segments + SEGMENT_STRIDE * CS
    old_code = load_u32(at_code)
    eip = load_i64(s.at_eip) & 0xFFFFFFFF
    for step in range(6):
        if step == 0:
            value = old_stack
        elif step == 1:
            value = old_top
        elif step == 2:
            value = pushed_flags
        elif step == 3:
            value = old_code
        elif step == 4:
            value = eip
        else:
            value = error
        if (step < 2 and not inner) or (step == 5 and error < 0):
            continue
        top = (top - 4) & 0xFFFFFFFF
        if system_write(state, base + top, value, 4, False) < 0:
            return False
    if inner:
        set_segment(s, SS, (stack_selector & 0xFFFC) | ring, stack, stack_high)
    set_segment(s, CS, (selector & 0xFFFC) | ring, code, code_high)
    store_i64(s.at_registers + 8 * ESP, top)
    store_i64(s.at_eip, offset)
    flags = load_u32(s.at_eflags) & ~CLEARED
    if not gate_high & 0x100:
        flags &= ~IF
    store_u32(s.at_eflags, flags)
    store_u32(s.at_old_exception, 0xFFFFFFFF)
    store_u32(s.at_is_int, 0)
    update_mode(s, code_high, stack_high)
    return True
