"""The TLBs, compiled and not, against dictionaries, by random histories."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import emulator.mmu.tlb as compiled_tlb
from emulator.mmu.walk import RIGHT_BIG, RIGHT_GLOBAL
from emulator.timing.setup import configure
from emulator.timing.state import StateView
from tests.mmu.reference import WHY, Tlb
from tests.support import PENTIUM3, PENTIUM4, profile, record, uncompiled

BOTH = [pytest.param(compiled_tlb, id="compiled"), pytest.param(uncompiled(compiled_tlb), id="uncompiled")]
DATA, CODE = compiled_tlb.DATA, compiled_tlb.CODE
SIDES = (DATA, CODE)
# Pages that crowd a few sets of the split, 4-way arrays, and more of them than any array holds.
pages = st.one_of(
    st.integers(0, 80), st.integers(0, 40).map(lambda i: i * 16), st.integers(0, 12).map(lambda i: i << 10)
)
sides = st.sampled_from(SIDES)

Key = tuple[str, int]


class Pair:
    """The state record and the reference, stepped together."""

    def __init__(self, name: str, fifo: bool, model: ModuleType = compiled_tlb) -> None:
        self.model = model
        self.view = StateView()
        configure(self.view, profile(name))
        self.view.field("tlb_fifo")[:] = fifo
        self.state: Any = record(self.view)
        if name == PENTIUM4:
            arrays = [Tlb(64, 64, fifo), Tlb(64, 64, fifo)]
            self.arrays = {(side, size): arrays[side] for side in SIDES for size in ("small", "big")}
        else:
            sizes = {(0, "small"): (64, 4), (0, "big"): (8, 4), (1, "small"): (32, 4), (1, "big"): (2, 2)}
            self.arrays = {key: Tlb(*size, fifo) for key, size in sizes.items()}
        self.why: dict[tuple[int, Key], str] = {}

    def keys(self, page: int) -> tuple[Key, Key]:
        return ("small", page), ("big", page >> 10)

    def lookup(self, side: int, page: int) -> bool:
        """Both look `page` up: same answer, same frame."""
        entry = self.model.probe(self.state, side, page)
        for key in self.keys(page):
            array = self.arrays[side, key[0]]
            if array.hit(key):
                assert entry >= 0, f"the model has lost {key}"
                frame = array.content[key][0] + (page & 0x3FF if key[0] == "big" else 0)
                assert self.model.frame_of(self.state, entry, page) == frame
                self.model.touch(self.state, entry)
                return True
        assert entry == -1, f"the model holds page {page:#x}, which must have gone"
        return False

    def insert(self, side: int, page: int, big: bool, frame: int, globally: bool) -> None:
        key = self.keys(page)[big]
        assert WHY[self.model.reason(self.state, side, page, RIGHT_BIG if big else 0)] == self.why.get(
            (side, key), "cold"
        )
        if big:  # as a miss does: see timing/access.py
            self.drop_small(side, page)
        entry = self.model.victim(self.state, side, page, big)
        gone_tag = int(self.state.tlb_tag[entry])
        frame = frame & 0xFFC00 if big else frame
        rights = (RIGHT_BIG if big else 0) | (RIGHT_GLOBAL if globally else 0)
        self.model.insert(
            self.state, side, page, entry, (frame | page & 0x3FF if big else frame) | rights << 20
        )
        gone = self.arrays[side, key[0]].insert(key, frame, globally)
        assert gone_tag == (-1 if gone is None else gone[1] | (self.model.BIG_TAG if gone[0] == "big" else 0))
        if gone is not None:
            self.why[side, gone] = "capacity"

    def drop_small(self, side: int, page: int) -> None:
        array = self.arrays[side, "small"]
        for key in [key for key in array.content if key[0] == "small" and key[1] >> 10 == page >> 10]:
            array.drop(key)
            self.why[side, key] = "capacity"
        while (entry := self.model.next_small(self.state, side, page, 0)) >= 0:
            self.model.drop(self.state, side, entry, self.model.WHY_CAPACITY)

    def flush(self, keep_global: bool, why: int) -> None:
        self.model.flush(self.state, keep_global, why)
        for side in SIDES:
            for array in {id(a): a for (s, _), a in self.arrays.items() if s == side}.values():
                for key, (_, globally) in list(array.content.items()):
                    if not (keep_global and globally):
                        array.drop(key)
                        self.why[side, key] = WHY[why]

    def invalidate(self, page: int) -> None:
        big = False
        for side in SIDES:
            for key in self.keys(page):
                if self.arrays[side, key[0]].drop(key):
                    self.why[side, key] = "invlpg"
                    big |= key[0] == "big"
        assert bool(self.model.invalidate_page(self.state, page, self.model.WHY_INVLPG)) == big

    def contents(self) -> dict[int, set[int]]:
        """Valid tags by side, in the self.model."""
        found: dict[int, set[int]] = {}
        for side in SIDES:
            tags = self.view.field("tlb_tag")[256 * side : 256 * side + 256]
            found[side] = {int(tag) for tag in tags if tag >= 0}
        return found

    def expected(self) -> dict[int, set[int]]:
        return {
            side: {
                number | (self.model.BIG_TAG if size == "big" else 0)
                for (s, _), array in self.arrays.items()
                if s == side
                for size, number in array.content
            }
            for side in SIDES
        }


class Histories(RuleBasedStateMachine):
    name = PENTIUM4
    fifo = False
    model = compiled_tlb

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(self.name, self.fifo, self.model)

    @rule(side=sides, page=pages, big=st.booleans(), frame=st.integers(0, 0xFFFFF), globally=st.booleans())
    def access(self, side: int, page: int, big: bool, frame: int, globally: bool) -> None:
        if not self.pair.lookup(side, page):
            self.pair.insert(side, page, big, frame, globally)
        assert self.pair.lookup(side, page)

    @rule(
        side=sides,
        first=pages,
        count=st.integers(1, 70),
        step=st.sampled_from([1, 16, 1024]),
        big=st.booleans(),
    )
    def sweep(self, side: int, first: int, count: int, step: int, big: bool) -> None:
        for page in range(first, first + count * step, step):
            if not self.pair.lookup(side, page):
                self.pair.insert(side, page, big, page ^ 0xFF, page % 3 == 0)

    @rule(side=sides, page=pages)
    def look(self, side: int, page: int) -> None:
        self.pair.lookup(side, page)

    @rule()
    def mov_cr3(self) -> None:
        self.pair.flush(True, compiled_tlb.WHY_CR3)

    @rule()
    @precondition(lambda self: len(self.pair.why) % 5 == 0)  # seldom
    def drop_all(self) -> None:
        self.pair.flush(False, compiled_tlb.WHY_OTHER)

    @rule(page=pages)
    def invlpg(self, page: int) -> None:
        self.pair.invalidate(page)

    @invariant()
    def the_same_entries_are_held(self) -> None:
        assert self.pair.contents() == self.pair.expected()


@pytest.mark.parametrize("fifo", [False, True], ids=["lru", "fifo"])
@pytest.mark.parametrize("name", [PENTIUM4, PENTIUM3])
@pytest.mark.parametrize("model", BOTH)
def test_the_modelled_tlb_behaves_as_the_dictionaries(name: str, fifo: bool, model: ModuleType) -> None:
    kind = type("Histories", (Histories,), {"name": name, "fifo": fifo, "model": model})
    case = kind.TestCase
    case.settings = settings(
        max_examples=25 if model is compiled_tlb else 8, stateful_step_count=25, deadline=None
    )
    case().runTest()


def test_a_small_and_a_large_entry_of_one_page_are_both_dropped_by_invlpg() -> None:
    for name in (PENTIUM4, PENTIUM3):
        pair = Pair(name, False)
        pair.insert(DATA, 0x400, True, 0x800, True)
        pair.insert(DATA, 0x400, False, 0x123, True)
        pair.invalidate(0x400)
        assert pair.contents() == {DATA: set(), CODE: set()}


def test_lru_and_fifo_choose_different_victims() -> None:
    gone = []
    for fifo in (False, True):
        pair = Pair(PENTIUM3, fifo)
        for page in (0, 16, 32, 48):  # one set of four ways
            pair.insert(DATA, page, False, page, False)
        assert pair.lookup(DATA, 0)
        pair.insert(DATA, 64, False, 64, False)
        gone.append({0, 16, 32, 48} - pair.contents()[DATA])
    assert gone == [{16}, {0}]
