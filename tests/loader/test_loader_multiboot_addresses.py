"""Multiboot kernels whose header says where they lie: flag bit 16, the a.out kludge."""

import pytest
from elf_builder import CODE, FUNCTION, MIB, Elf, Load, multiboot_header
from refusal import load, refused

from loader import Rule


def raw(header: int, start: int, end: int, bss: int, entry: int, *, before: int = 8) -> bytes:
    return bytes(before) + multiboot_header(1 << 16, [header, start, end, bss, entry]) + CODE


def test_address_fields_place_a_kernel_that_is_no_elf_file() -> None:
    kernel = raw(MIB + 4, MIB, MIB + 32, 2 * MIB, MIB + 8)
    image = load(kernel)
    segment = image.segments[0]
    assert (segment.address, segment.data, segment.end) == (MIB, kernel[4:36], 2 * MIB)
    assert image.entry.eip == MIB + 8


def test_an_end_of_zero_loads_the_whole_file_and_a_bss_of_zero_is_none() -> None:
    segment = load(raw(MIB + 8, MIB, 0, 0, MIB + 40)).segments[0]
    assert (len(segment.data), segment.memory_size) == (44, 44)


def test_address_fields_win_over_elf_headers_but_symbols_stay() -> None:
    header = multiboot_header(1 << 16, [2 * MIB, 2 * MIB, 0, 0, 2 * MIB + 32])
    elf = Elf(
        loads=[Load(data=header + CODE, linear=0xC0100000)],
        entry=0xFFFFFFFF,
        symbols=[("start", 0xC0100020, 4, FUNCTION, 1)],
    )
    image = load(elf.build())
    assert (image.segments[0].address, image.entry.eip) == (2 * MIB, 2 * MIB + 32)
    assert "not by its ELF headers" in image.notes[0]
    assert image.symbols[0].symbols[0].name == "start"


def test_address_fields_win_even_when_the_elf_headers_are_damaged() -> None:
    header = multiboot_header(1 << 16, [MIB, MIB, 0, 0, MIB + 32])
    image = load(Elf(loads=[Load(data=header + CODE)], machine=62).build())
    assert image.entry.eip == MIB + 32
    assert "no symbols" in image.notes[1]


@pytest.mark.parametrize(
    ("fields", "rule", "words"),
    [
        ((MIB, MIB + 4, 0, 0, MIB + 4), Rule.MULTIBOOT_ADDRESSES, "above header_addr"),
        ((MIB + 12, MIB, 0, 0, MIB), Rule.MULTIBOOT_ADDRESSES, "4 bytes before the file"),
        ((MIB + 8, MIB, MIB, 0, MIB), Rule.MULTIBOOT_ADDRESSES, "not above load_addr"),
        ((MIB + 8, MIB, MIB + 8, MIB + 4, MIB), Rule.MULTIBOOT_ADDRESSES, "below load_end_addr"),
        ((MIB + 8, MIB, MIB + 45, 0, MIB), Rule.TRUNCATED_SEGMENT, "0x2d"),
        ((MIB + 8, MIB, 0, 0, MIB + 44), Rule.ENTRY, "entry_addr"),
        ((MIB + 8, MIB, 0, 0, 0), Rule.ENTRY, "entry_addr"),
        ((MIB + 8, MIB, 0, 0xFFFFFFFF, MIB), Rule.OUTSIDE_MEMORY, "kernel"),
        ((0xA0008, 0xA0000, 0, 0, 0xA0000), Rule.OUTSIDE_MEMORY, "no RAM"),
    ],
)
def test_address_fields_that_disagree_are_refused(
    fields: tuple[int, int, int, int, int], rule: Rule, words: str
) -> None:
    with refused(rule, words):
        load(raw(*fields))


def test_address_fields_that_are_cut_off_are_refused() -> None:
    with refused(Rule.TRUNCATED_HEADER, "cut off"):
        load(raw(MIB, MIB, 0, 0, MIB)[:36])


def test_address_fields_that_reach_behind_8192_bytes_are_refused() -> None:
    with refused(Rule.TRUNCATED_HEADER, "cut off"):
        load(raw(MIB + 8176, MIB, 0, 0, MIB, before=8176))
