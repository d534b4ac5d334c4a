"""Accesses that the processor makes by itself: descriptors, TSS, stack frames of a delivery.

They translate and charge like any data access, but return the fault instead of raising it, since
a fault in a delivery is judged by the double-fault rules (SDM vol. 3A 5.15).

    >= 0   done (reads: the value)
    <  0   page fault: -1 - (error code without U for supervisor accesses)
"""

from typing import Any

from emulator.compiled import Word, compiled, for_python, load_u8, load_u32, store_u8, store_u32
from emulator.jit import from_dtype, types
from emulator.mmu.tlb import CODE, DATA
from emulator.mmu.walk import CR0_PG, control, permitted, set_accessed, table_frame
from emulator.timing.access import access, flush_soft_tlb
from emulator.timing.after import AFTER_FAR, AFTER_SEGMENT, after_effect, forget_filters
from emulator.timing.charge import charge, charge_instructions, settle
from emulator.timing.fill import ERROR_PRESENT, ERROR_USER, ERROR_WRITE, translation
from emulator.timing.state import STATE

RECORD = from_dtype(STATE)
ARRAY = types.Array(RECORD, 1, "C")


@compiled
def system_translate(s: Any, linear: Word, write: bool, user: bool) -> Word:
    """Physical address of one byte, charged as an access, or -1 - error code."""
    page = linear >> 12
    error = (ERROR_WRITE if write else 0) | (ERROR_USER if user else 0)
    found = translation(s, DATA, page)
    if found < 0:
        return -1 - error
    if not permitted(s, found >> 20, write, user):
        return -1 - (error | ERROR_PRESENT)
    if s.accounting:
        physical = access(s, linear, write)
        s.last_data_line = -1  # the next access of the guest is by another page,
        s.last_data_page = -1  # to which its ring may have fewer rights
        s.quick_page = -1
        return physical
    if control(s, 0) & CR0_PG:
        set_accessed(s, page, write)
    return (found & 0xFFFFF) << 12 | (linear & 0xFFF)


@for_python(types.int64(ARRAY, types.int64, types.int64, types.boolean))
def system_read(state: Any, linear: Word, size: Word, user: bool) -> Any:
    """Read 1, 2 or 4 bytes at a linear address; absent memory reads ones."""
    s = state[0]
    linear &= 0xFFFFFFFF
    physical = system_translate(s, linear, False, user)
    if physical < 0:
        return physical
    if (linear & 0xFFF) + size <= 4096:
        if physical + size > s.ram_size:
            return (1 << (8 * size)) - 1
        if size == 4:
            return load_u32(s.ram + physical)
        value = 0
        for i in range(size):
            value |= load_u8(s.ram + physical + i) << (8 * i)
        return value
    value = 0
    for i in range(size):
        physical = system_translate(s, (linear + i) & 0xFFFFFFFF, False, user)
        if physical < 0:
            return physical
        byte = load_u8(s.ram + physical) if physical < s.ram_size else 0xFF
        value |= byte << (8 * i)
    return value


@compiled
def note_write(s: Any, physical: Word) -> None:
    """The engine doesn't see our writes: remember those to page tables and to frames that have held code."""
    if physical < s.ram_size:
        if table_frame(s, physical >> 12):
            s.table_written = 1
        if load_u8(s.code_frames + (physical >> 12)):
            s.code_written = 1


@for_python(types.int64(ARRAY, types.int64, types.int64, types.int64, types.boolean))
def system_write(state: Any, linear: Word, value: Word, size: Word, user: bool) -> Any:
    """Write 1, 2 or 4 bytes at a linear address. Nothing is written if any byte would fault."""
    s = state[0]
    linear &= 0xFFFFFFFF
    last = (linear + size - 1) & 0xFFFFFFFF
    if last >> 12 != linear >> 12:
        physical = system_translate(s, last, True, user)
        if physical < 0:
            return physical
        note_write(s, physical)
    physical = system_translate(s, linear, True, user)
    if physical < 0:
        return physical
    note_write(s, physical)
    if last >> 12 == linear >> 12:
        if physical + size <= s.ram_size:
            if size == 4:
                store_u32(s.ram + physical, value)
            else:
                for i in range(size):
                    store_u8(s.ram + physical + i, (value >> (8 * i)) & 0xFF)
        return 0
    for i in range(size):
        physical = system_translate(s, (linear + i) & 0xFFFFFFFF, True, user)
        if physical < s.ram_size:
            store_u8(s.ram + physical, (value >> (8 * i)) & 0xFF)
    return 0


@for_python(types.void(ARRAY, types.int64, types.int64))
def charge_cause(state: Any, cause: Word, cycles: Word) -> None:
    """`charge` for Python: spend cycles outside a block (deliveries, idle time)."""
    charge(state[0], cause, cycles)


@for_python(types.void(ARRAY, types.int64))
def charge_cost256(state: Any, cost256: Word) -> None:
    """`charge_instructions` for Python: take back what a fault kept from executing."""
    charge_instructions(state[0], cost256)


@for_python(types.void(ARRAY))
def forget(state: Any) -> None:
    """Flush the soft TLB and the filters, after the host has changed memory or registers."""
    flush_soft_tlb(state[0])
    forget_filters(state[0])


@for_python(types.void(ARRAY))
def control_3_changed(state: Any) -> None:
    """A task switch in Python has written CR3: what MOV CR3 would flush goes at once."""
    s = state[0]
    if control(s, 3) != s.cr3:
        s.after = AFTER_FAR
        after_effect(s)
        flush_soft_tlb(s)
    s.after = AFTER_SEGMENT  # the new task's segments and NT, too


@for_python(types.int64(ARRAY, types.int64))
def code_address(state: Any, linear: Word) -> Any:
    """Where an instruction at a linear address is fetched from, or -1: for decoders, no side effects.

    The code TLB may lead elsewhere than the tables, or still lead somewhere.
    """
    found = translation(state[0], CODE, (linear & 0xFFFFFFFF) >> 12)
    if found < 0:
        return -1
    return (found & 0xFFFFF) << 12 | (linear & 0xFFF)


@for_python(types.void(ARRAY))
def settle_ledger(state: Any) -> None:
    """Enter what is pending, before the ledger is read."""
    settle(state[0])
