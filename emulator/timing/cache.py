"""The modelled caches: L1 data, L1 code (or trace cache) and a unified L2, by physical address.

Set-associative with LRU replacement. A set is an array of line numbers in the order of their last use,
NO_LINE is none: a hit at the front, the usual case, changes nothing. Hits are free: their latency is part
of the instruction's cost. A miss pays what the next level adds. Write-backs of dirty lines go through write
buffers and are not charged (docs/reference/model.md).

A trace cache is modelled as a code cache whose line holds as many code bytes as six micro-ops
take on average; the profile gives that number as an estimate.
"""

from typing import Any, Final

from emulator.compiled import Word, compiled, inlined, load_u32, store_u32
from emulator.timing.causes import L1D_MISS, L1I_MISS, MEMORY_DATA, MEMORY_FETCH
from emulator.timing.charge import charge

NO_LINE: Final = 0xFFFFFFFF


@inlined
def look_up(at: Word, ways: Word, line: Word, allocate: Any) -> Any:
    """Is `line` in the set at this address? It is its youngest then, or if `allocate`.

    Behind the front, each way is looked at and written whatever is found: the host can't predict where.
    """
    if load_u32(at) == line:
        return True
    place: Word = 0
    for way in range(1, ways):
        place = way if load_u32(at + 4 * way) == line else place
    found = place > 0
    if not found:
        if not allocate:
            return False
        place = ways - 1
    way = ways - 1
    while way > 0:
        before = load_u32(at + 4 * way - 4)
        store_u32(at + 4 * way, before if way <= place else load_u32(at + 4 * way))
        way -= 1
    store_u32(at, line)
    return found


@compiled
def l2_hit(s: Any, physical: Word) -> Any:
    """Look a line up in L2 and bring it in."""
    line = physical >> s.l2_shift
    return look_up(s.l2_at + 4 * (line & (s.l2_sets - 1)) * s.l2_ways, s.l2_ways, line, True)


@compiled
def l1d_hit(s: Any, physical: Word, allocate: bool) -> Any:
    """Look a line up in the L1 data cache; bring it in if `allocate`."""
    line = physical >> s.l1d_shift
    return look_up(s.l1d_at + 4 * (line & (s.l1d_sets - 1)) * s.l1d_ways, s.l1d_ways, line, allocate)


@compiled
def data_access(s: Any, physical: Word, write: bool) -> None:
    """One data access that the TLB has translated. Buffers hide part of a store's miss.

    Stores in a row to a line that isn't in L1, and doesn't get there, merge in the store buffers and are
    one miss: `store_line` is that line. `last_data_loaded` tells on_memory's filter, which may see the
    second of them or not, as the host pleases, that a load must still fetch it.
    """
    s.last_data_loaded = 1
    allocate = not write or s.l1d_write_allocate != 0
    merging = s.store_line
    s.store_line = -1
    if l1d_hit(s, physical, allocate):
        return
    if not allocate:
        s.last_data_loaded = 0
        s.store_line = physical >> s.l1d_shift
        if s.store_line == merging:
            return
    s.l1d_misses += 1
    hit = l2_hit(s, physical)
    exposed = s.store_exposed if write else 100
    charge(s, L1D_MISS, s.l1d_penalty * exposed // 100)
    if not hit:
        s.l2_data_misses += 1
        charge(s, MEMORY_DATA, s.memory_penalty * exposed // 100)


@compiled
def code_access(s: Any, physical: Word) -> None:
    """Fetch one code line. `l1i_version` counts replacements: see `access.fetch_lines`."""
    line = physical >> s.l1i_shift
    if look_up(s.l1i_at + 4 * (line & (s.l1i_sets - 1)) * s.l1i_ways, s.l1i_ways, line, True):
        return
    s.l1i_version += 1
    s.l1i_misses += 1
    hit = l2_hit(s, physical)
    charge(s, L1I_MISS, s.l1i_penalty)
    if not hit:
        s.l2_fetch_misses += 1
        charge(s, MEMORY_FETCH, s.memory_penalty)


@compiled
def table_access(s: Any, physical: Word) -> Word:
    """The page-miss handler reads one page-table entry: extra cycles beyond a walk that hits L1."""
    s.last_data_line = -1  # it isn't the youngest any more
    if l1d_hit(s, physical, True):
        return 0
    if l2_hit(s, physical):
        return s.walk_l1_miss
    return s.walk_l1_miss + s.memory_penalty
