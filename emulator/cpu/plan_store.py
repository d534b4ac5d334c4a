"""The access plans of one machine, where compiled code finds them; and the hooks where sections begin.

    block record --> sections[section .. section + sections) --> entries[first .. first + count)

Plans depend on a block's bytes only, so equal blocks share one.
"""

from typing import Any, Final

import numpy as np

from emulator.cpu.blocks import RDTSC, BlockStore
from emulator.cpu.engine import Engine
from emulator.cpu.features import lacks
from emulator.cpu.plan import Planner, Section
from emulator.cpu.plan_segment import Entry
from emulator.cpu.registers import DS
from emulator.timing.hooks import on_block
from emulator.timing.modes import NEEDS_SLOW
from emulator.timing.plan import (
    ENTRY_ACCESS,
    FLAG_MASK,
    FLAG_OVERRIDE,
    on_access,
    on_line,
    on_section,
    section_entry,
)
from emulator.timing.plan_system import on_system
from emulator.timing.planned import on_fetch
from emulator.timing.schema import Profile
from emulator.timing.state import ENTRY, SECTION

MAX_ENTRIES: Final = 1 << 22
MAX_SECTIONS: Final = 1 << 21

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
        self._entries = np.zeros(MAX_ENTRIES, dtype=ENTRY)
        self._sections = np.zeros(MAX_SECTIONS, dtype=SECTION)
        self._straight = np.zeros(
            MAX_SECTIONS, dtype=np.bool_
        )  # by section: accesses only, none of them unusual
        self._entry_count = self._section_count = 0
        self._places: dict[tuple[bytes, int], Place] = {}
        self._starts: dict[tuple[bytes, int], frozenset[int]] = {}
        self._steps: dict[tuple[bytes, int], int] = {}
        self._hooked: set[int] = set()
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
        blocks.plan, blocks.install = self.plan, self._install

    def plan(self, record: Any, code: bytes, bits: int) -> None:
        """Give a new block record its plan."""
        key = (code, bits)
        place = self._places.get(key)
        if place is None:
            sections = self._planner.plan(code, bits, self._starts.get(key, frozenset()))
            while sections and not sections[-1].entries:
                sections.pop()
            place = self._places[key] = self._add(sections)
        record["section"], record["sections"] = place
        record["steps"], record["hooked"] = -1, -1
        if place[1] > 1:
            record["needs"] |= NEEDS_SLOW
        section = self._sections[place[0]]
        record["entry"] = section["first"]
        record["entries"] = (section["count"] if self._straight[place[0]] else -1) if place[1] else 0

    def _add(self, sections: list[Section]) -> Place:
        first = self._section_count
        if first + len(sections) >= MAX_SECTIONS:
            raise MemoryError("too many access plans")
        for section in sections:
            at, count = self._entry_count, len(section.entries)
            if at + count >= MAX_ENTRIES:
                raise MemoryError("too many accesses in plans")
            if count:
                self._entries[at : at + count] = [
                    (*entry[:8], (entry[8] + (1 << 31)) % (1 << 32) - (1 << 31), *entry[9:])
                    for entry in section.entries
                ]
            self._sections[self._section_count] = (section.offset, at, count, section.sliced)
            self._straight[self._section_count] = all(map(_straight, section.entries))
            self._entry_count += count
            self._section_count += 1
        return first, len(sections)

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
        new = False
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
