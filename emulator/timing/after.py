"""After-effects: what an instruction that ends its block did to the modelled TLBs.

MOV CRn, INVLPG, far transfers and the like always end a translation block, so their effect on the
model is applied when the next block begins, or at the fetch fill that precedes it. By then the
engine's own soft TLB has been flushed natively (MOV CR3, CR0, CR4: all; INVLPG: one 4 KB page).
"""

from typing import Any, Final

import numpy as np

from emulator.compiled import Word, as_pointer, compiled, inlined, load_i64, load_u32
from emulator.jit import carray
from emulator.mmu.tlb import (
    WHY_INVLPG,
    WHY_OTHER,
    change_directory,
    flush,
    forget_quick_pages,
    invalidate_page,
)
from emulator.mmu.walk import CR0_PG, CR4_PGE, CR4_PSE, control
from emulator.timing.access import flush_soft_tlb
from emulator.timing.state import BLOCK

AFTER_NONE: Final = 0
AFTER_MOV_CR3: Final = 1
AFTER_INVLPG: Final = 2
AFTER_MOV_CR: Final = 3
AFTER_FAR: Final = 4  # IRET among others: may switch tasks, and so CR3
AFTER_SEGMENT: Final = 6  # nothing for the model, but checked execution may begin or end

REGISTER_16: Final = 8  # a register of 16-bit addressing, see cpu/kinds.py
BLOCK_BYTES: Final = BLOCK.itemsize
CR4_PAE: Final = 1 << 5
HFLAGS_ADDSEG: Final = 0x40


@compiled
def forget_filters(s: Any) -> None:
    """The youngest page and line must be looked up again."""
    s.last_code_page = -1
    s.last_data_page = -1
    s.quick_page = -1
    s.last_data_line = -1


@inlined
def block_at(s: Any, index: Word) -> Any:
    """One decoded block."""
    return carray(as_pointer(s.block_records + BLOCK_BYTES * index), (1,), dtype=BLOCK)[0]


@inlined
def length_of(block: Any) -> Word:
    """Bytes that a block is charged for: a translation, or a piece of a long one (long_blocks.py)."""
    piece = np.int64(block.piece)
    return piece if piece else np.int64(block.size)


@inlined
def end_of_last(s: Any) -> Word:
    """Linear address behind the last block."""
    return (s.last_address + length_of(block_at(s, s.last_block))) & 0xFFFFFFFF


@inlined
def in_last_block(s: Any, first: Word, last: Word) -> Any:
    """Are some of these physical addresses in the running block?"""
    block = block_at(s, s.last_block)
    physical = np.int64(block.physical)
    return first < physical + length_of(block) and last >= physical


@compiled
def invlpg_operand(s: Any) -> Word:
    """Linear address of the INVLPG that ended the last block: the registers still hold its operand."""
    block = block_at(s, s.last_block)
    address = np.int64(block.displacement)
    base, index = np.int64(block.base), np.int64(block.index)
    if base >= 0:
        address += load_u32(s.at_registers + 8 * (base & 7))
    if index >= 0:
        address += load_u32(s.at_registers + 8 * (index & 7)) * np.int64(block.scale)
    address &= 0xFFFF if base >= REGISTER_16 or index >= REGISTER_16 else 0xFFFFFFFF
    if block.segment > 3 or load_u32(s.at_hflags) & HFLAGS_ADDSEG:
        address += load_i64(s.at_segments + 24 * np.int64(block.segment) + 8)
    return address & 0xFFFFFFFF


@compiled
def engine_flushed(s: Any) -> None:
    """MOV CR3 has flushed the soft TLB natively, but only if paging is on."""
    if control(s, 0) & CR0_PG:
        s.epoch += 1


@compiled
def after_effect(s: Any) -> None:
    """Apply and clear the pending after-effect."""
    kind = s.after
    s.after = 0
    if kind == AFTER_MOV_CR3:
        s.cr3_writes += 1
        change_directory(s, s.cr3, control(s, 3))
        s.cr3 = control(s, 3)
        engine_flushed(s)
        forget_filters(s)
    elif kind == AFTER_INVLPG:
        s.invlpg_count += 1
        if invalidate_page(s, invlpg_operand(s) >> 12, WHY_INVLPG) or not s.accounting:
            flush_soft_tlb(s)  # natively only one 4 KB piece went
        forget_filters(s)
    elif kind == AFTER_MOV_CR:
        cr0 = control(s, 0)
        cr4 = control(s, 4)
        if (cr0 ^ s.cr0) & (CR0_PG | 1) or (cr4 ^ s.cr4) & (CR4_PGE | CR4_PSE | CR4_PAE):
            s.flushes_all += 1
            flush(s, False, WHY_OTHER)
        flush_soft_tlb(s)
        forget_quick_pages(s)
        s.cr0 = cr0
        s.cr4 = cr4
        forget_filters(s)
    elif kind == AFTER_FAR and control(s, 3) != s.cr3:
        s.cr3_writes += 1
        change_directory(s, s.cr3, control(s, 3))
        s.cr3 = control(s, 3)
        engine_flushed(s)
        forget_filters(s)
