"""From a CPU profile to a state record: geometry, penalties, empty caches and TLBs."""

from emulator.mmu.tlb import ARRAY_SIZE
from emulator.timing.cache import NO_LINE
from emulator.timing.modes import NEEDS_SLOW
from emulator.timing.schema import Profile, TlbArray
from emulator.timing.state import L1_LINES, L2_LINES, RETURN_STACK, StateView

TLB_ARRAYS = ("dtlb_4k", "dtlb_4m", "itlb_4k", "itlb_4m")


class GeometryError(ValueError):
    """A profile asks for more entries or lines than the model has room for."""


def _log2(value: int, what: str) -> int:
    if value <= 0 or value & (value - 1):
        raise GeometryError(f"{what} is {value}, not a power of two")
    return value.bit_length() - 1


def configure(state: StateView, profile: Profile) -> None:
    """Write a profile's geometry and costs into a state record and empty all that is cached.

    Raises: GeometryError.
    """
    _configure_tlb(state, profile)
    _configure_caches(state, profile)
    branch = profile.branch
    state.mispredict_cost = branch.mispredict.whole
    state.taken_cost = branch.taken.whole
    state.return_depth = min(RETURN_STACK, max(1, int(branch.ras_entries.value)))
    state.deadline = 0
    for name in (
        "last_code_page",
        "last_data_page",
        "quick_page",
        "last_data_line",
        "store_line",
        "usual_hflags",
        "resume",
        "masking",
        "entering",
    ):
        setattr(state, name, -1)
    state.epoch = 1
    state.watch = NEEDS_SLOW
    state.l1i_version = 1


def _configure_tlb(state: StateView, profile: Profile) -> None:
    base, sets, ways = state.field("tlb_base"), state.field("tlb_sets"), state.field("tlb_ways")
    fifo = state.field("tlb_fifo")
    for number, name in enumerate(TLB_ARRAYS):
        array: TlbArray = profile.tlb.geometry(name)
        own: TlbArray = getattr(profile.tlb, name)
        owner = number if own.shared_with is None else TLB_ARRAYS.index(str(own.shared_with.value))
        if array.entries is None or array.ways is None:
            raise GeometryError(f"tlb.{name} has neither a geometry nor an array to share")
        entries, associativity = int(array.entries.value), int(array.ways.value)
        if entries > ARRAY_SIZE:
            raise GeometryError(f"tlb.{name} has {entries} entries; there is room for {ARRAY_SIZE}")
        base[number] = owner * ARRAY_SIZE
        ways[number] = associativity
        sets[number] = 1 << _log2(entries // associativity, f"the number of sets of tlb.{name}")
        fifo[number] = array.replacement is not None and array.replacement.value == "fifo"
    state.field("tlb_tag")[:] = -1
    state.field("tlb_age")[:] = range(4 * ARRAY_SIZE)
    state.field("slot_directory")[:] = -1
    if profile.tlb.tagged.value:
        state.slot = 1
        state.field("slot_directory")[1] = state.cr3 >> 12
        state.field("slot_age")[1] = 1  # the loaded one is the youngest
    state.dtlb_walk_cost = profile.tlb.walk.whole
    state.itlb_walk_cost = profile.tlb.itlb_walk.whole
    state.walk_l1_miss = profile.tlb.walk_l1_miss_extra.whole


def _configure_caches(state: StateView, profile: Profile) -> None:
    cache = profile.cache
    l1d, l1i, l2 = cache.l1d, cache.l1i, cache.l2
    _geometry(
        state,
        "l1d",
        int(l1d.kb.value) * 1024 // int(l1d.line.value),
        int(l1d.ways.value),
        int(l1d.line.value),
    )
    _geometry(state, "l1i", l1i.lines, int(l1i.ways.value), l1i.line_bytes)
    _geometry(
        state, "l2", int(l2.kb.value) * 1024 // int(l2.line.value), int(l2.ways.value), int(l2.line.value)
    )
    state.uncached_cost = cache.uncached.whole
    state.l1d_penalty = profile.l1d_miss
    state.l1i_penalty = l1i.miss.whole
    state.memory_penalty = profile.l2_miss - profile.l1d_miss
    state.l1d_write_allocate = int(bool(l1d.write_allocate.value))
    state.store_exposed = cache.store_exposed_percent.whole


def _geometry(state: StateView, name: str, lines: int, ways: int, line: int) -> None:
    room = L2_LINES if name == "l2" else L1_LINES
    if lines > room:
        raise GeometryError(f"cache.{name} has {lines} lines; there is room for {room}")
    setattr(state, f"{name}_sets", 1 << _log2(lines // ways, f"the number of sets of cache.{name}"))
    setattr(state, f"{name}_ways", ways)
    setattr(state, f"{name}_shift", _log2(line, f"the line of cache.{name}"))
    if name == "l1d":
        state.l1d_stride = 4 * ways
    state.field(f"{name}_lines")[:] = NO_LINE
