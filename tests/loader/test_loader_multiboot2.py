"""Multiboot 2 kernels: the header's tags, where things lie, and what the kernel is told."""

import struct

import pytest
from elf_builder import CODE, MIB, Elf, Load, multiboot2_elf, multiboot2_header, multiboot_header, tag
from physical import Memory
from refusal import MEMORY, load, refused

from loader import Image, Module, Rule

ENTRY_TAG = tag(3, MIB + 8)


def told(image: Image) -> dict[int, list[bytes]]:
    """The tags of the boot information: fields by type."""
    memory, at = Memory(image), image.entry.registers["ebx"]
    total, reserved = memory.words(at, "<II")
    assert (at % 8, reserved) == (0, 0)
    tags: dict[int, list[bytes]] = {}
    end, at = at + total, at + 8
    while True:
        kind, size = memory.words(at, "<II")
        if kind == 0:
            assert (size, at + 8) == (8, end)
            return tags
        tags.setdefault(kind, []).append(memory.read(at + 8, size - 8))
        at += (size + 7) & -8


def test_a_multiboot_2_header_is_found_by_itself() -> None:
    image = load(multiboot2_elf())
    assert (image.format, image.entry.mode, image.entry.eip) == ("multiboot2", "protected32", MIB)
    assert image.entry.registers == {"eax": 0x36D76289, "ebx": 0x10000}


def test_a_kernel_with_both_headers_is_started_by_the_first_version() -> None:
    both = multiboot2_header() + multiboot_header() + CODE
    kernel = Elf(loads=[Load(data=bytes(4) + both)]).build()
    assert load(kernel).format == "multiboot"
    assert load(kernel, format="multiboot2").format == "multiboot2"


def test_a_kernel_is_told_its_memory_and_who_loaded_it() -> None:
    tags = told(load(multiboot2_elf()))
    assert set(tags) == {1, 2, 4, 6}
    assert (tags[1], tags[2]) == ([b"\0"], [b"Ringtoll\0"])
    assert struct.unpack("<II", tags[4][0]) == (639, 15 * 1024)
    head, entries = tags[6][0][:8], tags[6][0][8:]
    assert struct.unpack("<II", head) == (24, 0)
    assert list(struct.iter_unpack("<QQII", entries)) == [
        (0, 0x9FC00, 1, 0),
        (0x9FC00, 0x400, 2, 0),
        (0xE0000, 0x20000, 2, 0),
        (0x100000, MEMORY - 0x100000, 1, 0),
    ]


@pytest.mark.parametrize("line", ["", "console=ttyS0 quiet", "grüße"])
def test_the_command_line_is_what_was_given_and_nothing_else(line: str) -> None:
    assert told(load(multiboot2_elf(), append=line))[1] == [line.encode() + b"\0"]


def test_modules_lie_on_pages_above_the_kernel() -> None:
    image = load(multiboot2_elf(), modules=[Module("one a b", b"1" * 5000), Module("two", b"22")])
    one, two = told(image)[3]
    assert (struct.unpack_from("<II", one), one[8:]) == ((0x103000, 0x103000 + 5000), b"one a b\0")
    assert (struct.unpack_from("<II", two), two[8:]) == ((0x105000, 0x105002), b"two\0")
    assert Memory(image).read(0x105000, 2) == b"22"


def test_acpis_root_pointer_is_passed_on_but_not_hashed() -> None:
    image = load(multiboot2_elf(), rsdp=b"RSD PTR ".ljust(20))
    assert told(image)[14] == [b"RSD PTR ".ljust(20)]
    assert image.sha256 == load(multiboot2_elf()).sha256


@pytest.mark.parametrize(
    "tags",
    [
        tag(1, *range(1, 22)),
        tag(1),
        tag(1, 22, optional=True),
        tag(4, 3),
        tag(4, 0),
        tag(4, 1, optional=True),
        tag(5, 1024, 768, 32, optional=True),
        tag(6),
        tag(7) + tag(8, MIB) + tag(9, MIB),
        tag(11, optional=True),
    ],
)
def test_a_kernel_may_ask_for_what_is_known(tags: bytes) -> None:
    assert load(multiboot2_elf(tags)).format == "multiboot2"


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (tag(11), "tag 11"),
        (tag(1, 6, 22, 0), "information 22, 0"),
        (tag(4, 1), "console"),
        (tag(5, 1024, 768, 32), "framebuffer"),
    ],
)
def test_what_a_kernel_requires_and_there_is_not_is_refused(tags: bytes, words: str) -> None:
    with refused(Rule.MULTIBOOT_FLAGS, words):
        load(multiboot2_elf(tags))


def test_the_entry_tag_wins_over_the_elf_header() -> None:
    assert load(multiboot2_elf(ENTRY_TAG, entry=0xFFFFFFFF)).entry.eip == MIB + 8
    with refused(Rule.ENTRY, "tag 3"):
        load(multiboot2_elf(tag(3, MIB - 1)))


def test_a_linear_entry_point_is_converted() -> None:
    load_ = Load(data=bytes(4) + multiboot2_header(), linear=0xC0100000)
    image = load(Elf(loads=[load_], entry=0xC0100002).build())
    assert image.entry.eip == MIB + 2
    assert "linear" in image.notes[0]


def addresses(*fields: int, before: int = 8, more: bytes = ENTRY_TAG) -> bytes:
    return bytes(before) + multiboot2_header(tag(2, *fields) + more) + CODE


def test_the_address_tag_places_a_kernel_that_is_no_elf_file() -> None:
    kernel = addresses(MIB + 4, MIB, MIB + 32, 2 * MIB)
    segment = load(kernel).segments[0]
    assert (segment.address, segment.data, segment.end) == (MIB, kernel[4:36], 2 * MIB)


def test_an_address_tag_can_load_the_file_from_its_start() -> None:
    kernel = addresses(MIB + 8, 0xFFFFFFFF, 0, 0)
    segment = load(kernel).segments[0]
    assert (segment.address, segment.data) == (MIB, kernel)
    with refused(Rule.MULTIBOOT_ADDRESSES, "0x8"):
        load(addresses(7, 0xFFFFFFFF, 0, 0))


@pytest.mark.parametrize(
    ("kernel", "rule", "words"),
    [
        (addresses(MIB, MIB, 0, 0, more=b""), Rule.MULTIBOOT_ADDRESSES, "entry address tag"),
        (addresses(MIB, MIB + 4, 0, 0), Rule.MULTIBOOT_ADDRESSES, "above header_addr"),
        (addresses(MIB + 16, MIB, 0, 0), Rule.MULTIBOOT_ADDRESSES, "before the file"),
        (addresses(MIB, MIB, 0, MIB), Rule.MULTIBOOT_ADDRESSES, "below load_end_addr"),
        (addresses(MIB, MIB, 2 * MIB, 0), Rule.TRUNCATED_SEGMENT, "truncated"),
        (addresses(MIB, MIB, 0, 0, more=tag(3, 0)), Rule.ENTRY, "entry_addr"),
        (addresses(0xA0000, 0xA0000, 0, 0, more=tag(3, 0xA0000)), Rule.OUTSIDE_MEMORY, "no RAM"),
        (multiboot2_header() + CODE, Rule.NOT_ELF, "address tag"),
    ],
)
def test_addresses_that_cannot_be_are_refused(kernel: bytes, rule: Rule, words: str) -> None:
    with refused(rule, words):
        load(kernel)


@pytest.mark.parametrize(
    ("fields", "base"),
    [
        ((0, 0xFFFFFFFF, 0, 0), MIB),
        ((MIB, MIB + 0x3000, 0x1000, 2), MIB),
        ((2 * MIB + 1, 0xFFFFFFFF, 0x1000, 0), 2 * MIB + 0x1000),
        ((2 * MIB, 0xFFFFFFFF, 0, 1), 2 * MIB),
        ((2 * MIB, 0xFFFFFFFF, MIB, 2), MEMORY - MIB),
        ((2 * MIB, 8 * MIB, 0x1000, 2), 8 * MIB - 0x3000),
        ((0, 0xFFFFFFFF, 4 * MIB, 0), 4 * MIB),
    ],
)
def test_a_relocatable_kernel_stays_or_moves(fields: tuple[int, ...], base: int) -> None:
    image = load(multiboot2_elf(tag(10, *fields), entry=MIB + 2))
    assert (image.segments[0].address, image.entry.eip) == (base, base + 2)
    assert told(image)[21] == [struct.pack("<I", base)]
    assert bool(image.notes) == (base != MIB)


def test_a_relocatable_kernel_may_be_linked_where_nothing_can_be() -> None:
    load_ = Load(physical=0, data=CODE.ljust(4) + multiboot2_header(tag(10, 0, 0xFFFFFFFF, 4096, 0)))
    low = Elf(loads=[load_], entry=1).build()
    assert load(low).entry.eip == 1
    high = Elf(loads=[Load(physical=0xF0000000, data=load_.data)], entry=0xF0000001).build()
    assert load(high).entry.eip == MIB + 1


def test_a_relocatable_kernel_without_place_is_refused() -> None:
    with refused(Rule.NO_ROOM, "relocatable"):
        load(multiboot2_elf(tag(10, 2 * MIB, 2 * MIB + 0x2FFF, 0, 0)))
    with refused(Rule.MULTIBOOT_TAGS, "power of two"):
        load(multiboot2_elf(tag(10, 0, 0xFFFFFFFF, 3, 0)))


def test_the_address_tag_wins_over_the_relocatable_tag() -> None:
    image = load(addresses(MIB, MIB, 0, 0, more=ENTRY_TAG + tag(10, 2 * MIB, 4 * MIB, 0, 0)))
    assert image.segments[0].address == MIB
    assert told(image)[21] == [struct.pack("<I", MIB)]


def test_a_header_behind_32768_bytes_or_off_8_is_no_header() -> None:
    def kernel(before: int) -> bytes:
        return addresses(MIB + before, 0xFFFFFFFF, 0, 0, before=before)

    size = 16 + 24 + 16 + 8
    assert load(kernel(32768 - size)).format == "multiboot2"
    with refused(Rule.MULTIBOOT_TAGS, "header_length"):
        load(kernel(32768 - size + 8))
    for before in (32768, 4, 12):
        with refused(Rule.NO_MULTIBOOT_HEADER, "32768"):
            load(kernel(before), format="multiboot2")


def test_a_header_with_a_wrong_checksum_is_named() -> None:
    kernel = Elf(loads=[Load(data=CODE + multiboot2_header(checksum=1))]).build()
    with refused(Rule.NO_MULTIBOOT_HEADER, "checksum", "0x58"):
        load(kernel, format="multiboot2")
    image = load(kernel)
    assert image.format == "elf"
    assert "checksum" in image.notes[0]


def test_a_header_for_mips_is_refused() -> None:
    with refused(Rule.MULTIBOOT_ARCHITECTURE, "architecture 4"):
        load(multiboot2_header(architecture=4))


def test_tags_that_are_not_whole_are_refused() -> None:
    def header(length: int, tags: bytes) -> bytes:
        words = (0xE85250D6, 0, length, -(0xE85250D6 + length) & 0xFFFFFFFF)
        return struct.pack("<4I", *words) + tags + bytes(64)

    end = struct.pack("<HHI", 0, 0, 8)
    for data, words in (
        (header(8, end), "header_length"),
        (header(1 << 16, end), "header_length"),
        (header(16, end), "end tag"),
        (header(16 + 16, tag(6) + tag(6)), "end tag"),
        (header(24, struct.pack("<HHI", 6, 0, 7)), "0x7 bytes"),
        (header(24, struct.pack("<HHI", 6, 0, 9)), "0x9 bytes"),
        (header(32, tag(3) + end), "entry address"),
        (header(40, tag(2, MIB) + end), "addresses"),
    ):
        with refused(Rule.MULTIBOOT_TAGS, words):
            load(data)


def test_a_kernel_says_which_tags_it_has() -> None:
    facts = dict(load(multiboot2_elf(tag(6) + tag(11, optional=True))).facts)
    assert facts["multiboot 2 tags"] == "module alignment, tag 11"
