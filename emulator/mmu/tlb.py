"""The modelled TLBs: what the hardware would hold, and why it doesn't hold the rest.

Four arrays, by side and page size. A profile may let a 4 MB array share the 4 KB one (Pentium 4:
64 entries for both) or give it its own (Pentium III: 8 data and 2 code entries for 4 MB pages).

    side   0 data, 1 code          array = 2 * side + (1 for 4 MB pages)
    tag    4 KB: page number       4 MB: page number >> 10 | 1 << 20       -1: invalid
    set    tag mod sets            entry = base + set * ways + way
    age    time of use << 9 | entry, so that the youngest one's age tells which it is; invalid: entry alone
    why    by page: PRESENT | entry - base, or the reason why it isn't there

An entry is used until it is invalidated or evicted, whatever the tables in memory say by then
(SDM vol. 3A 4.10): that is how a stale sandbox entry becomes visible. When an entry leaves, the
reason stays in `why_4k`/`why_4m`, so that the next miss is charged to what caused it. The same bytes find
an entry by its page without a search.
"""

from typing import Any, Final

import numpy as np

from emulator.compiled import Word, compiled, inlined, load_u8, store_u8
from emulator.mmu.walk import RIGHT_BIG, RIGHT_GLOBAL

TAGS: Final = 16  # page directories that a tagged TLB tells apart
PARKED: Final = 32  # bits of a tag word below the slot of a parked entry
ARRAY_SIZE: Final = 128  # room of one array in the state record

QUICK_STEP: Final = 1 << 20  # above a page number
PRESENT: Final = 0x80
AGE_SHIFT: Final = 9
ENTRY_MASK: Final = 511

DATA: Final = 0
CODE: Final = 1
BIG_TAG: Final = 1 << 20

# the reasons for a miss, in the order of the ledger's causes
WHY_COLD: Final = 0
WHY_CAPACITY: Final = 1
WHY_CR3: Final = 2
WHY_INVLPG: Final = 3
WHY_OTHER: Final = 4


@inlined
def why_small(s: Any, slot: Word, side: Word, page: Word) -> Word:
    """Where the byte for a 4 KB page is."""
    return s.why_4k_at + ((2 * slot + side) << 20) + page


@inlined
def why_big(s: Any, slot: Word, side: Word, page: Word) -> Word:
    """Where the byte for the 4 MB around a page is."""
    return s.why_4m_at + ((2 * slot + side) << 10) + (page >> 10)


@inlined
def forget_quick_pages(s: Any) -> None:
    """What `plan.select_page` remembers of data pages isn't true any more."""
    s.quick_page = -1
    s.quick_generation += QUICK_STEP


@compiled
def probe(s: Any, side: Word, page: Word) -> Word:
    """The entry that translates `page`, or -1. Changes nothing."""
    slot = s.slot
    while True:
        found = load_u8(why_small(s, slot, side, page))
        if found & PRESENT:
            return s.tlb_base[2 * side] + (found & 0x7F)
        found = load_u8(why_big(s, slot, side, page))
        if found & PRESENT:
            return s.tlb_base[2 * side + 1] + (found & 0x7F)
        if slot == 0:
            return -1
        slot = 0  # a tagged TLB: global entries belong to no directory


@compiled
def touch(s: Any, entry: Word) -> None:
    """Make a hit entry the youngest of its set, under LRU; FIFO keeps the age of insertion."""
    if not s.tlb_fifo[entry // ARRAY_SIZE]:
        s.tick += 1
        s.tlb_age[entry] = s.tick << AGE_SHIFT | entry


@compiled
def frame_of(s: Any, entry: Word, page: Word) -> Word:
    """The frame number to which an entry translates `page`."""
    if s.tlb_rights[entry] & RIGHT_BIG:
        return s.tlb_frame[entry] | (page & 0x3FF)
    return s.tlb_frame[entry]


@compiled
def reason(s: Any, side: Word, page: Word, rights: Word) -> Word:
    """Why `page`, to be held with these rights, isn't in the TLB of this side."""
    slot = 0 if rights & RIGHT_GLOBAL else s.slot
    if rights & RIGHT_BIG:
        return load_u8(why_big(s, slot, side, page))
    return load_u8(why_small(s, slot, side, page))


@compiled
def victim(s: Any, side: Word, page: Word, big: bool) -> Word:
    """The entry that `page` would replace: an invalid one of its set, else the oldest."""
    array = 2 * side + (1 if big else 0)
    tag = page >> 10 | BIG_TAG if big else page
    ways = s.tlb_ways[array]
    first = s.tlb_base[array] + (tag & (s.tlb_sets[array] - 1)) * ways
    oldest = s.tlb_age[np.uint64(first)]
    for entry in range(first + 1, first + ways):
        oldest = min(oldest, s.tlb_age[np.uint64(entry)])
    return oldest & ENTRY_MASK


@compiled
def insert(s: Any, side: Word, page: Word, entry: Word, translation: Word) -> None:
    """Fill `entry` (from `victim`) with the result of a successful walk for `page`."""
    drop(s, side, entry, WHY_CAPACITY)
    rights = translation >> 20
    s.tick += 1
    s.tlb_age[entry] = s.tick << AGE_SHIFT | entry
    s.tlb_rights[entry] = rights
    slot = 0 if rights & RIGHT_GLOBAL else s.slot
    if rights & RIGHT_BIG:
        s.tlb_tag[entry] = page >> 10 | BIG_TAG
        s.tlb_frame[entry] = translation & 0xFFC00
        store_u8(why_big(s, slot, side, page), PRESENT | (entry & (ARRAY_SIZE - 1)))
    else:
        s.tlb_tag[entry] = page
        s.tlb_frame[entry] = translation & 0xFFFFF
        store_u8(why_small(s, slot, side, page), PRESENT | (entry & (ARRAY_SIZE - 1)))


@compiled
def drop(s: Any, side: Word, entry: Word, why: Word) -> None:
    """Invalidate one entry and remember the reason."""
    tag = s.tlb_tag[entry]
    if tag < 0:
        return
    slot = tag >> PARKED
    if slot == 0 and not s.tlb_rights[entry] & RIGHT_GLOBAL:
        slot = s.slot
    if tag & BIG_TAG:
        store_u8(why_big(s, slot, side, (tag & 0x3FF) << 10), why)
    else:
        store_u8(why_small(s, slot, side, tag & 0xFFFFF), why)
    s.tlb_tag[entry] = -1
    s.tlb_age[entry] = entry
    if side == DATA:
        forget_quick_pages(s)


@compiled
def next_small(s: Any, side: Word, page: Word, start: Word) -> Word:
    """The first entry from `start` on that holds a 4 KB page of the 4 MB around `page`, or -1."""
    array = 2 * side
    first = s.tlb_base[array]
    for entry in range(max(first, start), first + s.tlb_sets[array] * s.tlb_ways[array]):
        if s.tlb_tag[entry] >= 0 and s.tlb_tag[entry] >> 10 == page >> 10:
            return entry
    return -1


@compiled
def flush(s: Any, keep_global: bool, why: Word) -> None:
    """MOV CR3 keeps global entries; CR4.PGE and CR0.PG changes keep none (SDM vol. 3A 10.9).

    Nor does it reach parked entries: those of other directories, if the TLB is tagged.
    """
    for array in range(4):
        side = array >> 1
        base = s.tlb_base[array]
        for entry in range(base, base + s.tlb_sets[array] * s.tlb_ways[array]):
            tag = s.tlb_tag[entry]
            if tag >= 0 and not (keep_global and (s.tlb_rights[entry] & RIGHT_GLOBAL or tag >> PARKED)):
                drop(s, side, entry, why)


@compiled
def invalidate_page(s: Any, page: Word, why: Word) -> Any:
    """INVLPG: drop the entries of one page on both sides, global or not. True if a 4 MB one went."""
    big = False
    for side in range(2):
        entry = probe(s, side, page)
        while entry >= 0:
            if s.tlb_rights[entry] & RIGHT_BIG:
                big = True
            drop(s, side, entry, why)
            entry = probe(s, side, page)
    return big


@compiled
def slot_of(s: Any, directory: Word) -> Word:
    """The slot of a page directory, now the youngest; one without takes the oldest slot."""
    slot = 1
    for other in range(1, TAGS + 1):
        if s.slot_directory[other] == directory:
            slot = other
            break
        if s.slot_age[other] < s.slot_age[slot]:
            slot = other
    s.tick += 1
    s.slot_age[slot] = s.tick
    if s.slot_directory[slot] != directory:
        if s.slot_directory[slot] >= 0:
            forget_slot(s, slot)
        s.slot_directory[slot] = directory
    return slot


@compiled
def forget_slot(s: Any, slot: Word) -> None:
    """Drop what a slot's directory has parked: the next one to have the slot starts cold."""
    for entry in range(4 * ARRAY_SIZE):
        if s.tlb_tag[entry] >> PARKED == slot:
            s.tlb_tag[entry] = -1
            s.tlb_age[entry] = entry
    for side in range(2):
        for page in range(1 << 20):
            s.why_4k[slot, side, page] = WHY_COLD
        for page in range(1 << 10):
            s.why_4m[slot, side, page] = WHY_COLD


@compiled
def change_directory(s: Any, old: Word, new: Word) -> None:
    """MOV CR3. Untagged, or the same directory again: its entries go. Tagged: they wait for its return."""
    if s.slot == 0 or old >> 12 == new >> 12:
        flush(s, True, WHY_CR3)
        return
    slot = slot_of(s, new >> 12)
    for entry in range(4 * ARRAY_SIZE):
        tag = s.tlb_tag[entry]
        if tag >> PARKED == slot:
            s.tlb_tag[entry] = tag & (2 * BIG_TAG - 1)
        elif tag >= 0 and tag >> PARKED == 0 and not s.tlb_rights[entry] & RIGHT_GLOBAL:
            s.tlb_tag[entry] = tag | s.slot << PARKED
    s.slot = slot
    forget_quick_pages(s)


@compiled
def drop_parked(s: Any, side: Word, page: Word, big: bool) -> None:
    """A global entry ends parked ones that overlap it: back in their directory, both would translate."""
    if s.slot == 0:
        return
    for array in range(2 * side, 2 * side + 2):
        base = s.tlb_base[array]
        for entry in range(base, base + s.tlb_sets[array] * s.tlb_ways[array]):
            tag = s.tlb_tag[entry]
            if tag < 0 or tag >> PARKED == 0:
                continue
            if tag & BIG_TAG:
                overlaps = tag & 0x3FF == page >> 10
            elif big:
                overlaps = (tag & 0xFFFFF) >> 10 == page >> 10
            else:
                overlaps = tag & 0xFFFFF == page
            if overlaps:
                drop(s, side, entry, WHY_CAPACITY)
