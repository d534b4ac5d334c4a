"""Access plans, evaluated: the accesses of a block, from the registers at its entry, drive the model.

    block --> section 0 | section 1 ...      a section begins where the registers must be looked at again
    section --> entries, in program order    one access, or a value that a later address needs

    offset of an access = register1 * factor1 + register2 * factor2 + displacement

A plan stops before the first access that will fault: so exactly what happens is charged. It stops, too,
where the rest depends on what the block itself is about to do (a store to a page table, a device's
register, a load from where the block has just stored): then the block gets another section there.
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
)
from emulator.jit import carray, types
from emulator.mmu.tlb import DATA
from emulator.mmu.walk import control, permitted, table_frame
from emulator.timing.access import access
from emulator.timing.after import block_records
from emulator.timing.cache import data_access
from emulator.timing.causes import DEVICE
from emulator.timing.charge import charge
from emulator.timing.crossing import crossing
from emulator.timing.fill import translation
from emulator.timing.state import ENTRY, SECTION, STATE_POINTER

(
    ENTRY_ACCESS,
    ENTRY_LOAD,
    ENTRY_SUM,
    ENTRY_OPERATE,
    ENTRY_STEP,
    ENTRY_NOT_ZERO,
    ENTRY_DESCRIPTOR,
    ENTRY_PROTECTED,
    ENTRY_OUTER,
    ENTRY_TO_VM86,
    ENTRY_LAST,
    ENTRY_FXSR,
    ENTRY_ALIGNED,
    ENTRY_RING0,
    ENTRY_IOPL,
    ENTRY_FPU,
    ENTRY_SSE,
    ENTRY_OPAQUE,
) = range(18)

FLAG_WRITE: Final = 1
FLAG_MASK: Final = 2  # 16-bit addressing
FLAG_STACK: Final = 4  # wraps with SS
FLAG_OVERRIDE: Final = 8  # the segment's base counts even if the usual ones are 0
FLAG_SIGNED: Final = 16
FLAG_MARKS: Final = 32  # a descriptor is marked as accessed
FLAG_BUSY: Final = 64  # a TSS's is marked as busy

ZERO: Final = 8
TEMPORARIES: Final = 128
IMMEDIATE: Final = 255

DONE: Final = 0
STOPPED: Final = 1  # nothing behind is accessed
SPLIT: Final = 2  # the rest needs a section of its own, which begins at the instruction `split_at`

ALL: Final = 0xFFFFFFFF
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


@inlined
def on_page(s: Any, physical: Word, size: Word, write: bool) -> Word:
    """An access by the page that was used last, with the same rights."""
    s.planned_at = physical
    if write:
        s.writes += 1
    else:
        s.reads += 1
    line = physical >> s.l1d_shift
    last = (physical + size - 1) >> s.l1d_shift
    data_access(s, physical, write)
    if last != line:
        data_access(s, physical + size - 1, write)
    s.last_data_line = last
    return look_at_frame(s, physical, size, write)


@inlined
def look_at_frame(s: Any, physical: Word, size: Word, write: bool) -> Word:
    """Frames that hold code or page tables need more than the model."""
    frame = physical >> 12
    if load_u8(s.code_frames + frame):
        s.last_data_writable = 0  # every store to it must come here
        if (
            write
            and not s.rewritten
            and physical < s.last_physical + s.last_size
            and physical + size > s.last_physical
        ):
            s.rewritten = 1
            return REFUSED  # the engine begins again with this store
    if table_frame(s, frame):
        s.last_data_line = -1
        if write:
            s.table_written = 1
        return DOUBTFUL
    return PASSED


@compiled
def modelled(s: Any, linear: Word, size: Word, write: bool, user: bool) -> Word:
    """One access: check its rights, count it, and drive the model. Its physical address is `planned_at`."""
    page = linear >> 12
    if page == s.last_data_page and (not write or s.last_data_writable) and (linear & 0xFFF) + size <= 4096:
        frame = s.last_data_frame
        if frame << 12 < s.ram_size:  # rights and frame as the last time, another line
            return on_page(s, frame << 12 | (linear & 0xFFF), size, write)
    found = translation(s, DATA, page)
    if found < 0 or not permitted(s, found >> 20, write, user):
        return REFUSED
    last = (linear + size - 1) & ALL
    physical = (found & 0xFFFFF) << 12 | (linear & 0xFFF)
    s.planned_at = physical
    if last >> 12 != page:
        second = translation(s, DATA, last >> 12)
        if second < 0 or not permitted(s, second >> 20, write, user):
            return REFUSED
        s.planned_at = -1
    if write:
        s.writes += 1
    else:
        s.reads += 1
    if physical >= s.ram_size:
        s.outside_ram += 1
        charge(s, DEVICE, s.uncached_cost)
        return DOUBTFUL
    if last >> 12 != page:
        crossing(s, linear, write)
        return DOUBTFUL if s.table_written else PASSED
    access(s, linear, write)
    line = physical >> s.l1d_shift
    s.last_data_line = line
    if (physical + size - 1) >> s.l1d_shift != line:
        access(s, last, write)
        s.last_data_line = (physical + size - 1) >> s.l1d_shift
    if not permitted(s, found >> 20, True, user):
        s.last_data_writable = 0
    return look_at_frame(s, physical, size, write)


@inlined
def quick(s: Any, linear: Word, size: Word, write: Word) -> Any:
    """The same line again by the same page, with the rights that it needs: youngest everywhere."""
    if linear >> 12 != s.last_data_page:
        return False
    physical = s.last_data_frame << 12 | (linear & 0xFFF)
    if (
        physical >> s.l1d_shift != s.last_data_line
        or (physical + size - 1) >> s.l1d_shift != s.last_data_line
    ):
        return False
    if write:
        if not s.last_data_writable:
            return False
        s.writes += 1
        return True
    if not s.last_data_loaded:
        return False
    s.reads += 1
    return True


@compiled
def peek(s: Any, linear: Word, size: Word) -> Word:
    """Bytes at a linear address, or -1: no rights are checked and nothing is charged."""
    value = 0
    found = translation(s, DATA, linear >> 12)
    if found < 0:
        return -1
    physical = (found & 0xFFFFF) << 12 | (linear & 0xFFF)
    if (linear & 0xFFF) + size <= 4096:
        if physical + size > s.ram_size:
            return -1
        if size == 4:
            return load_u32(s.ram + physical)
    for i in range(size):
        at = (linear + i) & ALL
        found = translation(s, DATA, at >> 12)
        physical = (found & 0xFFFFF) << 12 | (at & 0xFFF)
        if found < 0 or physical >= s.ram_size:
            return -1
        value |= load_u8(s.ram + physical) << (8 * i)
    return value


@compiled
def stored(s: Any, linear: Word, size: Word, count: Word) -> Any:
    """Has one of the section's first `count` stores touched these bytes?"""
    found = translation(s, DATA, linear >> 12)
    physical = (found & 0xFFFFF) << 12 | (linear & 0xFFF)
    if (linear & 0xFFF) + size > 4096:
        return True
    for i in range(count):
        at = s.store_at[i]
        if at < 0 or (physical < at + s.store_size[i] and at < physical + size):
            return True
    return False


@compiled
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
def descriptor(s: Any, selector: Word, flags: Word) -> Word:
    """A segment load reads its descriptor as a supervisor, and may write back that it did."""
    selector &= 0xFFFF
    if not control(s, 0) & CR0_PE or load_u32(s.at_eflags) & VM or not selector & 0xFFFC:
        return PASSED
    table = s.at_ldt if selector & 4 else s.at_gdt
    if selector | 7 > load_u32(table + 16):
        return REFUSED
    at = (load_i64(table + 8) + (selector & 0xFFF8)) & ALL
    result: Word = PASSED
    for half in range(2):
        one = modelled(s, (at + 4 * half) & ALL, 4, False, False)
        if one == REFUSED:
            return REFUSED
        result |= one
    high = peek(s, (at + 4) & ALL, 4)
    marks = flags & FLAG_BUSY or (flags & FLAG_MARKS and high & 0x9100 == 0x9000)
    if marks:
        one = modelled(s, (at + 4) & ALL, 4, True, False)
        if one == REFUSED:
            return REFUSED
        result |= one
    s.last_data_page = -1  # the ring may have no right to it
    s.last_data_line = -1
    return result


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
    if guard == ENTRY_FPU:
        return not control(s, 0) & CR0_EM_TS
    if guard == ENTRY_SSE:
        return not control(s, 0) & CR0_EM_TS and control(s, 4) & CR4_OSFXSR != 0
    return control(s, 4) & CR4_OSFXSR != 0  # ENTRY_FXSR


@inlined
def value_of(r: Any, e: Any) -> Word:
    """The linear sum of an entry."""
    return (
        r[np.int64(e.first)] * np.int64(e.factor1)
        + r[np.int64(e.second)] * np.int64(e.factor2)
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


@compiled
def instruction_end(s: Any, at: Word, end: Word) -> Word:
    """The entries behind the instruction of an entry must wait: their number, and where the split is."""
    entries = carray(as_pointer(s.entries), (1 << 24,), dtype=ENTRY)
    index = np.int64(entries[at].index)
    for i in range(at + 1, end):
        if np.int64(entries[i].index) != index:
            s.split_wanted = index + 1
            return i
    return end


@compiled
def run_plain(s: Any, first: Word, count: Word) -> Word:
    """Evaluate a section that needs no values but those of entry registers."""
    entries = carray(as_pointer(s.entries), (1 << 24,), dtype=ENTRY)
    r = carray(as_pointer(s.at_registers), (9,), dtype=np.int64)
    hflags = load_u32(s.at_hflags)
    user = hflags & 3 == 3
    end = first + count
    i = first
    while i < end:
        e = entries[i]
        kind = np.int64(e.kind)
        if kind != ENTRY_ACCESS:
            i += 1
            if kind == ENTRY_NOT_ZERO:
                if value_of(r, e) & ALL == 0:
                    return STOPPED
            elif not allowed(s, kind):
                return STOPPED
            continue
        linear = linear_of(s, r, e, hflags)
        size = np.int64(e.size)
        write = np.int64(e.flags) & FLAG_WRITE
        if not quick(s, linear, size, write):
            result = modelled(s, linear, size, write != 0, user)
            if result == REFUSED:
                return STOPPED
            if result == DOUBTFUL:
                end = instruction_end(s, i, end)
        i += 1
    return DONE if end == first + count else SPLIT


@compiled
def run_sliced(s: Any, first: Word, count: Word) -> Word:
    """Evaluate any section."""
    entries = carray(as_pointer(s.entries), (1 << 24,), dtype=ENTRY)
    r = s.temporaries
    for n in range(8):
        r[n] = load_u32(s.at_registers + 8 * n)
    r[ZERO] = 0
    hflags = load_u32(s.at_hflags)
    user = hflags & 3 == 3
    stores: Word = 0
    end = first + count
    i = first
    while i < end:
        e = entries[i]
        i += 1
        kind = np.int64(e.kind)
        size = np.int64(e.size)
        flags = np.int64(e.flags)
        if kind == ENTRY_ACCESS:
            linear = linear_of(s, r, e, hflags)
            write = flags & FLAG_WRITE
            if quick(s, linear, size, write):
                s.planned_at = s.last_data_frame << 12 | (linear & 0xFFF)
            else:
                result = modelled(s, linear, size, write != 0, user)
                if result == REFUSED:
                    return STOPPED
                if result == DOUBTFUL:
                    end = instruction_end(s, i - 1, end)
            if write:
                s.store_at[stores] = s.planned_at
                s.store_size[stores] = size
                stores += 1
        elif kind == ENTRY_LOAD:
            linear = linear_of(s, r, e, hflags)
            value = -1
            if e.stores == 0 or not stored(s, linear, size, np.int64(e.stores)):
                value = peek(s, linear, size)
            if value < 0:
                s.split_wanted = np.int64(e.index)
                return SPLIT
            if flags & FLAG_SIGNED:
                value = operate(7 if size == 1 else 8, value, 0)
            r[np.int64(e.result)] = value
        elif kind == ENTRY_SUM:
            r[np.int64(e.result)] = value_of(r, e) & ALL
        elif kind == ENTRY_OPERATE:
            right = np.int64(e.displacement) & ALL if e.second == IMMEDIATE else r[np.int64(e.second)]
            r[np.int64(e.result)] = operate(size, r[np.int64(e.first)], right)
        elif kind == ENTRY_STEP:
            r[np.int64(e.result)] = (load_u32(s.at_registers + AT_STEP) ^ 0x80000000) - 0x80000000
        elif kind == ENTRY_NOT_ZERO:
            if value_of(r, e) & ALL == 0:
                return STOPPED
        elif kind == ENTRY_DESCRIPTOR:
            result = descriptor(s, value_of(r, e), flags)
            if result == REFUSED:
                return STOPPED
            if result == DOUBTFUL:
                end = instruction_end(s, i - 1, end)
        elif kind == ENTRY_OUTER:  # 1: an inner ring is an exception; else: stop unless an outer one
            ring = value_of(r, e) & 3
            now = hflags & 3
            if (e.result and ring < now) or (not e.result and ring <= now):
                return STOPPED
        elif kind == ENTRY_TO_VM86:
            if not (value_of(r, e) & VM and hflags & 3 == 0):
                i += np.int64(e.result)
        elif kind == ENTRY_LAST:
            return STOPPED
        elif kind == ENTRY_ALIGNED:
            segment = np.int64(e.result)
            base = load_i64(s.at_segments + 24 * segment + 8)
            if (value_of(r, e) + base) & (size - 1):
                return STOPPED
        elif kind == ENTRY_OPAQUE:
            s.opaque_accesses += 1
        elif not allowed(s, kind):
            return STOPPED
    return DONE if end == first + count else SPLIT


@inlined
def evaluate_section(s: Any, section: Any) -> Word:
    """DONE, STOPPED or SPLIT."""
    ring = load_u32(s.at_hflags) & 3
    if ring != s.planned_ring:  # what was allowed to the other one is looked up anew
        s.planned_ring = ring
        s.last_data_page = -1
        s.last_data_line = -1
    if section.sliced:
        return run_sliced(s, np.int64(section.first), np.int64(section.count))
    return run_plain(s, np.int64(section.first), np.int64(section.count))


@compiled
def run_step(s: Any, number: Word) -> None:
    """Checked execution: evaluate the section of one instruction."""
    sections = carray(as_pointer(s.sections), (1 << 22,), dtype=SECTION)
    if evaluate_section(s, sections[number]) == SPLIT:
        s.opaque_accesses += 1


@compiled
def run_section(s: Any, block: Any, index: Word, number: Word) -> None:
    """Evaluate section `number` of the running block; what is left of the block waits in `section_next`."""
    sections = carray(as_pointer(s.sections), (1 << 22,), dtype=SECTION)
    section = sections[np.int64(block.section) + number]
    s.section_next = -1
    result = evaluate_section(s, section)
    if result == DONE:
        if number + 1 < np.int64(block.sections):
            s.section_next = number + 1
    elif result == SPLIT:
        call3(s.split_function, index, s.split_wanted, number)


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_section(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE where a section begins."""
    s = carray(state, (1,))[0]
    number = s.section_next
    if number < 0:
        return
    block = block_records(s)[s.last_block]
    sections = carray(as_pointer(s.sections), (1 << 22,), dtype=SECTION)
    if (address - s.last_address) & ALL != np.int64(sections[np.int64(block.section) + number].offset):
        return
    run_section(s, block, s.last_block, number)
