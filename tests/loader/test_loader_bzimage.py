"""Linux: the setup header, where things lie, what boot_params says, and how the processor starts."""

import struct
from pathlib import Path
from typing import Any

import pytest
from elf_builder import CODE, FUNCTION, MIB, Elf, Load
from linux_builder import BzImage
from physical import Memory
from refusal import MEMORY, load, refused

from loader import Rule, describe, load_image

PARAMS = 0x90000
MAP = [(0, 0x9FC00, 1), (0x9FC00, 0xA0000, 2), (0xE0000, 0x100000, 2), (0x100000, MEMORY, 1)]


def bzimage(**fields: Any) -> bytes:
    return BzImage(**fields).build()


def test_a_bzimage_is_recognised_and_its_code_loaded_at_1_mib() -> None:
    image = load(bzimage())
    (kernel, *_) = image.segments
    assert (image.format, kernel.address, kernel.data) == ("bzimage", MIB, BzImage().code)


def test_linux_is_entered_as_boot_rst_says() -> None:
    image = load(bzimage(code32_start=MIB + 16))
    entry = image.entry
    assert (entry.mode, entry.eip, entry.cs, entry.ds) == ("protected32", MIB + 16, 0x10, 0x18)
    assert entry.registers == {"esi": PARAMS, "ebx": 0, "ebp": 0, "edi": 0}
    assert entry.gdt is not None
    base, limit = entry.gdt
    table = Memory(image).words(base, "<4Q")
    assert (limit, table) == (31, (0, 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF))


def test_the_setup_header_is_copied_and_completed() -> None:
    data = bzimage()
    memory = Memory(load(data, append="console=ttyS0 quiet"))
    copied = memory.read(PARAMS, 4096)
    assert copied[0x1F1:0x210] == data[0x1F1:0x210]
    assert copied[0x22C:0x26C] == data[0x22C:0x26C]
    assert copied[0x26C:0x290] == bytes(0x24)
    assert (copied[0x210], copied[0x211]) == (0xFF, 0x81)
    assert memory.word(PARAMS + 0x224, "<H") == 0xDE00
    assert memory.string(memory.word(PARAMS + 0x228)) == "console=ttyS0 quiet"
    assert memory.words(PARAMS + 0x218, "<II") == (0, 0)


def test_the_part_of_the_header_behind_boot_params_own_room_is_not_copied() -> None:
    copied = Memory(load(bzimage(header_length=0xFF, version_string=b"\xff" * 8))).read(PARAMS, 4096)
    assert copied[0x290:0x2D0] == bytes(0x40)
    assert copied[:2] == bytes(2)


def test_linux_is_told_its_memory() -> None:
    memory = Memory(load(bzimage()))
    count = memory.word(PARAMS + 0x1E8, "<B")
    entries = [memory.words(PARAMS + 0x2D0 + 20 * i, "<QQI") for i in range(count)]
    assert [(base, base + size, kind) for base, size, kind in entries] == MAP
    assert memory.word(PARAMS + 0x1E0) == 15 * 1024
    assert memory.word(PARAMS + 2, "<H") == 15 * 1024


def test_what_16_bits_cannot_tell_of_the_memory_is_cut() -> None:
    memory = Memory(load(bzimage(), memory_bytes=1 << 30))
    assert memory.word(PARAMS + 2, "<H") == 0xFFFF
    assert memory.word(PARAMS + 0x1E0) == (1 << 20) - 1024


def test_the_screen_is_text_mode_3_of_a_vga() -> None:
    memory = Memory(load(bzimage()))
    assert memory.words(PARAMS + 6, "<BB") == (3, 80)
    assert memory.words(PARAMS + 0xE, "<BBH") == (25, 1, 16)
    assert memory.word(PARAMS + 0xA, "<H") & 0xFF != 0x10  # which would mean: no EGA


def test_nothing_but_what_is_known_is_in_boot_params() -> None:
    data = Memory(load(bzimage())).read(PARAMS, 4096)
    assert data[0x40:0x1E0] == bytes(0x1A0)  # ACPI's root pointer among them
    assert data[0x1EC:0x1F1] == bytes(5)  # the sentinel among them
    assert data[0x2D0 + 20 * len(MAP) :] == bytes(4096 - 0x2D0 - 20 * len(MAP))


@pytest.mark.parametrize(
    ("size", "options", "address"),
    [
        (5000, {}, MEMORY - 0x2000),
        (0x2000, {}, MEMORY - 0x2000),
        (1, {"initrd_addr_max": 0x7FFFFF}, 0x7FF000),
        (1, {"initrd_addr_max": 0x800000}, 0x800000),
        (1, {"version": 0x202, "initrd_addr_max": 0}, MEMORY - 0x1000),
        (MEMORY - 3 * MIB, {}, 3 * MIB),
    ],
)
def test_an_initrd_goes_as_high_as_it_may(size: int, options: dict[str, int], address: int) -> None:
    image = load(bzimage(**options), initrd=b"\x07" * size)
    memory = Memory(image)
    assert memory.words(PARAMS + 0x218, "<II") == (address, size)
    assert memory.read(address, size) == b"\x07" * size


def test_an_initrd_is_not_put_where_old_kernels_do_not_look() -> None:
    image = load(bzimage(version=0x202), memory_bytes=1 << 30, initrd=b"x")
    assert Memory(image).word(PARAMS + 0x218) == 0x37FFF000


@pytest.mark.parametrize("options", [{}, {"initrd_addr_max": 3 * MIB}, {"init_size": 14 * MIB - 1}])
def test_an_initrd_without_room_is_refused(options: dict[str, int]) -> None:
    with refused(Rule.NO_ROOM, "initrd <bytes>"):
        load(bzimage(**options), initrd=bytes(MEMORY - 3 * MIB + 1))


def test_an_initrd_is_read_from_a_file_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "initramfs.cpio"
    path.write_bytes(b"070701")
    image = load(bzimage(), initrd=path)
    assert image.segments[-1].name == "initrd initramfs.cpio"
    digests = {load(bzimage(), initrd=disk).sha256 for disk in (None, b"", b"070701")}
    assert len(digests) == 3
    assert image.sha256 in digests
    with refused(Rule.UNREADABLE, file="absent"):
        load(bzimage(), initrd=tmp_path / "absent")


def test_a_kernel_runs_where_it_prefers_and_takes_its_init_size() -> None:
    assert load(bzimage()).memory_needed == 3 * MIB
    aligned = bzimage(pref_address=0, kernel_alignment=4 * MIB)
    assert load(aligned).memory_needed == 5 * MIB
    fixed = bzimage(relocatable=0, pref_address=6 * MIB, kernel_alignment=3)
    assert load(fixed).memory_needed == 7 * MIB
    assert load(bzimage(version=0x209)).memory_needed == MIB + 64


def test_a_kernel_whose_init_size_does_not_fit_is_refused() -> None:
    assert load(bzimage(init_size=14 * MIB)).memory_needed == MEMORY
    with refused(Rule.NO_ROOM, "init_size", "0x200000"):
        load(bzimage(init_size=14 * MIB + 1))
    with refused(Rule.NO_ROOM):
        load(bzimage(pref_address=1 << 40))


def test_a_kernel_larger_than_memory_is_refused() -> None:
    with refused(Rule.OUTSIDE_MEMORY, "kernel"):
        load(bzimage(), memory_bytes=MIB)


@pytest.mark.parametrize("version", [0x200, 0x201])
def test_the_command_line_of_an_old_kernel_is_found_by_its_magic_number(version: int) -> None:
    memory = Memory(load(bzimage(version=version), append="quiet"))
    assert memory.words(PARAMS + 0x20, "<HH") == (0xA33F, 0xE000)
    assert memory.string(PARAMS + 0xE000) == "quiet"
    assert memory.word(PARAMS + 0x211, "<B") == (0x81 if version == 0x201 else 1)


def test_a_command_line_may_be_as_long_as_the_kernel_takes() -> None:
    load(bzimage(cmdline_size=10), append="x" * 10)
    with refused(Rule.COMMAND_LINE, "11 bytes", "takes 10"):
        load(bzimage(cmdline_size=10), append="x" * 11)
    load(bzimage(version=0x205), append="x" * 255)
    with refused(Rule.COMMAND_LINE, "takes 255"):
        load(bzimage(version=0x205), append="x" * 256)


def test_a_command_line_has_its_room_below_the_ebda() -> None:
    load(bzimage(cmdline_size=0xFFFFFFFF), append="x" * 0x1BFF)
    with refused(Rule.NO_ROOM, "command line"):
        load(bzimage(cmdline_size=0xFFFFFFFF), append="x" * 0x1C00)


@pytest.mark.parametrize(
    ("fields", "rule", "words"),
    [
        ({"version": 0x105}, Rule.NO_SETUP_HEADER, "1.05"),
        ({"loadflags": 0}, Rule.ZIMAGE, "loadflags"),
        ({"xloadflags": 1}, Rule.LINUX_64BIT, "x86-64"),
        ({"code": b""}, Rule.TRUNCATED_SEGMENT, "its code begins at 0x600"),
        ({"syssize": 5}, Rule.TRUNCATED_SEGMENT, "0x40 of 0x50"),
        ({"kernel_alignment": 0}, Rule.SETUP_HEADER, "power of two"),
        ({"kernel_alignment": 3 * MIB}, Rule.SETUP_HEADER, "power of two"),
        ({"code32_start": 0}, Rule.ENTRY, "code32_start"),
        ({"code32_start": MIB + 64}, Rule.ENTRY, "code32_start"),
    ],
)
def test_a_setup_header_that_cannot_be_is_refused(fields: dict[str, Any], rule: Rule, words: str) -> None:
    with refused(rule, words):
        load(bzimage(**fields))


def test_what_a_field_says_counts_only_in_the_versions_that_have_it() -> None:
    load(bzimage(version=0x20B, xloadflags=1))
    load(bzimage(version=0x203, syssize=5))
    load(bzimage(version=0x209, kernel_alignment=3, init_size=1 << 31))


def test_the_last_16_bytes_of_code_need_not_be_whole() -> None:
    load(bzimage(code=bytes(49), syssize=4))
    with refused(Rule.TRUNCATED_SEGMENT):
        load(bzimage(code=bytes(48), syssize=4))


def test_no_setup_sectors_mean_four() -> None:
    assert load(bzimage(setup_sects=0)).segments[0].data == BzImage().code


def test_a_file_without_magic_number_is_no_bzimage() -> None:
    with refused(Rule.NO_SETUP_HEADER, "2.00"):
        load(bzimage(magic=b"HdrT"), format="bzimage")
    with refused(Rule.TRUNCATED_HEADER):
        load(bzimage()[:0x263])


def test_a_bzimage_says_what_it_is() -> None:
    facts = dict(load(bzimage()).facts)
    assert facts["kernel version"] == "6.1.0-test (builder) #1"
    assert facts["boot protocol"] == "2.15"
    assert facts["runs at"] == "0x200000, up to 0x300000"
    assert dict(load(bzimage(code=b"\x1f\x8b".ljust(64))).facts)["compression"] == "gzip"
    odd = dict(load(bzimage(version_string=b"a\n\xff")).facts)
    assert odd["kernel version"] == "a\\n\\xff"
    (table, *_) = describe(load(bzimage()))
    assert dict(table.rows)["entry"].startswith("protected32 0010:100000 ds=0x18 esi=0x90000")


def test_a_kernel_need_not_have_a_version_string() -> None:
    data = bytearray(bzimage())
    for pointer in (0, 0x400, 0xFFFF):
        struct.pack_into("<H", data, 0x20E, pointer)
        assert dict(load(bytes(data)).facts)["kernel version"] == "not told"


def vmlinux(**fields: Any) -> bytes:
    load_ = Load(physical=2 * MIB, linear=0xC0200000, memory_size=MIB)
    return Elf(
        loads=[load_], entry=2 * MIB, symbols=[("startup_32", 0xC0200000, 4, FUNCTION, 1)], **fields
    ).build()


def test_vmlinux_is_loaded_at_its_physical_addresses() -> None:
    image = load(vmlinux(), format="linux", append="quiet", initrd=b"disk")
    assert (image.format, image.entry.eip, image.entry.registers["esi"]) == ("linux", 2 * MIB, PARAMS)
    assert image.symbols[0].symbols[0].name == "startup_32"
    memory = Memory(image)
    assert memory.read(2 * MIB, 4) == CODE
    assert memory.read(PARAMS + 0x1FE, 10) == b"\x55\xaa\0\0HdrS\x0c\x02"
    assert memory.string(memory.word(PARAMS + 0x228)) == "quiet"
    assert memory.read(memory.word(PARAMS + 0x218), 4) == b"disk"


def test_format_linux_takes_a_bzimage_as_well() -> None:
    assert load(bzimage(), format="linux").format == "bzimage"
    with refused(Rule.NO_SETUP_HEADER):
        load(CODE, format="linux")


def test_vmlinux_over_what_the_loader_places_is_refused() -> None:
    kernel = Elf(loads=[Load(physical=0x8F000, memory_size=0x1001)], entry=0x8F000).build()
    with refused(Rule.OVERLAP, "boot_params"):
        load(kernel, format="linux")


def test_a_64_bit_vmlinux_is_refused() -> None:
    with refused(Rule.ELF_CLASS, "64-bit"):
        load(vmlinux(elf_class=2), format="linux")


def test_modules_are_not_for_linux() -> None:
    from loader import Module

    with refused(Rule.REQUEST, "a Linux bzImage takes no modules"):
        load_image(bzimage(), name="kernel", memory_bytes=MEMORY, modules=[Module("m", b"")])
