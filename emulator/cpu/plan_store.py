"""The access plans of one machine, where compiled code finds them; and the hooks where sections begin.

    block record --> sections[section .. section + sections) --> entries[first .. first + count)

Plans depend on a block's bytes only, so equal blocks share one; and a later run, see `plan_cache`.
"""

import struct
from typing import Any, Final

import numpy as np

from emulator.cpu.blocks import RDTSC, BlockStore
from emulator.cpu.engine import Engine
from emulator.cpu.features import lacks
from emulator.cpu.plan import Planner, Section
from emulator.cpu.plan_cache import MISSING, PlanCache, folder, plans_digest
from emulator.cpu.plan_file import KEY, Plans, code_hash, entries_of, freshen, select
from emulator.cpu.plan_file import MAX_ENTRIES as CACHED_ENTRIES
from emulator.cpu.plan_file import MAX_SECTIONS as CACHED_SECTIONS
from emulator.cpu.plan_segment import Entry
from emulator.cpu.registers import DS
from emulator.timing.hooks import on_block
from emulator.timing.modes import NEEDS_SLOW
from emulator.timing.plan import on_section, section_entry
from emulator.timing.plan_access import on_access, on_line
from emulator.timing.plan_entries import ENTRY_ACCESS, FLAG_MASK, FLAG_OVERRIDE
from emulator.timing.plan_system import on_system
from emulator.timing.planned import on_fetch
from emulator.timing.schema import Profile
from emulator.timing.state import BLOCK, ENTRY, SECTION

MAX_ENTRIES: Final = 1 << 22
MAX_SECTIONS: Final = 1 << 21

# Guests of fewer blocks do without the cache: they are decoded sooner than it is read.
WORTH: Final = 256
RARELY: Final = 8  # a run that stops often keeps its plans when an eighth of them is new
PLACE: Final = ("entry", "entries", "section", "sections")

# an ENTRY and a SECTION: numpy takes ten times as long to fill one in
_ENTRY: Final = struct.Struct("<BBBbbBBBIBBH")
_SECTION: Final = struct.Struct("<iiii")
assert (_ENTRY.size, _SECTION.size) == (ENTRY.itemsize, SECTION.itemsize)

Place = tuple[int, int]
"""First section and their number."""


def _straight(entry: Entry) -> bool:
    """An access by 32-bit addressing, through a segment that is usually flat."""
    return entry[0] == ENTRY_ACCESS and not entry[6] & (FLAG_MASK | FLAG_OVERRIDE) and entry[7] <= DS


class PlanStore:
    """All access plans of one machine."""

    def __init__(self, engine: Engine, blocks: BlockStore, profile: Profile) -> None:
        self.engine, self.blocks = engine, blocks
        edx, ecx = int(profile.cpuid.feature_edx.value), int(profile.cpuid.feature_ecx.value)
        self._planner = Planner(lambda code, bits: lacks(code, bits, edx, ecx))
        self._profile = profile
        self._cache: PlanCache | None = None
        self._asked = self._kept = 0
        self._taken: set[int] = set()  # rows of the cache
        self._room: list[tuple[int, int]] = []  # sections and entries of each
        self._entries = np.zeros(MAX_ENTRIES + CACHED_ENTRIES, dtype=ENTRY)
        self._sections = np.zeros(MAX_SECTIONS + CACHED_SECTIONS, dtype=SECTION)
        # by section: accesses only, none of them unusual
        self._straight = np.zeros(MAX_SECTIONS + CACHED_SECTIONS, dtype=np.bool_)
        self._entry_bytes = self._entries.view(np.uint8).data
        self._section_bytes = self._sections.view(np.uint8).data
        self._entries_left, self._sections_left = MAX_ENTRIES, MAX_SECTIONS
        self._entry_count = self._section_count = 0
        self._places: dict[tuple[bytes, int], Place] = {}
        self._rows: dict[tuple[bytes, int], bytes] = {}  # records as they began
        self._starts: dict[tuple[bytes, int], frozenset[int]] = {}
        self._steps: dict[tuple[bytes, int], int] = {}
        self._hooked: set[int] = set()
        self._prepared: set[tuple[int, int]] = set()  # blocks whose sections have their hooks, by address
        s = engine.state
        s.planned = 1
        s.access_function, s.line_function = on_access.address, on_line.address
        s.section_entry = section_entry.address
        s.system_function = on_system.address
        s.fetch_function = on_fetch.address
        s.block_function = on_block.address
        s.entries, s.sections = int(self._entries.ctypes.data), int(self._sections.ctypes.data)
        s.split_function = engine.callback(self._split)
        s.section_function = engine.callback(self._hook_sections)
        s.steps_function = engine.callback(self._make_steps)
        blocks.plan, blocks.known, blocks.install = self.plan, self.known, self._install

    def plan(self, record: Any, code: bytes, bits: int) -> None:
        """Give a new block record its plan."""
        key = (code, bits)
        place, first = self._places.get(key), key not in self._starts
        row: Any = self._cached(code, bits) if place is None and first else None
        new = place is None and row is None
        if new:
            sections = self._planner.plan(code, bits, self._starts.get(key, frozenset()))
            while sections and not sections[-1].entries:
                sections.pop()
            place = self._places[key] = self._add(sections)
        fields = self._fields(place) if place is not None else [row[name] for name in PLACE]
        for name, value in zip(PLACE, fields, strict=True):
            record[name] = value
        record["steps"], record["hooked"] = -1, -1
        if record["sections"] > 1:
            record["needs"] |= NEEDS_SLOW
        if new and first:
            self._rows[key] = record.tobytes()

    def _fields(self, place: Place) -> tuple[int, int, int, int]:
        """What a record says of its plan: see `PLACE`."""
        if not place[1]:
            return 0, 0, *place
        _, entry, count, _ = self._sections[place[0]].item()
        return entry, count if self._straight[place[0]] else -1, *place

    def _add(self, sections: list[Section]) -> Place:
        first = self._section_count
        self._count(len(sections), sum(len(section.entries) for section in sections))
        for section in sections:
            at, count = self._entry_count, len(section.entries)
            self._entry_bytes[_ENTRY.size * at : _ENTRY.size * (at + count)] = b"".join(
                [_ENTRY.pack(*entry[:8], entry[8] & 0xFFFFFFFF, *entry[9:]) for entry in section.entries]
            )
            _SECTION.pack_into(
                self._section_bytes,
                _SECTION.size * self._section_count,
                *(section.offset, at, count, section.sliced),
            )
            self._straight[self._section_count] = all(map(_straight, section.entries))
            self._entry_count += count
            self._section_count += 1
        return first, len(sections)

    def _count(self, sections: int, entries: int) -> None:
        """A guest may have so many plans, wherever they are from."""
        self._sections_left -= sections
        self._entries_left -= entries
        if self._sections_left < 0 or self._entries_left < 0:
            raise MemoryError("too many access plans")

    # -- the cache

    def known(self, code: bytes, bits: int) -> Any:
        """The record of a new block that need not be decoded, but for its symbol; else None."""
        self._asked += 1
        if self._asked == WORTH:
            self._load()
        if (code, bits) in self._places:
            return None
        return self._cached(code, bits, special=False)

    def _load(self) -> None:
        cache = self._cache = PlanCache(folder(), plans_digest(self._profile, self.blocks.costs))
        cache.load()
        sections, entries, rows = cache.plans.sections, cache.plans.entries, cache.plans.rows
        first, at = self._section_count, self._entry_count
        self._section_count += len(sections)
        self._entry_count += len(entries)
        self._entries[at : self._entry_count] = entries
        self._sections[first : self._section_count] = sections
        self._sections["first"][first : self._section_count] += at
        self._room = [*zip(rows["sections"].tolist(), entries_of(cache.plans).tolist(), strict=True)]
        rows["section"] += first
        rows["entry"] += at
        for key in [key for key in self._rows if cache.find(*key) != MISSING]:
            del self._rows[key]

    def _cached(self, code: bytes, bits: int, *, special: bool = True) -> Any:
        """The row of a block, whether or not (`special`) it must be decoded all the same; or None."""
        if self._cache is None:
            return None
        at = self._cache.find(code, bits)
        if at == MISSING or (not special and self._cache.plans.keys["special"][at]):
            return None
        if at not in self._taken:
            self._taken.add(at)
            self._count(*self._room[at])
        return self._cache.plans.rows[at]

    def keep(self, *, last: bool) -> None:
        """Write new plans to the cache, if they are worth it; `last`: this run has ended."""
        if self._cache is None:
            return
        worth = WORTH if last else max(WORTH, (len(self._taken) + self._kept) // RARELY)
        if len(self._rows) - self._kept >= worth:
            self._kept = len(self._rows)
            self._cache.save(self._plans(), sorted(self._taken))

    def _plans(self) -> Plans:
        """What this run has planned, as it was before it was split."""
        found = list(self._rows)
        rows = np.frombuffer(b"".join(self._rows.values()), dtype=BLOCK).copy()
        freshen(rows)
        keys = np.zeros(len(found), dtype=KEY)
        keys["size"] = [len(code) for code, _ in found]
        keys["at"] = np.cumsum(keys["size"]) - keys["size"]
        keys["bits"] = [bits for _, bits in found]
        keys["special"] = [self.blocks.is_special(*key) for key in found]
        hashes = np.array([code_hash(*key) for key in found], dtype="u8")
        code = np.frombuffer(b"".join(code for code, _ in found), dtype="u1")
        whole = Plans(hashes, keys, rows, self._sections, self._entries, code)
        return select(whole, np.arange(len(found)))

    def _make_steps(self, index: int, _b: int, _c: int) -> int:
        """Called in checked execution for a block without a section for each instruction."""
        key = self.blocks.code_of(index)
        first = self._steps.get(key)
        if first is None:
            sections = self._planner.plan(*key, steps=True)
            count = len(self.blocks.decoded(index).starts)
            sections += [Section(0, 0, False, ())] * (count - len(sections))
            first, _ = self._add(sections)
            self._steps[key] = first
        self.blocks.record(index)["steps"] = first
        return 0

    # -- sections behind the first: a hook on their first instruction

    def _offsets(self, index: int) -> list[int]:
        record = self.blocks.record(index)
        first, count = int(record["section"]), int(record["sections"])
        return [int(offset) for offset in self._sections["offset"][first : first + count]]

    def _hook_sections(self, index: int, address: int, size: int) -> int:
        """Called before a block with several sections runs at a new address. 1: enter it again."""
        self.blocks.record(index)["hooked"] = address
        if not self._install(index, address):
            return 0
        self._again(address, address, size)
        return 1

    def _install(self, index: int, address: int) -> bool:
        """Hook the sections of a block at an address. True: translate it again, for it may lack a hook.

        A hook may be there already, put there for other code at this address: another process's. What was
        translated from this code's frame before that doesn't call it.
        """
        new = (index, address) not in self._prepared
        self._prepared.add((index, address))
        code, _ = self.blocks.code_of(index)
        for offset in self._offsets(index)[1:]:
            at = (address + offset) & 0xFFFFFFFF
            if code[offset - len(RDTSC) : offset] == RDTSC and offset - len(RDTSC) in self._starts_of(index):
                continue  # its own hook goes on (`timing.tsc`)
            if at not in self._hooked:
                self._hooked.add(at)
                self.engine.on_compiled_code(at, on_section.address)
                new = True
        return new

    def _starts_of(self, index: int) -> tuple[int, ...]:
        return self.blocks.decoded(index).starts

    def _again(self, at: int, address: int, size: int) -> None:
        """Translate a block again and go on at `at`."""
        self.engine.retranslate(address, size)
        self.engine.jump((at - self.engine.registers.base(1)) & 0xFFFFFFFF)

    def _split(self, index: int, start: int, number: int) -> int:
        """The running block needs a section that begins with instruction `start`; `number` is running."""
        s = self.engine.state
        s.section_splits += 1
        key = self.blocks.code_of(index)
        starts = self._starts.get(key, frozenset())
        record = self.blocks.record(index)
        here = self._offsets(index)[number]
        offset = self.blocks.decoded(index).starts[start]
        if offset == here:  # it can't be helped
            s.opaque_accesses += 1
            s.section_next = number + 1 if number + 1 < int(record["sections"]) else 0
            return 0
        self._starts[key] = starts | {start}
        self._places.pop(key, None)
        self.plan(record, *key)
        record["hooked"] = s.last_address
        offsets = self._offsets(index)
        s.section_next = offsets.index(offset) if offset in offsets else 0
        if not s.section_next:
            return 0
        self._install(index, s.last_address)
        s.resume = (s.last_address + here) & 0xFFFFFFFF
        self._again(s.resume, s.last_address, int(record["size"]))
        return 0
