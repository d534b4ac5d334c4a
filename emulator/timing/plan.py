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
    store_i64,
)
from emulator.jit import carray, types
from emulator.mmu.tlb import AGE_SHIFT, ARRAY_SIZE, DATA, forget_quick_pages, frame_of, probe
from emulator.mmu.walk import (
    CR0_PG,
    RIGHT_DIRTY,
    RIGHT_USER,
    RIGHT_WRITE,
    control,
    permitted,
    table_frame,
    walk,
)
from emulator.timing.access import data_frame, data_frame_at, flush_soft_tlb
from emulator.timing.after import block_at, in_last_block
from emulator.timing.cache import data_access
from emulator.timing.causes import DEVICE
from emulator.timing.charge import charge
from emulator.timing.crossing import crossing
from emulator.timing.fill import fetched_alike, translation
from emulator.timing.hooked import note_hook
from emulator.timing.state import ENTRY, QUICK_PAGES, SECTION, STATE_POINTER

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
SPLIT: Final = 2  # the rest needs a section of its own, which begins at the instruction `split_at`

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
def look_at_frame(s: Any, physical: Word, size: Word, write: bool) -> Word:
    """Frames that hold code or page tables need more than the model."""
    frame = physical >> 12
    if load_u8(s.code_frames + frame):
        s.last_data_writable = 0  # every store to it must come here
        if write and not s.rewritten and in_last_block(s, physical, physical + size - 1):
            s.rewritten = 1
            return REFUSED  # the engine begins again with this store
    if table_frame(s, frame):
        if write:
            s.table_written = 1
        return DOUBTFUL
    return PASSED


@compiled
def apart_from_code(s: Any, page: Word, found: Word, user: bool) -> Any:
    """Is this a frame of code, in a page that may not be granted as one (`fill.grant_data`)?"""
    frame = found & 0xFFFFF
    if frame << 12 >= s.ram_size or not load_u8(s.code_frames + frame):
        return False
    return not fetched_alike(s, page, frame, user)


@compiled
def modelled(s: Any, linear: Word, size: Word, write: bool, user: bool) -> Word:
    """One access: check its rights, count it, and drive the model. Its physical address is `planned_at`."""
    page = linear >> 12
    entry: Word = -1
    paging = control(s, 0) & CR0_PG
    if not paging:
        found = page | (RIGHT_WRITE | RIGHT_USER) << 20
    else:
        entry = probe(s, DATA, page)
        if entry >= 0:
            found = frame_of(s, entry, page) | s.tlb_rights[entry] << 20
        else:
            found = walk(s, page)
            if s.marked:
                return MARKED
    if found < 0 or not permitted(s, found >> 20, write, user):
        return REFUSED
    last = (linear + size - 1) & ALL
    physical = (found & 0xFFFFF) << 12 | (linear & 0xFFF)
    s.planned_at = physical
    apart = write and apart_from_code(s, page, found, user)
    if last >> 12 != page:
        second = translation(s, DATA, last >> 12)
        if s.marked:
            return MARKED
        if second < 0 or not permitted(s, second >> 20, write, user):
            return REFUSED
        s.planned_at = -1
        apart = apart or (write and apart_from_code(s, last >> 12, second, user))
    if s.marked:
        return MARKED
    if apart:
        flush_soft_tlb(s)  # the engine looks for code at the first store after a fill only
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
        return DOUBTFUL if s.table_written or apart else PASSED
    if page != s.last_data_page or (write and not s.last_data_writable):
        if paging:
            data_frame_at(s, page, write, entry, found)
        else:
            data_frame(s, page, write)
    data_access(s, physical, write)
    if (physical + size - 1) >> s.l1d_shift != physical >> s.l1d_shift:
        data_access(s, physical + size - 1, write)
    if not permitted(s, found >> 20, True, user):
        s.last_data_writable = 0
    if load_u8(s.special_frames + (physical >> 12)):
        result = look_at_frame(s, physical, size, write)
        return DOUBTFUL if result == PASSED and apart else result
    s.quick_page = page
    s.quick_base = physical & ~0xFFF
    s.quick_write = s.last_data_writable
    return PASSED


@callback(types.int64(types.int64, types.int64, STATE_POINTER))
def on_access(linear: Any, how: Any, state: Any) -> Any:
    """`modelled`, for compiled callers: it is large. how = size << 2 | write << 1 | user."""
    s = carray(state, (1,))[0]
    return modelled(s, linear, how >> 2, how & 2 != 0, how & 1 != 0)


@compiled
def touch(s: Any, linear: Word, size: Word, write: Word, user: Word) -> Word:
    """One access, whichever tables it reads: PASSED, DOUBTFUL or REFUSED."""
    result = MARKED
    while result == MARKED:
        s.marked = 0
        result = call3(s.access_function, linear & ALL, size << 2 | write << 1 | user, s.self)
    return result


@callback(types.int64(types.int64, types.int64, STATE_POINTER))
def on_line(physical: Any, write: Any, state: Any) -> Any:
    """An access to a line that isn't at the front of its set."""
    s = carray(state, (1,))[0]
    data_access(s, physical, write != 0)
    return 0


@compiled
def find_page(s: Any, page: Word, user: bool) -> Any:
    """Remember a page for `select_page`, if its entry allows it with nothing left to note.

    Not if its frame is special: what is stored there must be looked at.
    """
    frame, rights, entry = page, RIGHT_USER | WRITTEN, -1
    if control(s, 0) & CR0_PG:
        entry = probe(s, DATA, page)
        if entry < 0:
            return False
        frame, rights = frame_of(s, entry, page), s.tlb_rights[entry]
        if s.tlb_fifo[entry // ARRAY_SIZE]:
            entry = -1
    if (user and not rights & RIGHT_USER) or frame << 12 >= s.ram_size:
        return False
    if load_u8(s.special_frames + frame):
        return False
    at = s.quick_at + 32 * (page & (QUICK_PAGES - 1))
    store_i64(at, s.quick_generation + page)
    store_i64(at + 8, frame << 12)
    store_i64(at + 16, 1 if rights & WRITTEN == WRITTEN else 0)
    store_i64(at + 24, entry)
    return True


@inlined
def select_page(s: Any, page: Word, user: bool) -> Any:
    """Go over to another page, which becomes the youngest. False: only `modelled` can do that."""
    at = s.quick_at + 32 * (page & (QUICK_PAGES - 1))
    if load_i64(at) != s.quick_generation + page and not find_page(s, page, user):
        return False
    entry = load_i64(at + 24)
    if entry >= 0:
        s.tick += 1
        store_i64(s.tlb_age_at + 8 * entry, s.tick << AGE_SHIFT | entry)
    s.last_data_page = -1
    s.quick_page = page
    s.quick_base = load_i64(at + 8)
    s.quick_write = load_i64(at + 16)
    return True


@inlined
def quick(s: Any, linear: Word, size: Word, write: Word, user: bool) -> Any:
    """An access as most are: to a page that is in the TLB with all rights, in one line. False: not done.

    A line at the front of its set is the youngest already.
    """
    page = linear >> 12
    if page != s.quick_page and not select_page(s, page, user):
        return False
    if write and not s.quick_write:
        return False
    physical = s.quick_base | (linear & 0xFFF)
    line = physical >> s.l1d_shift
    if (physical + size - 1) >> s.l1d_shift != line:
        return False
    if load_u32(s.l1d_at + (line & (s.l1d_sets - 1)) * s.l1d_stride) == line:
        s.store_line = -1
    else:
        call3(s.line_function, physical, write, s.self)
    if write:
        s.writes += 1
    else:
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


@inlined
def among(s: Any, physical: Word, size: Word, count: Word) -> Any:
    """Do the section's first `count` stores touch these bytes of one page?"""
    for i in range(count):
        at = s.store_at[np.uint64(i)]
        if at < 0 or (physical < at + s.store_size[np.uint64(i)] and at < physical + size):
            return True
    return False


@compiled
def stored(s: Any, linear: Word, size: Word, count: Word) -> Any:
    """Has one of the section's first `count` stores touched these bytes?"""
    found = translation(s, DATA, linear >> 12)
    physical = (found & 0xFFFFF) << 12 | (linear & 0xFFF)
    return (linear & 0xFFF) + size > 4096 or among(s, physical, size, count)


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


@compiled
def instruction_end(s: Any, at: Word, end: Word) -> Word:
    """The entries behind the instruction of an entry must wait: their number, and where the split is."""
    index = np.int64(entry_at(s, at).index)
    for i in range(at + 1, end):
        if np.int64(entry_at(s, i).index) != index:
            s.split_wanted = index + 1
            return i
    return end


@compiled
def overlaps(s: Any, at: Word, linear: Word, size: Word) -> Any:
    """Is the table entry at physical address `at` among these bytes?"""
    found = translation(s, DATA, linear >> 12)
    if found < 0:
        return False
    physical = (found & 0xFFFFF) << 12 | (linear & 0xFFF)
    return physical < at + 4 and at < physical + size


@compiled
def tables_of_own(s: Any, r: Any, first: Word, now: Word, page: Word) -> Any:
    """Has an earlier instruction of the section accessed the entries that map `page`?"""
    hflags = load_u32(s.at_hflags)
    directory = (control(s, 3) & 0xFFFFF000) + ((page >> 10) << 2)
    table: Word = directory
    if directory < s.ram_size:
        table = (load_u32(s.ram + directory) & 0xFFFFF000) + ((page & 0x3FF) << 2)
    index = np.int64(entry_at(s, now).index)
    for i in range(first, now):
        e = entry_at(s, i)
        if np.int64(e.kind) != ENTRY_ACCESS or np.int64(e.index) == index:
            continue
        linear = linear_of(s, r, e, hflags)
        size = np.int64(e.size)
        if overlaps(s, directory, linear, size) or overlaps(s, table, linear, size):
            return True
    return False


@compiled
def after_mark(s: Any, r: Any, first: Word, now: Word, linear: Word, user: bool) -> Word:
    """An access reads a page table for the first time since the soft TLB was flushed.

    If the block has accessed that entry just before, what it has stored isn't there yet, or what it is about
    to load would have A and D set too early: the access waits (MARKED). Otherwise it is done.
    """
    e = entry_at(s, now)
    index = np.int64(e.index)
    size = np.int64(e.size)
    begun = False
    for i in range(first, now):
        earlier = entry_at(s, i)
        begun |= np.int64(earlier.kind) == ENTRY_ACCESS and np.int64(earlier.index) == index
    last = (linear + size - 1) & ALL
    if not begun and (
        tables_of_own(s, r, first, now, linear >> 12) or tables_of_own(s, r, first, now, last >> 12)
    ):
        s.marked = 0
        s.split_wanted = index
        return MARKED
    write = np.int64(e.flags) & FLAG_WRITE
    return touch(s, linear, size, write, 1 if user else 0)


@compiled
def run_plain(s: Any, first: Word, begin: Word, end: Word, doubtful: bool) -> Word:
    """Evaluate entries that need no values but those of entry registers; DONE, STOPPED or SPLIT.

    The section's are `first` to `end`, those from `begin` on are left. `doubtful`: that one has been
    evaluated, and what is behind its instruction must wait.
    """
    r = carray(as_pointer(s.at_registers), (9,), dtype=np.int64)
    hflags = load_u32(s.at_hflags)
    user = hflags & 3 == 3
    whole = end
    i = begin
    if doubtful:
        end = instruction_end(s, i, end)
        i += 1
    while i < end:
        e = entry_at(s, i)
        kind = np.int64(e.kind)
        i += 1
        if kind != ENTRY_ACCESS:
            if kind == ENTRY_NOT_ZERO:
                if value_of(r, e) & ALL == 0:
                    return STOPPED
            elif not allowed(s, kind):
                return STOPPED
            continue
        linear = linear_of(s, r, e, hflags)
        size = np.int64(e.size)
        write = np.int64(e.flags) & FLAG_WRITE
        if not quick(s, linear, size, write, user):
            result = call3(s.access_function, linear, size << 2 | write << 1 | (1 if user else 0), s.self)
            if result == MARKED:
                result = after_mark(s, r, first, i - 1, linear, user)
            if result == REFUSED:
                return STOPPED
            if result == MARKED:
                return SPLIT
            if result == DOUBTFUL:
                end = instruction_end(s, i - 1, end)
    return DONE if end == whole else SPLIT


@compiled
def run_sliced(s: Any, first: Word, count: Word) -> Word:
    """Evaluate any section."""
    r = carray(as_pointer(s.temporaries_at), (TEMPORARIES,), dtype=np.int64)
    for n in range(8):
        r[n] = load_u32(s.at_registers + 8 * n)
    r[ZERO] = 0
    hflags = load_u32(s.at_hflags)
    user = hflags & 3 == 3
    stores: Word = 0
    end = first + count
    i = first
    while i < end:
        e = entry_at(s, i)
        i += 1
        kind = np.int64(e.kind)
        size = np.int64(e.size)
        flags = np.int64(e.flags)
        if kind == ENTRY_ACCESS:
            linear = linear_of(s, r, e, hflags)
            write = flags & FLAG_WRITE
            if quick(s, linear, size, write, user):
                s.planned_at = s.quick_base | (linear & 0xFFF)
            else:
                result = call3(s.access_function, linear, size << 2 | write << 1 | (1 if user else 0), s.self)
                if result == MARKED:
                    result = after_mark(s, r, first, i - 1, linear, user)
                if result == REFUSED:
                    return STOPPED
                if result == MARKED:
                    return SPLIT
                if result == DOUBTFUL:
                    end = instruction_end(s, i - 1, end)
            if write:
                s.store_at[np.uint64(stores)] = s.planned_at
                s.store_size[np.uint64(stores)] = size
                stores += 1
        elif kind == ENTRY_LOAD:
            linear = linear_of(s, r, e, hflags)
            value: Word = -1
            if linear >> 12 == s.quick_page and linear & 0xFFF <= 4096 - 4:
                at = s.quick_base | (linear & 0xFFF)  # its access has just been here
                if not among(s, at, size, np.int64(e.stores)):
                    value = load_u32(s.ram + at) & (ALL >> (32 - 8 * size))
            elif e.stores == 0 or not stored(s, linear, size, np.int64(e.stores)):
                value = peek(s, linear, size)
            if value < 0:
                s.split_wanted = np.int64(e.index)
                return SPLIT
            if flags & FLAG_SIGNED:
                value = operate(7 if size == 1 else 8, value, 0)
            r[np.uint64(e.result)] = value
        elif kind == ENTRY_SUM:
            r[np.uint64(e.result)] = value_of(r, e) & ALL
        elif kind == ENTRY_OPERATE:
            right = np.int64(e.displacement) & ALL if e.second == IMMEDIATE else r[np.uint64(e.second)]
            r[np.uint64(e.result)] = operate(size, r[np.uint64(e.first)], right)
        elif kind == ENTRY_STEP:
            r[np.uint64(e.result)] = (load_u32(s.at_registers + AT_STEP) ^ 0x80000000) - 0x80000000
        elif kind == ENTRY_NOT_ZERO:
            if value_of(r, e) & ALL == 0:
                return STOPPED
        elif ENTRY_DESCRIPTOR <= kind <= ENTRY_FAR:
            result = call3(s.system_function, i - 1, value_of(r, e), s.self)
            if result == REFUSED:
                return STOPPED
            if result == MARKED:
                return SPLIT
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
def enter_ring(s: Any, ring: Word) -> None:
    """What was allowed to another ring is looked up anew."""
    if ring != s.planned_ring:
        s.planned_ring = ring
        s.last_data_page = -1
        forget_quick_pages(s)


@compiled
def evaluate_section(s: Any, number: Word) -> Word:
    """DONE, STOPPED or SPLIT."""
    section = section_at(s, number)
    enter_ring(s, load_u32(s.at_hflags) & 3)
    first, count = np.int64(section.first), np.int64(section.count)
    if section.sliced:
        return run_sliced(s, first, count)
    return run_plain(s, first, first, first + count, False)


@compiled
def go_on(s: Any, block: Any, index: Word, number: Word, result: Word) -> None:
    """What is left of the block behind section `number` waits in `section_next`."""
    s.section_next = 0
    if result == DONE:
        if number + 1 < np.int64(block.sections):
            s.section_next = number + 1
    elif result == SPLIT:
        call3(s.split_function, index, s.split_wanted, number)


@callback(types.int64(types.int64, types.int64, STATE_POINTER))
def section_entry(index: Any, number: Any, state: Any) -> Any:
    """Run section `number` of the running block, or (-1) that of one instruction, section `index`.

    From 2^32 on `number` is an entry of the block's only section: 1 << 32, it has been evaluated and was
    doubtful; 2 << 32, it hasn't.
    """
    s = carray(state, (1,))[0]
    if number < 0:
        if evaluate_section(s, index) == SPLIT:
            s.opaque_accesses += 1
        return 0
    block = block_at(s, index)
    if number >> 32:
        first = np.int64(block.entry)
        end = first + np.int64(block.entries)
        go_on(s, block, index, 0, run_plain(s, first, number & ALL, end, number >> 32 == 1))
    else:
        go_on(s, block, index, number, evaluate_section(s, np.int64(block.section) + number))
    return 0


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_section(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_CODE where a section begins."""
    s = carray(state, (1,))[0]
    note_hook(s, address & ALL)
    number = s.section_next
    if number == 0:
        return
    section = np.int64(block_at(s, s.last_block).section) + number
    if (address - s.last_address) & ALL == np.int64(section_at(s, section).offset):
        call3(s.section_entry, s.last_block, number, s.self)
