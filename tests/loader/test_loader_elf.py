"""ELF files: what is loaded where, and every rule by its name."""

import pytest
from elf_builder import CODE, MIB, Elf, Load
from refusal import load, refused

from loader import ImageError, Rule, load_image


def test_a_segment_is_loaded_at_its_physical_address() -> None:
    image = load(Elf(loads=[Load(physical=2 * MIB, linear=0xC0200000)], entry=2 * MIB).build())
    (segment,) = image.segments
    assert (segment.address, segment.data, segment.memory_size) == (2 * MIB, CODE, len(CODE))
    assert segment.name == "segment 0 r-x"


def test_the_processor_starts_in_flat_protected_mode_at_the_entry_point() -> None:
    entry = load(Elf().build()).entry
    assert (entry.mode, entry.eip, entry.cs, entry.registers) == ("protected32", MIB, None, {})


def test_bss_takes_memory_but_no_bytes() -> None:
    image = load(Elf(loads=[Load(memory_size=0x100000)]).build())
    assert image.segments[0].data == CODE
    assert image.memory_needed == 2 * MIB


def test_a_segment_of_no_size_takes_no_place() -> None:
    nothing = Load(physical=0xFFFFFFFF, data=b"")
    assert len(load(Elf(loads=[Load(), nothing]).build()).segments) == 1


def test_program_headers_that_are_not_loaded_are_skipped() -> None:
    note = Load(physical=0xFFFFFFFF, type=4, file_size=0xFFFFFFFF)
    assert len(load(Elf(loads=[note, Load()]).build()).segments) == 1


def test_segments_may_touch() -> None:
    loads = [Load(memory_size=0x1000), Load(physical=MIB + 0x1000)]
    assert len(load(Elf(loads=loads).build()).segments) == 2


def test_a_segment_may_end_where_memory_ends() -> None:
    assert load(Elf(loads=[Load(memory_size=15 * MIB)]).build()).memory_needed == 16 * MIB


def test_a_segment_may_end_where_low_memory_ends() -> None:
    loads = [Load(physical=0x90000, memory_size=0x10000)]
    assert load(Elf(loads=loads, entry=0x90000).build()).memory_needed == 0xA0000


def test_a_segment_without_bytes_may_have_any_offset() -> None:
    bss = Load(physical=2 * MIB, data=b"", memory_size=16, offset=0xFFFFFFFF)
    assert load(Elf(loads=[Load(), bss]).build()).segments[1].data == b""


def test_there_may_be_256_program_headers_and_nothing_behind_them() -> None:
    loads = [Load(physical=MIB + 16 * i, data=b"", memory_size=16) for i in range(256)]
    assert len(load(Elf(loads=loads).build()).segments) == 256


def test_a_linear_entry_point_is_converted_and_noted() -> None:
    image = load(Elf(loads=[Load(linear=0xC0100000)], entry=0xC0100002).build())
    assert image.entry.eip == MIB + 2
    assert any("0xc0100002" in note and "0x100002" in note for note in image.notes)


def test_a_physical_entry_point_is_preferred_to_a_linear_one() -> None:
    loads = [Load(linear=0xC0100000), Load(physical=2 * MIB, linear=MIB)]
    image = load(Elf(loads=loads, entry=MIB).build())
    assert image.entry.eip == MIB
    assert image.notes == ()


def test_the_format_can_be_asked_for() -> None:
    assert load(Elf().build(), format="elf").format == "elf"


def test_something_else_is_not_an_elf_file() -> None:
    with refused(Rule.NOT_ELF, "not an ELF", "4d 5a"):
        load(b"MZ" + bytes(100), format="elf")


def test_an_empty_file_is_not_an_elf_file() -> None:
    with refused(Rule.NOT_ELF, "nothing"):
        load(b"", format="elf")


def test_a_64_bit_file_is_refused() -> None:
    with refused(Rule.ELF_CLASS, "ELF64"):
        load(Elf(elf_class=2).build())


def test_an_unknown_class_is_refused() -> None:
    with refused(Rule.ELF_CLASS, "class 7"):
        load(Elf(elf_class=7).build())


def test_a_big_endian_file_is_refused() -> None:
    with refused(Rule.ELF_BYTE_ORDER, "big endian"):
        load(Elf(byte_order=2).build())


@pytest.mark.parametrize(("number", "words"), [(40, "ARM"), (62, "X86-64"), (0xABCD, "43981")])
def test_another_machine_is_refused_by_its_name(number: int, words: str) -> None:
    with refused(Rule.ELF_MACHINE, words):
        load(Elf(machine=number).build())


@pytest.mark.parametrize(
    ("number", "words"), [(1, "link it first"), (3, "-no-pie"), (4, "Core"), (0x7777, "30583")]
)
def test_what_is_not_an_executable_is_refused(number: int, words: str) -> None:
    with refused(Rule.ELF_TYPE, words):
        load(Elf(type=number).build())


@pytest.mark.parametrize("size", [4, 15, 16, 51])
def test_a_truncated_header_is_refused(size: int) -> None:
    with refused(Rule.TRUNCATED_HEADER, f"{size} of 52"):
        load(Elf().build()[:size])


def test_truncated_program_headers_are_refused() -> None:
    with refused(Rule.TRUNCATED_PROGRAM_HEADERS, "0x54", "0x53"):
        load(Elf().build()[:83])


def test_program_headers_far_behind_the_file_are_refused() -> None:
    with refused(Rule.TRUNCATED_PROGRAM_HEADERS):
        load(Elf(header_offset=0xFFFFFFF0).build())


def test_a_truncated_segment_is_refused() -> None:
    with refused(Rule.TRUNCATED_SEGMENT, "segment 0"):
        load(Elf().build()[:-1])


def test_a_file_without_program_headers_is_refused() -> None:
    with refused(Rule.NO_SEGMENTS, "e_phnum is 0"):
        load(Elf(loads=[]).build())


def test_a_file_without_a_segment_to_load_is_refused() -> None:
    with refused(Rule.NO_SEGMENTS, "PT_LOAD"):
        load(Elf(loads=[Load(type=4)]).build())


def test_overlapping_segments_are_refused() -> None:
    loads = [Load(memory_size=0x1001), Load(physical=MIB + 0x1000)]
    with refused(Rule.OVERLAP, "segment 0", "segment 1"):
        load(Elf(loads=loads).build())


def test_an_overlap_is_found_in_a_large_segment_that_holds_two_small_ones() -> None:
    loads = [Load(memory_size=0x10000), Load(physical=MIB + 0x9000), Load(physical=MIB + 0x100)]
    with refused(Rule.OVERLAP):
        load(Elf(loads=loads).build())


def test_a_segment_beyond_memory_is_refused() -> None:
    with refused(Rule.OUTSIDE_MEMORY, "beyond", "0x1000000"):
        load(Elf(loads=[Load(memory_size=15 * MIB + 1)]).build())


def test_a_segment_of_almost_4_gib_is_refused_and_not_allocated() -> None:
    with refused(Rule.OUTSIDE_MEMORY):
        load(Elf(loads=[Load(memory_size=0xFFFFFFFF)]).build())


def test_a_segment_that_wraps_around_is_refused_however_large_the_memory() -> None:
    with refused(Rule.OUTSIDE_MEMORY):
        load(Elf(loads=[Load(physical=0xFFFFF000, memory_size=0x2000)]).build(), memory_bytes=1 << 40)


@pytest.mark.parametrize("address", [0x9FFFF, 0xB8000, 0xF0000, 0xFFFFF])
def test_a_segment_where_a_pc_has_no_ram_is_refused(address: int) -> None:
    with refused(Rule.OUTSIDE_MEMORY, "no RAM"):
        load(Elf(loads=[Load(physical=address)], entry=address).build())


def test_a_segment_with_more_bytes_than_memory_is_refused() -> None:
    with refused(Rule.SEGMENT_SIZE, "0x4 bytes in the file, 0x3 in memory"):
        load(Elf(loads=[Load(memory_size=3)]).build())


def test_an_entry_point_of_zero_is_refused() -> None:
    with refused(Rule.ENTRY, "e_entry is 0"):
        load(Elf(entry=0).build())


def test_an_entry_point_outside_every_segment_is_refused() -> None:
    with refused(Rule.ENTRY, "0x100004"):
        load(Elf(entry=MIB + len(CODE)).build())


def test_program_headers_of_another_size_are_refused() -> None:
    with refused(Rule.PROGRAM_HEADER_SIZE, "56"):
        load(Elf(header_entry_size=56).build())


def test_an_absurd_number_of_program_headers_is_refused() -> None:
    with refused(Rule.PROGRAM_HEADER_COUNT, "65535"):
        load(Elf(header_count=0xFFFF).build())


def test_the_error_stays_on_one_line_whatever_the_file_is_called() -> None:
    with pytest.raises(ImageError) as caught:
        load_image(b"\x7fELF", name="new\nline\x1b[31m", memory_bytes=MIB)
    assert str(caught.value).startswith(r"new\nline\x1b[31m: ")
