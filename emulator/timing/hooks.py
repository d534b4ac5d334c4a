"""The compiled callbacks that Unicorn calls: one per block, one per memory access, one per translation.

    on_block      after-effect of the last block, stop requests, branch outcome of the last block,
                  ITLB, block look-up by physical address, ledger row, issue cost, code lines
                  then, in planned mode, the accesses of its first section (plan.py)
    on_memory     reverse map frame -> page, then the model by linear address (reference mode)
    on_translate  a new translation block: forget what was decoded at its physical address

No Python runs here in steady state; a block never seen before calls `decode_function`.
"""

from typing import Any

import numpy as np

from emulator.compiled import (
    Word,
    as_pointer,
    call1,
    call3,
    callback,
    compiled,
    inlined,
    load_i64,
    load_u8,
    load_u32,
    store_u8,
    store_u32,
)
from emulator.jit import carray, from_dtype, types
from emulator.mmu.tlb import CODE
from emulator.mmu.walk import table_frame
from emulator.timing.access import access, code_frame, fetch_lines, flush_soft_tlb
from emulator.timing.after import after_effect, block_at, end_of_last, in_last_block, length_of
from emulator.timing.branches import predict
from emulator.timing.causes import COUNT, DEVICE
from emulator.timing.charge import charge, charge_instructions, select_row
from emulator.timing.crossing import crossing
from emulator.timing.fill import translation
from emulator.timing.hooked import settle_flags
from emulator.timing.modes import NEEDS, enter_block, evaluate
from emulator.timing.plan import enter_ring
from emulator.timing.plan_entries import HF_ADDSEG, HF_SS32
from emulator.timing.state import EXTRA, READ, STATE_POINTER, STOP_DEADLINE, STOP_INTERRUPT, STOP_RESUME

EFLAGS_IF = 0x200
HFLAGS_INHIBIT_IRQ = 0x8

NOWHERE = 1 << 40
PATIENCE = 64  # pieces of one straight run that interrupts and deadlines wait for
LONGEST = 128  # instructions of a block that is charged whole: see long_blocks.py

REWRITTEN = 1  # the running block has stored into itself
STORING = 2  # that store runs once more, alone


@inlined
def must_stop(s: Any) -> Any:
    """Leave before this block, for the next event or an interrupt, which waits for IF and the shadow."""
    if s.cycles >= s.deadline:
        s.stop |= STOP_DEADLINE
    elif (
        s.interrupt_pending
        and load_u32(s.at_eflags) & EFLAGS_IF
        and not load_u32(s.at_hflags) & HFLAGS_INHIBIT_IRQ
    ):
        s.stop |= STOP_INTERRUPT
    else:
        return False
    if s.debug_hits:
        s.stop = 0  # a debug trap of the last instruction comes first
        return False
    call1(s.stop_function, s.engine)
    return True


@inlined
def find_block(s: Any, address: Word, physical: Word, size: Word) -> Word:
    """Index of the decoded block, decoding it if it is new; -1 when the block must be entered again."""
    table = carray(as_pointer(s.block_table), (1 << 32,), dtype=np.uint32)
    index = np.int64(table[physical])
    while index:
        block = block_at(s, index)
        if block.size == size:
            return index
        index = np.int64(block.alternative)
    index = call3(s.decode_function, address, physical, size)
    if index > 0:
        block_at(s, index).alternative = np.int32(table[physical])
        table[physical] = np.uint32(index)
    return index


@compiled
def charge_extras(s: Any, first: Word, count: Word) -> None:
    """Charge the block's instructions whose cause isn't plain issue."""
    extras = carray(as_pointer(s.block_extras), (1 << 22,), dtype=EXTRA)
    for i in range(first, first + count):
        charge(s, np.int64(extras[i].cause), np.int64(extras[i].cycles))


@compiled
def resume_rewritten(s: Any, address: Word) -> Any:
    """A store into its own block makes the engine begin again with the store, alone. True: leave the engine.

    What it cut off is taken back; the store has been modelled. Then the engine must be left once: if the
    store was unaligned, it gives no more memory hooks before.
    """
    if s.rewritten == REWRITTEN:
        s.rewritten = 0
        settle_flags(s, address)
        last = block_at(s, s.last_block)
        if s.last_address <= address < s.last_address + length_of(last):
            call3(s.unretire_function, address, 0, 0)
            s.rewritten = STORING
            s.saved_reads = s.reads
            s.saved_writes = s.writes
        return False
    s.rewritten = 0
    s.reads = s.saved_reads
    s.writes = s.saved_writes
    s.stop |= STOP_RESUME
    call1(s.stop_function, s.engine)
    return True


@inlined
def repeats(s: Any, address: Word) -> Any:
    """A further iteration of REP, which comes as a block of its own, with nothing else to do before it.

    It is charged as on_block would. False: on_block must look, at the first of them among others.
    """
    block = block_at(s, s.last_block)
    if (
        s.last_address != address
        or block.rep_offset != 0
        or s.after | s.rewritten | s.table_written | s.checks | s.debug_hits
        or s.cycles >= s.deadline
        or s.interrupt_pending
        or s.last_code_page != address >> 12
        or block.fetched != s.l1i_version
        or s.section_next
        or s.last_branch
    ):
        return False
    cost: Word = np.int64(block.rep_next256) if load_u32(s.at_registers + 8) else 0
    charge_instructions(s, cost)
    s.last_cost256 = cost
    s.blocks += 1
    if s.at_skip_sync:
        store_u8(s.at_skip_sync, 0 if block.sync else 1)
    if block.sections:
        call3(s.section_entry, s.last_block, 0, s.self)
    return True


@compiled
def left_over(s: Any, address: Word) -> Any:
    """A section of the last block still waits. True if the block has only been translated again."""
    if s.resume == address:
        s.resume = -1
        return True
    s.section_next = 0
    s.unplanned += 1
    return False


@compiled
def note_mode(s: Any) -> None:
    """What planned.py needs to know of the mode: usual is 32-bit code whose DS, ES and SS have base 0."""
    hflags = load_u32(s.at_hflags)
    if hflags != s.usual_hflags:
        ring = hflags & 3
        enter_ring(s, ring)
        s.ring_row = ring * COUNT
        s.user = 1 if ring == 3 else 0
        s.usual_hflags = hflags if hflags & (HF_SS32 | HF_ADDSEG) == HF_SS32 else -1


@inlined
def begin(s: Any, index: Word, address: Word, cost: Word) -> None:
    """A block, or a piece of a long one, is charged `cost` and is the running one from now on."""
    block = block_at(s, index)
    charge_instructions(s, cost)
    s.last_cost256 = cost
    s.blocks += 1
    s.after = block.after
    if s.at_skip_sync:
        store_u8(s.at_skip_sync, 0 if block.sync else 1)
    s.last_block = index
    s.last_address = address
    s.last_branch = block.branch
    s.last_rep = address + block.rep_offset + 1 if block.rep_offset >= 0 else 0


@compiled
def fetch(s: Any, block: Any, address: Word, physical: Word, size: Word) -> None:
    """Bring its code lines in, from the next page, too, if it ends there."""
    in_page = 4096 - (address & 0xFFF)
    if size <= in_page:
        if block.fetched != s.l1i_version:
            fetch_lines(s, physical, physical + size - 1)
            block.fetched = s.l1i_version
        return
    fetch_lines(s, physical, physical + in_page - 1)
    frame = code_frame(s, ((address + in_page) & 0xFFFFFFFF) >> 12)
    if frame >= 0:
        fetch_lines(s, frame << 12, (frame << 12) + size - in_page - 1)


@compiled
def continues(s: Any, address: Word, size: Word, again: bool) -> Any:
    """Does a translation begin inside a piece of a long block that has been charged (long_blocks.py)?"""
    if not again and address != s.piece_edge:
        s.piece_next = -1
        return False
    late = s.piece_count > PATIENCE and (s.cycles >= s.deadline or s.interrupt_pending)
    if late or s.deadline == 0:  # the machine stops
        call3(s.unretire_function, address, 0, 0)
        return False  # what is left is a block of its own, which may have to wait
    if call3(s.piece_function, address, size, s.piece_next) == 1:
        s.piece_edge = address
        if again:
            s.resume = address
        return True
    s.piece_edge = (address + size) & 0xFFFFFFFF
    if s.piece_next == NOWHERE and (end_of_last(s) - address) & 0xFFFFFFFF <= size:
        s.piece_next = -1
    return True


@callback(types.void(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_block(engine: Any, address: Any, size: Any, state: Any) -> Any:
    """UC_HOOK_BLOCK: charge one basic block at its entry."""
    s = carray(state, (1,))[0]
    address = address & 0xFFFFFFFF
    size = np.int64(size)
    if s.last_rep == address + 1 and repeats(s, address):
        return
    inside = s.piece_next >= 0 and address == s.piece_edge and s.resume != address  # sections go on, too
    if s.section_next and not inside and left_over(s, address):
        if s.piece_next < 0 or continues(s, address, size, True):
            return
    elif s.piece_next >= 0 and continues(s, address, size, False):
        return
    if s.rewritten and resume_rewritten(s, address):
        return
    if s.after:
        after_effect(s)
        if evaluate(s):
            return
    if s.table_written:
        s.table_written = 0
        s.table_flushes += 1
        flush_soft_tlb(s)
    if not s.rewritten and must_stop(s):
        return
    page = address >> 12
    frame = s.last_code_frame
    if page != s.last_code_page:
        frame = code_frame(s, page)
        if frame < 0:
            s.unmapped_model += 1
            return
    physical = frame << 12 | (address & 0xFFF)
    if physical >= s.ram_size:
        s.outside_ram += 1
        return
    index = find_block(s, address, physical, size)
    if index <= 0:
        return
    block = block_at(s, index)
    if s.watch & block.needs & NEEDS and enter_block(s, block, index):
        return
    if block.piece:
        s.piece_edge = (address + size) & 0xFFFFFFFF
        size = np.int64(block.piece)
        s.piece_next = address + size
        s.piece_count = 0
    if block.sections > 1 and block.hooked != address and call3(s.section_function, index, address, size):
        return
    if s.last_branch:
        predict(s, s.last_branch, address)
    select_row(s, np.int64(block.symbol), load_u32(s.at_hflags) & 3)
    cost: Word = np.int64(block.cost256)
    if block.rep_offset == 0 and s.last_rep == address + 1:
        # a further iteration of REP comes as a block of its own; the last one finds ECX = 0
        cost = np.int64(block.rep_next256) if load_u32(s.at_registers + 8) else 0
    else:
        s.instructions += block.count
        if block.extras:
            charge_extras(s, np.int64(block.extra), np.int64(block.extras))
    begin(s, index, address, cost)
    fetch(s, block, address, physical, size)
    if s.planned:
        note_mode(s)
    if block.sections and not s.checks and s.rewritten != STORING:
        call3(s.section_entry, index, 0, s.self)


@compiled
def sample(s: Any, physical: Word, size: Word) -> None:
    """The self-check: have Python compare every N-th access with the instruction at EIP."""
    s.verify_left -= 1
    if s.verify_left > 0 or physical >= s.ram_size:
        return
    s.verify_left = s.verify_every
    page = load_i64(s.reverse_map + 8 * (physical >> 12)) & 0xFFFFF
    call3(s.verify_function, page << 12 | (physical & 0xFFF), size, 0)


@callback(types.void(types.int64, types.int32, types.int64, types.int32, types.int64, STATE_POINTER))
def on_memory(engine: Any, kind: Any, physical: Any, size: Any, value: Any, state: Any) -> Any:
    """UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE: one access, reported by physical address after its fill."""
    s = carray(state, (1,))[0]
    if s.rewritten == STORING:
        return  # modelled already; an unaligned store wouldn't even come here again
    write = kind != READ
    if write:
        s.writes += 1
    else:
        s.reads += 1
    if s.verify_every:
        sample(s, physical, np.int64(size))
    last = physical + size - 1
    line = last >> s.l1d_shift
    if (
        line == s.last_data_line
        and physical >> s.l1d_shift == line
        and (s.last_data_writable if write else s.last_data_loaded)
    ):
        return  # the same line again, by the same page: youngest everywhere
    if physical >= s.ram_size:
        s.outside_ram += 1
        charge(s, DEVICE, s.uncached_cost)
        return
    frame = physical >> 12
    known = load_i64(s.reverse_map + 8 * frame)
    if known >> 20 != s.epoch:
        s.unmapped_model += 1
        return
    linear = (known & 0xFFFFF) << 12 | (physical & 0xFFF)
    if last >> 12 != frame:
        crossing(s, linear, write)
        return
    access(s, linear, write)
    s.last_data_line = physical >> s.l1d_shift
    if line != s.last_data_line:
        access(s, linear + size - 1, write)
        s.last_data_line = line
    if load_u8(s.code_frames + frame):
        s.last_data_writable = 0  # every store to it must come here
        if write and not s.rewritten and in_last_block(s, physical, last):
            s.rewritten = REWRITTEN
    if table_frame(s, frame):
        s.last_data_line = -1  # a write to this line must come here, even after a read of it
        if write:
            s.table_written = 1


TRANSLATION = np.dtype([("pc", "i8"), ("count", "u2"), ("size", "u2"), ("padding", "u4")])
TRANSLATION_POINTER = types.CPointer(from_dtype(TRANSLATION))


@callback(types.void(types.int64, TRANSLATION_POINTER, TRANSLATION_POINTER, STATE_POINTER))
def on_translate(engine: Any, current: Any, previous: Any, state: Any) -> Any:
    """UC_HOOK_EDGE_GENERATED: the code at this address is translated anew, so it may have changed."""
    s = carray(state, (1,))[0]
    address = carray(current, (1,))[0].pc & 0xFFFFFFFF
    found = translation(s, CODE, address >> 12)  # a stale entry counts here too
    physical = (found & 0xFFFFF) << 12 | (address & 0xFFF)
    if found >= 0 and physical < s.ram_size:
        store_u32(s.block_table + 4 * physical, 0)
        if carray(current, (1,))[0].count > LONGEST:  # the pieces behind its first
            for at in range(physical + 1, min((physical | 0xFFF) + 1, s.ram_size)):
                store_u32(s.block_table + 4 * at, 0)
