import ctypes
import struct
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emulator.mmu.walk as compiled_walk
from emulator.timing.state import StateView
from tests.mmu.reference import BIG, Control, allows, mark, walk
from tests.support import record, uncompiled

BOTH = [pytest.param(compiled_walk, id="compiled"), pytest.param(uncompiled(compiled_walk), id="uncompiled")]
FRAMES = 8
SIZE = FRAMES * 4096


class Ram(bytes):
    """Shown by its words that aren't zero."""

    def __repr__(self) -> str:
        words = struct.unpack(f"<{len(self) // 4}I", self)
        return "Ram({" + ", ".join(f"{4 * i:#x}: {word:#x}" for i, word in enumerate(words) if word) + "})"


class Small:
    """A state record with a few frames of RAM and control registers of its own."""

    def __init__(self, ram: bytes, control: Control) -> None:
        self.ram = (ctypes.c_uint8 * SIZE).from_buffer_copy(ram)
        cr0 = 1 << 31 | (1 << 16 if control.wp else 0)
        cr4 = (1 << 4 if control.pse else 0) | (1 << 7 if control.pge else 0)
        self.registers = (ctypes.c_uint64 * 5)(cr0, 0, 0, control.cr3, cr4)
        self.marks = (ctypes.c_int64 * FRAMES)()
        self.view = StateView()
        self.view.ram, self.view.ram_size = ctypes.addressof(self.ram), SIZE
        self.view.at_control = ctypes.addressof(self.registers)
        self.view.table_frames, self.view.epoch = ctypes.addressof(self.marks), 1
        self.special = (ctypes.c_uint8 * FRAMES)()
        self.view.special_frames = ctypes.addressof(self.special)
        self.state = record(self.view)


controls = st.builds(
    Control,
    cr3=st.sampled_from([0, 0x1000, 0x1018, 0x7000, SIZE, 0xFFFFF000]),
    pse=st.booleans(),
    pge=st.booleans(),
    wp=st.booleans(),
)
# Frames mostly inside RAM, some far outside; all the low bits, P more often than not.
entries = st.builds(
    lambda frame, bits, present: frame << 12 | bits | present,
    st.one_of(st.integers(0, FRAMES), st.integers(0, 0xFFFFF)),
    st.integers(0, 0xFFF),
    st.sampled_from([1, 1, 1, 0]),
)
slots = st.sampled_from([0, 1, 2, 511, 1023])


@st.composite
def rams(draw: st.DrawFn) -> bytes:
    """Every frame may serve as a directory or a table: a few entries in each of them."""
    ram = bytearray(SIZE)
    for frame in range(FRAMES):
        for slot, entry in draw(st.dictionaries(slots, entries, max_size=4)).items():
            struct.pack_into("<I", ram, 4096 * frame + 4 * slot, entry)
    return Ram(ram)


pages = st.builds(lambda directory, table: directory << 10 | table, slots, slots)


@st.composite
def mapped(draw: st.DrawFn) -> tuple[bytes, Control, int]:
    """A page whose walk goes all the way, but for a few bits."""
    ram, control, page = bytearray(draw(rams())), draw(controls), draw(pages)
    directory, table = draw(st.integers(0, FRAMES - 1)), draw(st.integers(0, FRAMES - 1))
    control = Control(directory << 12, control.pse, control.pge, control.wp)
    struct.pack_into("<I", ram, (table << 12) + 4 * (page & 1023), draw(entries) | draw(st.integers(0, 1)))
    bits = draw(st.integers(0, 0xFFF)) | 1
    struct.pack_into("<I", ram, (directory << 12) + 4 * (page >> 10), table << 12 | bits)
    return Ram(ram), control, page


cases = st.one_of(st.tuples(rams(), controls, pages), mapped())


@pytest.mark.parametrize("model", BOTH)
@settings(max_examples=150, deadline=None)
@given(case=cases)
def test_the_walk_finds_what_the_manual_says(model: ModuleType, case: tuple[bytes, Control, int]) -> None:
    ram, control, page = case
    small = Small(ram, control)
    found = model.walk(small.state, page)
    expected = walk(bytearray(ram), control, page)
    if expected is None:
        assert found == -1
    else:
        rights = found >> 20
        assert found & 0xFFFFF == expected.frame
        assert bool(rights & model.RIGHT_WRITE) == expected.write
        assert bool(rights & model.RIGHT_USER) == expected.user
        assert bool(rights & model.RIGHT_DIRTY) == expected.dirty
        assert bool(rights & model.RIGHT_BIG) == expected.big
        assert bool(rights & model.RIGHT_GLOBAL) == expected.globally
    assert bytes(small.ram) == ram


@pytest.mark.parametrize("model", BOTH)
@settings(max_examples=150, deadline=None)
@given(case=cases)
def test_the_walk_marks_every_table_that_it_reads(
    model: ModuleType, case: tuple[bytes, Control, int]
) -> None:
    ram, control, page = case
    small = Small(ram, control)
    model.walk(small.state, page)
    read = set()
    at = (control.cr3 & ~0xFFF) + 4 * (page >> 10)
    if at < SIZE:
        read.add(at >> 12)
        (pde,) = struct.unpack_from("<I", ram, at)
        if pde & 1 and not (pde & BIG and control.pse) and pde & ~0xFFF < SIZE:
            read.add(pde >> 12)
    assert {frame for frame in range(FRAMES) if small.marks[frame]} == read


@pytest.mark.parametrize("model", BOTH)
@settings(max_examples=150, deadline=None)
@given(case=cases, write=st.booleans(), user=st.booleans())
def test_permissions_are_those_of_the_manual(
    model: ModuleType, case: tuple[bytes, Control, int], write: bool, user: bool
) -> None:
    ram, control, page = case
    expected = walk(bytearray(ram), control, page)
    if expected is not None:
        small = Small(ram, control)
        rights = model.walk(small.state, page) >> 20
        assert bool(model.permitted(small.state, rights, write, user)) == allows(
            control, expected, write, user
        )


@pytest.mark.parametrize("model", BOTH)
@settings(max_examples=150, deadline=None)
@given(case=cases, write=st.booleans())
def test_accessed_and_dirty_are_set_in_the_entries_used_and_nowhere_else(
    model: ModuleType, case: tuple[bytes, Control, int], write: bool
) -> None:
    ram, control, page = case
    expected = bytearray(ram)
    if (found := walk(expected, control, page)) is not None:
        mark(expected, found, write)
        small = Small(ram, control)
        model.set_accessed(small.state, page, write)
        assert bytes(small.ram) == expected
        changed = [at for at in range(0, SIZE, 4) if expected[at : at + 4] != ram[at : at + 4]]
        if len(set(found.entries)) == len(found.entries):  # a directory may be its own table
            assert small.view.accessed_set == len(changed)


@pytest.mark.parametrize(
    ("write", "user", "wp"), [(w, u, wp) for w in (0, 1) for u in (0, 1) for wp in (0, 1)]
)
@pytest.mark.parametrize("rights", [0, 2, 4, 6])
@pytest.mark.parametrize("model", BOTH)
def test_the_table_of_permissions(model: ModuleType, rights: int, write: int, user: int, wp: int) -> None:
    small = Small(bytes(SIZE), Control(0, False, False, bool(wp)))
    page_user, page_write = bool(rights & model.RIGHT_USER), bool(rights & model.RIGHT_WRITE)
    if user and not page_user:
        expected = False
    elif not write or page_write:
        expected = True
    else:
        expected = not user and not wp
    assert bool(model.permitted(small.state, rights, bool(write), bool(user))) is expected
