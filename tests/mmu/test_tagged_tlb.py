"""The what-if of a tagged TLB: against a plain model by random histories, and whole, in a guest."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import emulator.mmu.tlb as compiled_tlb
from emulator.mmu.walk import RIGHT_BIG, RIGHT_GLOBAL
from emulator.timing.profile import load_profile
from emulator.timing.setup import configure
from emulator.timing.state import StateView
from tests.mmu.reference import WHY
from tests.mmu.tagged_reference import Array, Key, TaggedTlb
from tests.support import (
    DIRECTORY,
    EXIT,
    FRAMES,
    PENTIUM3,
    PENTIUM4,
    PROFILES,
    P,
    Rig,
    U,
    W,
    record,
    uncompiled,
)

SIDES = (compiled_tlb.DATA, compiled_tlb.CODE)
pages = st.one_of(
    st.integers(0, 80), st.integers(0, 40).map(lambda i: i * 16), st.integers(0, 12).map(lambda i: i << 10)
)
sides = st.sampled_from(SIDES)
directories = st.integers(0, 2 * compiled_tlb.TAGS).map(lambda i: min(i, 1 + i // 4) if i < 20 else i)


class Pair:
    """The state record and the reference, stepped together."""

    def __init__(self, name: str, fifo: bool, model: ModuleType) -> None:
        self.model = model
        self.view = StateView()
        configure(self.view, load_profile(f"{name}+tagged-tlb"))
        self.view.field("tlb_fifo")[:] = fifo
        self.state: Any = record(self.view)
        self.sides = []
        for side in SIDES:
            if name == PENTIUM4:
                shared = Array(64, 64, fifo)
                arrays = {"small": shared, "big": shared}
            else:
                small, big = ((64, 4), (8, 4)) if side == compiled_tlb.DATA else ((32, 4), (2, 2))
                arrays = {"small": Array(*small, fifo), "big": Array(*big, fifo)}
            self.sides.append(TaggedTlb(arrays, 0, compiled_tlb.TAGS))

    def lookup(self, side: int, page: int) -> bool:
        expected = self.sides[side].lookup(page)
        entry = self.model.probe(self.state, side, page)
        if expected is None:
            assert entry == -1, f"the model holds page {page:#x}, which must have gone"
            return False
        assert entry >= 0, f"the model has lost page {page:#x}"
        assert self.model.frame_of(self.state, entry, page) == expected
        self.model.touch(self.state, entry)
        return True

    def insert(self, side: int, page: int, big: bool, frame: int, globally: bool) -> None:
        """As a miss does (timing/access.py)."""
        tlb = self.sides[side]
        owner = None if globally else tlb.directory
        key: Key = ("big", page >> 10, owner) if big else ("small", page, owner)
        rights = (RIGHT_BIG if big else 0) | (RIGHT_GLOBAL if globally else 0)
        why = self.model.reason(self.state, side, page, rights)
        assert WHY[why] == tlb.why.get(key, "cold"), key
        if big:
            while (entry := self.model.next_small(self.state, side, page, 0)) >= 0:
                self.model.drop(self.state, side, entry, self.model.WHY_CAPACITY)
        if globally:
            self.model.drop_parked(self.state, side, page, big)
        entry = self.model.victim(self.state, side, page, big)
        self.model.drop(self.state, side, entry, self.model.WHY_CAPACITY)
        frame = frame & 0xFFC00 if big else frame
        translation = (frame | page & 0x3FF if big else frame) | rights << 20
        self.model.insert(self.state, side, page, entry, translation)
        tlb.insert(key, frame)

    def access(self, side: int, page: int, big: bool, frame: int, globally: bool) -> None:
        if not self.lookup(side, page):
            self.insert(side, page, big, frame, globally)
        assert self.lookup(side, page)

    def mov_cr3(self, directory: int) -> None:
        self.model.change_directory(self.state, int(self.state.cr3), directory << 12)
        self.state.cr3 = directory << 12
        for tlb in self.sides:
            tlb.mov_cr3(directory)

    def invlpg(self, page: int) -> None:
        self.model.invalidate_page(self.state, page, self.model.WHY_INVLPG)
        for tlb in self.sides:
            tlb.invlpg(page)

    def drop_all(self) -> None:
        self.model.flush(self.state, False, self.model.WHY_OTHER)
        for tlb in self.sides:
            tlb.drop_all()

    def contents(self, side: int) -> set[Key]:
        """What the model holds, parked or not, as keys of the reference."""
        found: set[Key] = set()
        owners = self.view.field("slot_directory")
        for entry in range(256 * side, 256 * side + 256):
            tag = int(self.state.tlb_tag[entry])
            if tag < 0:
                continue
            owner: int | None = int(owners[tag >> self.model.PARKED or self.state.slot])
            if self.state.tlb_rights[entry] & RIGHT_GLOBAL:
                assert tag >> self.model.PARKED == 0, "a global entry is never parked"
                owner = None
            if tag & self.model.BIG_TAG:
                found.add(("big", tag & 0x3FF, owner))
            else:
                found.add(("small", tag & 0xFFFFF, owner))
        return found


class Histories(RuleBasedStateMachine):
    name = PENTIUM4
    fifo = False
    model = compiled_tlb

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(self.name, self.fifo, self.model)
        self.steps = 0

    @rule(side=sides, page=pages, big=st.booleans(), frame=st.integers(0, 0xFFFFF), globally=st.booleans())
    def access(self, side: int, page: int, big: bool, frame: int, globally: bool) -> None:
        self.pair.access(side, page, big, frame, globally)

    @rule(side=sides, first=pages, count=st.integers(1, 40), step=st.sampled_from([1, 16]))
    def sweep(self, side: int, first: int, count: int, step: int) -> None:
        for page in range(first, first + count * step, step):
            self.pair.access(side, page, False, page ^ 0xFF, page % 5 == 0)

    @rule(directory=directories, side=sides, page=pages)
    def mov_cr3(self, directory: int, side: int, page: int) -> None:
        self.pair.mov_cr3(directory)
        self.pair.access(side, page, False, page ^ directory, False)

    @rule(order=st.permutations(range(40, 40 + compiled_tlb.TAGS + 2)), page=pages)
    @precondition(lambda self: self.steps % 4 == 0)  # not often: it recycles every slot
    def many_directories(self, order: list[int], page: int) -> None:
        for directory in order:
            self.pair.mov_cr3(directory)
            self.pair.access(compiled_tlb.DATA, page, False, directory, False)

    @rule()
    def reload_cr3(self) -> None:
        self.pair.mov_cr3(self.pair.sides[0].directory)

    @rule()
    @precondition(lambda self: self.steps % 5 == 0)
    def drop_all(self) -> None:
        self.pair.drop_all()

    @rule(page=pages)
    def invlpg(self, page: int) -> None:
        self.pair.invlpg(page)

    @invariant()
    def the_same_entries_are_held(self) -> None:
        self.steps += 1
        for side in SIDES:
            assert self.pair.contents(side) == self.pair.sides[side].held()


@pytest.mark.parametrize("fifo", [False, True], ids=["lru", "fifo"])
@pytest.mark.parametrize("name", [PENTIUM4, PENTIUM3])
def test_the_tagged_tlb_behaves_as_the_plain_one(name: str, fifo: bool) -> None:
    case = type("Histories", (Histories,), {"name": name, "fifo": fifo}).TestCase
    case.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
    case().runTest()


def test_compiled_and_uncompiled_hold_the_same_after_a_recycled_slot() -> None:
    plain = uncompiled(compiled_tlb)
    plain.forget_slot = lambda s, slot: compiled_tlb.forget_slot(s, slot)  # two million reasons, one by one
    pair = Pair(PENTIUM4, False, plain)
    for directory in [*range(1, 20), 3, 18, 18, 1]:
        pair.mov_cr3(directory)
        for page in range(directory, directory + 3):
            pair.access(compiled_tlb.DATA, page, False, page, page == 7)
        for side in SIDES:
            assert pair.contents(side) == pair.sides[side].held()


def test_entries_wait_for_their_directory_and_a_reload_drops_only_its_own() -> None:
    pair = Pair(PENTIUM4, False, compiled_tlb)
    pair.access(compiled_tlb.DATA, 5, False, 100, False)
    pair.access(compiled_tlb.DATA, 6, False, 101, True)
    pair.mov_cr3(1)
    assert not pair.lookup(compiled_tlb.DATA, 5)
    assert pair.lookup(compiled_tlb.DATA, 6)
    pair.access(compiled_tlb.DATA, 5, False, 200, False)
    pair.mov_cr3(1)
    assert not pair.lookup(compiled_tlb.DATA, 5)
    pair.mov_cr3(0)
    assert pair.lookup(compiled_tlb.DATA, 5)


OTHER = 0x60000  # a second page directory, with a table of its own for the 4 MB of SMALL
OTHER_TABLE = 0x61000
SMALL = 0x1400000
READ = f"mov eax, [{SMALL}]; int 0x30;"


def load(directory: int) -> str:
    return f"mov eax, {directory}; mov cr3, eax;"


def two_spaces(name: str) -> Rig:
    """SMALL is FRAMES in the first directory and the page after it in the other."""
    rig = Rig(name)
    rig.small(SMALL, FRAMES, P | W | U)
    rig.machine.ram.write(OTHER, rig.machine.ram.read(DIRECTORY, 4096))
    rig.poke(OTHER + 4 * (SMALL >> 22), OTHER_TABLE | P | W | U)
    rig.poke(OTHER_TABLE, FRAMES + 4096 | P | W | U)
    rig.poke(FRAMES, 1)
    rig.poke(FRAMES + 4096, 2)
    rig.poke(FRAMES + 8192, 3)
    return rig


def values(log: list[tuple[int, int, int]]) -> list[int]:
    return [value for _, value, _ in log]


@pytest.mark.parametrize("name", PROFILES)
def test_a_guest_that_changes_directories_keeps_its_entries_and_its_spaces_apart(name: str) -> None:
    rounds = (load(OTHER) + READ + load(DIRECTORY) + READ) * 6
    misses = {}
    for kind in (name, f"{name}+tagged-tlb"):
        rig = two_spaces(kind)
        assert values(rig.run(READ + rounds + EXIT)) == [1] + [2, 1] * 6
        by_reason = rig.machine.state.field("tlb_misses")[compiled_tlb.DATA]
        misses[kind] = dict(zip(WHY, (int(n) for n in by_reason), strict=True))
    tagged = misses[f"{name}+tagged-tlb"]
    assert misses[name]["cr3"] >= 12
    assert (tagged["cr3"], tagged["capacity"]) == (0, 0)
    assert tagged["cold"] <= misses[name]["cold"] + 3  # the other space's own pages


def test_a_stale_entry_waits_for_its_directory_until_that_is_loaded_again() -> None:
    """What a kernel has to think of: MOV CR3 to another directory drops nothing any more."""
    change = f"mov dword ptr [{OTHER_TABLE}], {FRAMES + 8192 | P | W | U};"
    program = load(OTHER) + READ + load(DIRECTORY) + change + load(OTHER) + READ + load(OTHER) + READ + EXIT
    assert values(two_spaces(f"{PENTIUM4}+tagged-tlb").run(program)) == [2, 2, 3]
    assert values(two_spaces(PENTIUM4).run(program)) == [2, 3, 3]


def test_invlpg_reaches_the_loaded_directory_only() -> None:
    program = READ + load(OTHER) + READ
    program += f"mov eax, [{TABLE_POINTER}]; mov dword ptr [eax], {FRAMES + 8192 | P | W | U};"
    program += f"invlpg [{SMALL}];" + READ + load(DIRECTORY) + READ + f"invlpg [{SMALL}];" + READ + EXIT
    rig = two_spaces(f"{PENTIUM4}+tagged-tlb")
    rig.poke(TABLE_POINTER, rig.pte_at(SMALL))
    assert values(rig.run(program)) == [1, 2, 2, 1, 3]


TABLE_POINTER = 0x62000
