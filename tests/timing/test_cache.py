"""The modelled caches, compiled and not, against lists of lines."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emulator.timing.cache as compiled_cache
from emulator.timing.causes import CAUSES, COUNT
from emulator.timing.setup import configure
from emulator.timing.state import StateView
from tests.support import PENTIUM3, PENTIUM4, profile, record, uncompiled

BOTH = [
    pytest.param(compiled_cache, id="compiled"),
    pytest.param(uncompiled(compiled_cache, "emulator.timing.charge"), id="uncompiled"),
]


class Cache:
    """Lists of lines, oldest first."""

    def __init__(self, sets: int, ways: int, line: int) -> None:
        self.sets: list[list[int]] = [[] for _ in range(sets)]
        self.ways, self.line = ways, line

    def hit(self, address: int, allocate: bool = True) -> bool:
        line = address // self.line
        row = self.sets[line % len(self.sets)]
        found = line in row
        if found:
            row.remove(line)
        elif not allocate:
            return False
        elif len(row) == self.ways:
            del row[0]
        row.append(line)
        return found


class Reference:
    """The hierarchy of one profile; `ledger` is by cause."""

    def __init__(self, name: str, *, allocate: bool, exposed: int) -> None:
        cpu = profile(name)
        small = {PENTIUM4: (32, 4, 64), PENTIUM3: (128, 4, 32)}[name]  # 8 and 16 KB
        code = {PENTIUM4: (256, 8, 8), PENTIUM3: (128, 4, 32)}[name]
        large = {PENTIUM4: (512, 8, 64), PENTIUM3: (4096, 4, 32)}[name]  # 256 and 512 KB
        self.l1d, self.l1i, self.l2 = Cache(*small), Cache(*code), Cache(*large)
        self.allocate, self.exposed = allocate, exposed
        self.store_line: int | None = None  # stores in a row to an absent line merge
        self.l1d_penalty = cpu.cache.l2.latency.whole - cpu.cache.l1d.latency.whole
        self.l1i_penalty = cpu.cache.l1i.miss.whole
        self.memory_penalty = cpu.cache.memory_latency.whole - cpu.cache.l2.latency.whole
        self.walk_extra = cpu.tlb.walk_l1_miss_extra.whole
        self.ledger = dict.fromkeys(CAUSES, 0)

    def data(self, address: int, write: bool) -> None:
        merging, self.store_line = self.store_line, None
        if self.l1d.hit(address, not write or self.allocate):
            return
        if write and not self.allocate:
            self.store_line = address // self.l1d.line
            if self.store_line == merging:
                return
        share = self.exposed if write else 100
        self.ledger["l1d_miss"] += self.l1d_penalty * share // 100
        if not self.l2.hit(address):
            self.ledger["memory_data"] += self.memory_penalty * share // 100

    def code(self, address: int) -> None:
        if self.l1i.hit(address):
            return
        self.ledger["l1i_miss"] += self.l1i_penalty
        if not self.l2.hit(address):
            self.ledger["memory_fetch"] += self.memory_penalty

    def table(self, address: int) -> int:
        if self.l1d.hit(address):
            return 0
        return self.walk_extra + (0 if self.l2.hit(address) else self.memory_penalty)


class Model:
    def __init__(self, name: str, *, allocate: bool, exposed: int) -> None:
        self.view = StateView()
        configure(self.view, profile(name))
        self.view.l1d_write_allocate, self.view.store_exposed = int(allocate), exposed
        self.ledger = np.zeros((4, COUNT), dtype=np.int64)
        self.view.ledger, self.view.row = int(self.ledger.ctypes.data), 2 * COUNT
        self.state: Any = record(self.view)

    def by_cause(self) -> dict[str, int]:
        assert not self.ledger[[0, 1, 3]].any(), "charged to another ring's row"
        assert int(self.ledger.sum()) == self.view.cycles
        return {cause: int(self.ledger[2, i]) for i, cause in enumerate(CAUSES)}


# addresses that crowd a few sets of every cache, and some anywhere
addresses = st.one_of(
    st.builds(
        lambda way, set_, offset: way << 15 | set_ << 6 | offset,
        st.integers(0, 12),
        st.integers(0, 2),
        st.integers(0, 63),
    ),
    st.integers(0, 0xFFFFF),
)
steps = st.lists(st.tuples(st.sampled_from(["read", "write", "code", "table"]), addresses), max_size=150)


@pytest.mark.parametrize("model", BOTH)
@pytest.mark.parametrize("allocate", [True, False], ids=["allocate", "no-allocate"])
@pytest.mark.parametrize("name", [PENTIUM4, PENTIUM3])
@settings(max_examples=40, deadline=None)
@given(steps=steps, exposed=st.integers(0, 100))
def test_every_access_is_charged_as_the_lists_say(
    name: str, allocate: bool, model: ModuleType, steps: list[tuple[str, int]], exposed: int
) -> None:
    reference = Reference(name, allocate=allocate, exposed=exposed)
    mine = Model(name, allocate=allocate, exposed=exposed)
    for kind, address in steps:
        if kind == "table":
            assert model.table_access(mine.state, address) == reference.table(address)
        elif kind == "code":
            model.code_access(mine.state, address)
            reference.code(address)
        else:
            model.data_access(mine.state, address, kind == "write")
            reference.data(address, kind == "write")
        assert mine.by_cause() == reference.ledger


def test_the_misses_are_counted_where_they_are_charged() -> None:
    mine = Model(PENTIUM4, allocate=False, exposed=20)
    for address, write in ((0, False), (0, False), (64, True), (64, True), (128, False), (64, True)):
        compiled_cache.data_access(mine.state, address, write)
    compiled_cache.code_access(mine.state, 4096)
    compiled_cache.code_access(mine.state, 4096)
    view = mine.view
    # 0: miss, hit; 64: two stores that merge in one miss; 128: miss; 64: a miss again, but its line is in L2
    assert (view.l1d_misses, view.l2_data_misses, view.l1i_misses, view.l2_fetch_misses) == (4, 3, 1, 1)


def test_the_least_recently_used_way_is_replaced() -> None:
    mine = Model(PENTIUM4, allocate=True, exposed=0)
    for way in (0, 1, 2, 3, 0, 4):  # 4 takes the place of 1
        compiled_cache.data_access(mine.state, way << 11, False)
    before = mine.view.l1d_misses
    for way in (0, 2, 3, 4):
        compiled_cache.data_access(mine.state, way << 11, False)
    assert mine.view.l1d_misses == before
    compiled_cache.data_access(mine.state, 1 << 11, False)
    assert mine.view.l1d_misses == before + 1
