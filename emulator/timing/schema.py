"""The shape of a CPU profile: frozen structs that refuse unknown fields; `profile.py` loads them."""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

MARKS: Final = ("doc", "meas", "deriv", "definition", "estimate")


class Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number of a profile, where it comes from, and how far off it may be."""

    value: int | float
    source: str
    range: tuple[int | float, int | float] | None = None

    @property
    def is_estimate(self) -> bool:
        """True if no source gives the number."""
        return self.source.startswith("estimate")

    @property
    def whole(self) -> int:
        """The value in whole units, half rounded up."""
        return int(self.value + 0.5)


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A setting that is not a number: a policy, a text; an estimate lists the alternatives to try."""

    value: bool | str
    source: str
    alternatives: tuple[bool | str, ...] = ()

    @property
    def is_estimate(self) -> bool:
        """True if no source gives the setting."""
        return self.source.startswith("estimate")


class Cpuid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What CPUID answers; `brand` is empty for a CPU without leaves 80000002 to 80000004."""

    vendor: Choice
    brand: Choice
    max_leaf: Number
    signature: Number
    leaf1_ebx: Number
    feature_ecx: Number
    feature_edx: Number
    leaf2_eax: Number
    leaf2_ebx: Number
    leaf2_ecx: Number
    leaf2_edx: Number


class TlbArray(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One translation buffer: its own geometry, or the array that it shares."""

    entries: Number | None = None
    ways: Number | None = None
    replacement: Choice | None = None
    shared_with: Choice | None = None


class Tlb(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The four translation buffers and the price of a page walk in core cycles.

    `walk` is a data walk whose page-table line is near (L1D; P4: L1 or L2), `walk_l1_miss_extra` is added
    when the line misses L1D. A walk that misses L2 also pays the memory latency. `tagged`, a what-if: entries
    belong to a page directory and survive MOV CR3 (mmu/tlb.py).
    """

    walk: Number
    walk_l1_miss_extra: Number
    itlb_walk: Number
    dtlb_4k: TlbArray
    dtlb_4m: TlbArray
    itlb_4k: TlbArray
    itlb_4m: TlbArray
    tagged: Choice = Choice(False, "doc SDM3A: MOV CR3 drops all entries that are not global")

    def geometry(self, name: str) -> TlbArray:
        """The array that serves `name`, its own or the shared one."""
        array: TlbArray = getattr(self, name)
        return array if array.shared_with is None else self.geometry(str(array.shared_with.value))


class DataCache(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first-level data cache; `latency` is load-use."""

    kb: Number
    ways: Number
    line: Number
    latency: Number
    write_allocate: Choice
    write_back: Choice


class CodeCache(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first-level instruction cache, or the trace cache (`kind`); `miss` is the penalty served by L2."""

    kind: Literal["cache", "trace"]
    ways: Number
    miss: Number
    kb: Number | None = None
    line: Number | None = None
    uops: Number | None = None
    uops_per_line: Number | None = None
    code_bytes_per_line: Number | None = None

    @property
    def line_bytes(self) -> int:
        """Bytes of code in a line: for a trace cache its code equivalent."""
        number = self.line if self.kind == "cache" else self.code_bytes_per_line
        assert number is not None
        return int(number.value)

    @property
    def lines(self) -> int:
        """Number of lines."""
        if self.kind == "cache":
            assert self.kb is not None
            return int(self.kb.value) * 1024 // self.line_bytes
        assert self.uops is not None
        assert self.uops_per_line is not None
        return int(self.uops.value) // int(self.uops_per_line.value)


class UnifiedCache(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The second-level cache; `latency` is load-use."""

    kb: Number
    ways: Number
    line: Number
    latency: Number


class Cache(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The cache hierarchy; `memory_latency` is the load-use figure of DRAM that the model uses.

    `uncached` is one access to device memory (APIC registers and the like), which no cache may hold.
    """

    uncached: Number
    page_hit: Number
    page_miss: Number
    memory_latency: Number
    store_exposed_percent: Number
    l1d: DataCache
    l1i: CodeCache
    l2: UnifiedCache


class Branch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Branch costs; `taken` is added for every taken near branch."""

    mispredict: Number
    taken: Number
    ras_entries: Number
    btb: str


class RepCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A REP string operation: start-up, then cycles per element by element size."""

    startup: Number
    byte: Number
    word: Number
    dword: Number


class Rep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The REP string operations."""

    movs: RepCost
    stos: RepCost
    lods: RepCost
    scas: RepCost
    cmps: RepCost


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One CPU."""

    name: str
    title: str
    mhz: Number
    cpuid: Cpuid
    tlb: Tlb
    cache: Cache
    branch: Branch
    rep: Rep
    classes: dict[str, Number] = msgspec.field(name="class")

    @property
    def l1d_miss(self) -> int:
        """Penalty of a load that misses L1D and hits L2: L2 load-use less L1 load-use."""
        return int(self.cache.l2.latency.value - self.cache.l1d.latency.value + 0.5)

    @property
    def l2_miss(self) -> int:
        """Penalty of a load that misses both: memory load-use less L1 load-use (it includes `l1d_miss`)."""
        return int(self.cache.memory_latency.value - self.cache.l1d.latency.value + 0.5)

    def settings(self) -> Iterator[tuple[str, Number | Choice]]:
        """Every number and choice with its key, as in `tlb.dtlb_4k.ways`, in the file's order of tables."""
        return _settings(self, "")


def _settings(part: msgspec.Struct, prefix: str) -> Iterator[tuple[str, Number | Choice]]:
    for field in msgspec.structs.fields(part):
        item = getattr(part, field.name)
        key = f"{prefix}{field.encode_name}"
        if isinstance(item, Number | Choice):
            yield key, item
        elif isinstance(item, dict):
            yield from ((f"{key}.{name}", number) for name, number in item.items())
        elif isinstance(item, msgspec.Struct):
            yield from _settings(item, key + ".")
