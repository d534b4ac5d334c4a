"""The modelled TLBs: what the hardware would hold, and why it doesn't hold the rest.

Four arrays, by side and page size. A profile may let a 4 MB array share the 4 KB one (Pentium 4:
64 entries for both) or give it its own (Pentium III: 8 data and 2 code entries for 4 MB pages).

    side   0 data, 1 code          array = 2 * side + (1 for 4 MB pages)
    tag    4 KB: page number       4 MB: page number >> 10 | 1 << 20       -1: invalid
    set    tag mod sets            entry = base + set * ways + way

An entry is used until it is invalidated or evicted, whatever the tables in memory say by then
(SDM vol. 3A 4.10): that is how a stale sandbox entry becomes visible. When an entry leaves, the
reason stays in `why_4k`/`why_4m`, so that the next miss is charged to what caused it.
"""

from typing import Any, Final

import numpy as np

from emulator.compiled import Word, compiled
from emulator.mmu.walk import RIGHT_BIG, RIGHT_GLOBAL

ARRAY_SIZE: Final = 128  # room of one array in the state record

DATA: Final = 0
CODE: Final = 1
BIG_TAG: Final = 1 << 20

# the reasons for a miss, in the order of the ledger's causes
WHY_COLD: Final = 0
WHY_CAPACITY: Final = 1
WHY_CR3: Final = 2
WHY_INVLPG: Final = 3
WHY_OTHER: Final = 4


@compiled
def probe(s: Any, side: Word, page: Word) -> Word:
    """The entry that translates `page`, or -1. Changes nothing but the look-up hints."""
    entry = s.hint_4k[side, page & 255]
    if s.tlb_tag[entry] == page:
        return entry
    big = page >> 10 | BIG_TAG
    entry = s.hint_4m[side, big & 63]
    if s.tlb_tag[entry] == big:
        return entry
    array = 2 * side
    ways = s.tlb_ways[array]
    first = s.tlb_base[array] + (page & (s.tlb_sets[array] - 1)) * ways
    for entry in range(first, first + ways):
        if s.tlb_tag[entry] == page:
            s.hint_4k[side, page & 255] = entry
            return entry
    array += 1
    ways = s.tlb_ways[array]
    first = s.tlb_base[array] + (big & (s.tlb_sets[array] - 1)) * ways
    for entry in range(first, first + ways):
        if s.tlb_tag[entry] == big:
            s.hint_4m[side, big & 63] = entry
            return entry
    return -1


@compiled
def touch(s: Any, entry: Word) -> None:
    """Make a hit entry the youngest of its set, under LRU; FIFO keeps the age of insertion."""
    if not s.tlb_fifo[entry // ARRAY_SIZE]:
        s.tick += 1
        s.tlb_age[entry] = s.tick


@compiled
def frame_of(s: Any, entry: Word, page: Word) -> Word:
    """The frame number to which an entry translates `page`."""
    if s.tlb_rights[entry] & RIGHT_BIG:
        return s.tlb_frame[entry] | (page & 0x3FF)
    return s.tlb_frame[entry]


@compiled
def reason(s: Any, side: Word, page: Word, big: bool) -> Any:
    """Why `page` isn't in the TLB of this side."""
    if big:
        return np.int64(s.why_4m[side, page >> 10])
    return np.int64(s.why_4k[side, page])


@compiled
def victim(s: Any, side: Word, page: Word, big: bool) -> Word:
    """The entry that `page` would replace: an invalid one of its set, else the oldest."""
    array = 2 * side + (1 if big else 0)
    tag = page >> 10 | BIG_TAG if big else page
    ways = s.tlb_ways[array]
    first = s.tlb_base[array] + (tag & (s.tlb_sets[array] - 1)) * ways
    oldest = first
    for entry in range(first, first + ways):
        if s.tlb_tag[entry] < 0:
            return entry
        if s.tlb_age[entry] < s.tlb_age[oldest]:
            oldest = entry
    return oldest


@compiled
def insert(s: Any, side: Word, page: Word, entry: Word, translation: Word) -> None:
    """Fill `entry` (from `victim`) with the result of a successful walk for `page`."""
    rights = translation >> 20
    s.tick += 1
    s.tlb_age[entry] = s.tick
    s.tlb_rights[entry] = rights
    if rights & RIGHT_BIG:
        s.tlb_tag[entry] = page >> 10 | BIG_TAG
        s.tlb_frame[entry] = translation & 0xFFC00
        s.hint_4m[side, page >> 10 & 63] = entry
        s.why_4m[side, page >> 10] = WHY_CAPACITY  # unless a flush says otherwise
    else:
        s.tlb_tag[entry] = page
        s.tlb_frame[entry] = translation & 0xFFFFF
        s.hint_4k[side, page & 255] = entry
        s.why_4k[side, page] = WHY_CAPACITY


@compiled
def drop(s: Any, side: Word, entry: Word, why: Word) -> None:
    """Invalidate one entry and remember the reason."""
    tag = s.tlb_tag[entry]
    if tag < 0:
        return
    if tag & BIG_TAG:
        s.why_4m[side, tag & 0x3FF] = why
    else:
        s.why_4k[side, tag] = why
    s.tlb_tag[entry] = -1


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
    """MOV CR3 keeps global entries; CR4.PGE and CR0.PG changes keep none (SDM vol. 3A 10.9)."""
    for array in range(4):
        side = array >> 1
        base = s.tlb_base[array]
        for entry in range(base, base + s.tlb_sets[array] * s.tlb_ways[array]):
            if s.tlb_tag[entry] >= 0 and not (keep_global and s.tlb_rights[entry] & RIGHT_GLOBAL):
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
