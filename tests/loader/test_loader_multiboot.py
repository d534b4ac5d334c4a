"""Multiboot kernels: the header, where things lie, and what the kernel is told."""

import itertools
import struct

import pytest
from elf_builder import CODE, MIB, Elf, Load, multiboot_elf, multiboot_header
from physical import Memory
from refusal import MEMORY, load, refused

from loader import Module, Rule
from loader.placement import Span, first_fit

STRUCTURE = struct.Struct("<7I16x7I16x")


class Told(Memory):
    """What a multiboot kernel reads."""

    @property
    def structure(self) -> dict[str, int]:
        names = ["flags", "lower", "upper", "boot_device", "line", "mods", "mods_at"]
        names += ["map_size", "map_at", "drives", "drives_at", "config", "loader", "apm"]
        values = STRUCTURE.unpack(self.read(self.image.entry.registers["ebx"], STRUCTURE.size))
        return dict(zip(names, values, strict=True))

    def map(self) -> list[tuple[int, int, int]]:
        at, end = self.structure["map_at"], self.structure["map_at"] + self.structure["map_size"]
        entries = []
        while at < end:
            size, base, length, kind = struct.unpack("<IQQI", self.read(at, 24))
            entries.append((base, base + length, kind))
            at += size + 4
        return entries

    def modules(self) -> list[tuple[int, int, str]]:
        start = self.structure["mods_at"]
        entries = (
            struct.unpack("<IIII", self.read(start + 16 * i, 16)) for i in range(self.structure["mods"])
        )
        return [(first, end, self.string(text)) for first, end, text, _ in entries]


def test_a_multiboot_header_is_found_by_itself() -> None:
    assert load(multiboot_elf()).format == "multiboot"


def test_the_kernel_starts_with_the_magic_number_and_the_information() -> None:
    entry = load(multiboot_elf()).entry
    assert (entry.mode, entry.eip, entry.cs) == ("protected32", MIB + 12, None)
    assert entry.registers == {"eax": 0x2BADB002, "ebx": 0x10000}


def test_a_kernel_is_told_its_memory_and_who_loaded_it() -> None:
    memory = Told(load(multiboot_elf(flags=2)))
    told = memory.structure
    assert told["flags"] == 1 << 0 | 1 << 2 | 1 << 6 | 1 << 9
    assert (told["lower"], told["upper"]) == (639, 15 * 1024)
    assert memory.string(told["loader"]) == "Ringtoll"
    assert memory.map() == [
        (0, 0x9FC00, 1),
        (0x9FC00, 0xA0000, 2),
        (0xE0000, 0x100000, 2),
        (0x100000, MEMORY, 1),
    ]


@pytest.mark.parametrize("line", ["", "console=ttyS0 quiet", "grüße \udcff"])
def test_the_command_line_is_what_was_given_and_nothing_else(line: str) -> None:
    memory = Told(load(multiboot_elf(), append=line))
    assert memory.string(memory.structure["line"]) == line


def test_modules_lie_on_pages_above_the_kernel_and_its_bss_in_order() -> None:
    modules = [Module("one a b", b"1" * 5000), Module("empty", b""), Module("two", b"22")]
    memory = Told(load(multiboot_elf(flags=1), modules=modules))
    assert memory.structure["flags"] & 1 << 3
    assert memory.modules() == [
        (0x103000, 0x103000 + 5000, "one a b"),
        (0x105000, 0x105000, "empty"),
        (0x106000, 0x106002, "two"),
    ]
    assert memory.read(0x106000, 2) == b"22"


def test_nothing_that_is_placed_overlaps() -> None:
    modules = [Module(f"m{i}", bytes(i * 1000)) for i in range(9)]
    low = Load(physical=0x8000, data=bytes(0x9000), flags=6)
    header = multiboot_header()
    kernel = Elf(loads=[Load(data=header + CODE), low], entry=MIB + 12).build()
    segments = sorted(load(kernel, modules=modules).segments, key=lambda s: s.address)
    assert all(a.end <= b.address for a, b in itertools.pairwise(segments))


def test_the_information_goes_above_the_modules_when_low_memory_is_taken() -> None:
    low = Load(physical=0x1000, data=b"", memory_size=0x9EC00)
    kernel = Elf(loads=[Load(data=multiboot_header() + CODE), low], entry=MIB + 12).build()
    image = load(kernel, modules=[Module("m", b"x")])
    assert image.entry.registers["ebx"] == 0x102000
    assert Told(image).modules() == [(0x101000, 0x101001, "m")]


def test_a_long_command_line_goes_above_the_modules() -> None:
    image = load(multiboot_elf(), append="x" * 0x90000)
    assert image.entry.registers["ebx"] == 0x103000


def test_modules_of_a_kernel_in_low_memory_lie_above_1_mib() -> None:
    load_ = Load(physical=0x8000, data=multiboot_header() + CODE)
    image = load(Elf(loads=[load_], entry=0x800C).build(), modules=[Module("m", b"x")])
    assert Told(image).modules() == [(MIB, MIB + 1, "m")]


def test_information_that_finds_no_low_memory_leaves_the_space_below_the_kernel_alone() -> None:
    kernel = Elf(loads=[Load(physical=2 * MIB, data=multiboot_header() + CODE)], entry=2 * MIB + 12)
    assert load(kernel.build(), append="x" * 0x90000).entry.registers["ebx"] == 2 * MIB + 0x1000


def test_a_machine_with_little_memory_is_told_so() -> None:
    load_ = Load(physical=0x8000, data=multiboot_header() + CODE)
    memory = Told(load(Elf(loads=[load_], entry=0x800C).build(), memory_bytes=0x80000))
    assert (memory.structure["lower"], memory.structure["upper"]) == (512, 0)
    assert (0, 0x80000, 1) in memory.map()


def test_the_first_free_place_is_found_to_the_byte() -> None:
    taken = [Span(0x3000, 0x1000, "b"), Span(0, 0x1000, "a")]
    assert first_fit(taken, 0x2000, 0, 0x10000) == 0x1000
    assert first_fit(taken, 0x2001, 0, 0x10000) == 0x4000
    assert first_fit(taken, 0x2001, 0, 0x6001) == 0x4000
    assert first_fit(taken, 0x2001, 0, 0x6000) is None
    assert first_fit([], 1, 1, 0x2000) == 0x1000


def test_a_module_that_does_not_fit_in_memory_is_refused() -> None:
    with refused(Rule.NO_ROOM, "module large"):
        load(multiboot_elf(), modules=[Module("large", bytes(MEMORY - 0x103000 + 1))])


def test_information_that_does_not_fit_in_memory_is_refused() -> None:
    with refused(Rule.NO_ROOM, "information"):
        load(multiboot_elf(), append="x" * MEMORY)


def test_a_module_may_end_where_memory_ends() -> None:
    assert load(multiboot_elf(), modules=[Module("m", bytes(MEMORY - 0x103000))]).memory_needed == MEMORY


def test_a_string_with_a_nul_is_refused() -> None:
    with refused(Rule.STRING, "command line", "byte 1"):
        load(multiboot_elf(), append="a\0b")
    with refused(Rule.STRING, "module", file="a\0b"):
        load(multiboot_elf(), modules=[Module("a\0b", b"")])


def test_a_string_that_cannot_be_encoded_is_refused() -> None:
    with refused(Rule.STRING, "encoded"):
        load(multiboot_elf(), append="\ud800")


def test_a_required_video_mode_is_refused_by_its_bit() -> None:
    with refused(Rule.MULTIBOOT_FLAGS, "bit 2", "video mode"):
        load(multiboot_elf(flags=1 << 2))


@pytest.mark.parametrize("bit", range(3, 16))
def test_an_undefined_required_feature_is_refused_by_its_bit(bit: int) -> None:
    with refused(Rule.MULTIBOOT_FLAGS, f"bit {bit},"):
        load(multiboot_elf(flags=1 << bit))


@pytest.mark.parametrize("bit", range(17, 32))
def test_an_optional_feature_is_ignored(bit: int) -> None:
    assert load(multiboot_elf(flags=1 << bit)).format == "multiboot"


def test_a_header_behind_8192_bytes_is_no_header() -> None:
    def kernel(header_at: int) -> bytes:
        before = 52 + 32
        return Elf(loads=[Load(data=bytes(header_at - before) + multiboot_header() + CODE)]).build()

    assert load(kernel(8192 - 12)).format == "multiboot"
    assert load(kernel(8192 - 8)).format == "elf"
    with refused(Rule.NO_MULTIBOOT_HEADER, "8192"):
        load(kernel(8192 - 8), format="multiboot")


def test_a_header_off_a_4_byte_boundary_is_no_header() -> None:
    with refused(Rule.NO_MULTIBOOT_HEADER):
        load(b"\0" + multiboot_header() + bytes(64), format="multiboot")


def test_a_header_with_a_wrong_checksum_is_named() -> None:
    kernel = Elf(loads=[Load(data=multiboot_header(checksum=1))]).build()
    with refused(Rule.NO_MULTIBOOT_HEADER, "checksum", "0x54"):
        load(kernel, format="multiboot")
    image = load(kernel)
    assert image.format == "elf"
    assert "checksum" in image.notes[0]


def test_a_good_header_behind_a_bad_one_is_found() -> None:
    load_ = Load(data=multiboot_header(checksum=1) + multiboot_header() + CODE)
    assert load(Elf(loads=[load_]).build()).format == "multiboot"


def test_a_header_without_addresses_needs_an_elf_file() -> None:
    with refused(Rule.NOT_ELF, "bit 16"):
        load(multiboot_header() + CODE)


def test_the_rules_of_elf_hold_for_multiboot_kernels() -> None:
    with refused(Rule.ENTRY):
        load(multiboot_elf(entry=0))


def test_a_linear_entry_point_of_a_multiboot_kernel_is_converted() -> None:
    kernel = Elf(loads=[Load(data=multiboot_header() + CODE, linear=0xC0100000)], entry=0xC010000C).build()
    assert load(kernel).entry.eip == MIB + 12
