"""Flat files, the choice of a format, requests that do not fit, hashes and descriptions."""

import os
from pathlib import Path
from typing import Any

import pytest
from elf_builder import CODE, MIB, Elf, multiboot_elf
from refusal import MEMORY, load, refused

from loader import Module, Rule, describe, load_image, load_module

BOOT_SECTOR = CODE.ljust(510, b"\0") + b"\x55\xaa"


def test_a_boot_sector_is_recognised_and_started_as_a_bios_does() -> None:
    image = load(BOOT_SECTOR)
    (segment,) = image.segments
    assert (image.format, segment.address, segment.data) == ("flat", 0x7C00, BOOT_SECTOR)
    assert image.notes == ()
    entry = image.entry
    assert (entry.mode, entry.cs, entry.eip, entry.registers) == ("real16", 0, 0x7C00, {"edx": 0x80})


def test_of_a_disk_only_the_boot_sector_is_loaded() -> None:
    image = load(BOOT_SECTOR + bytes(100_000))
    assert image.segments[0].data == BOOT_SECTOR
    assert "first 512 of 100512" in image.notes[0]


def test_a_file_without_signature_can_be_a_boot_sector_when_asked_for() -> None:
    image = load(CODE * 300, format="flat")
    assert (image.entry.mode, image.segments[0].data) == ("real16", CODE * 300)


def test_flat_code_is_loaded_and_entered_at_its_address() -> None:
    image = load(CODE, format="flat", address=0x200000)
    assert (image.segments[0].address, image.segments[0].data) == (0x200000, CODE)
    assert (image.entry.mode, image.entry.eip) == ("protected32", 0x200000)


def test_flat_code_outside_memory_is_refused() -> None:
    with refused(Rule.OUTSIDE_MEMORY):
        load(CODE, format="flat", address=MEMORY - 3)


@pytest.mark.parametrize("address", [-1, 1 << 32])
def test_an_address_that_is_none_is_refused(address: int) -> None:
    with refused(Rule.REQUEST, "32-bit address"):
        load(CODE, format="flat", address=address)


@pytest.mark.parametrize("format", ["auto", "flat"])
def test_an_empty_file_is_refused(format: str) -> None:
    with refused(Rule.EMPTY):
        load(b"", format=format)


def test_an_unknown_file_is_refused_with_advice() -> None:
    with refused(Rule.UNKNOWN_FORMAT, "not an ELF", "7f 45 4c 47", "--format flat --address"):
        load(b"\x7fELG" + bytes(600))


def test_an_unknown_format_is_refused() -> None:
    with refused(Rule.UNKNOWN_FORMAT, "'coff'"):
        load(CODE, format="coff")


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (Elf().build(), {"modules": [Module("m", b"")]}, "no modules"),
        (BOOT_SECTOR, {"modules": [Module("m", b"")]}, "no modules"),
        (Elf().build(), {"append": "quiet"}, "no command line"),
        (Elf().build(), {"initrd": b""}, "no initrd"),
        (multiboot_elf(), {"initrd": b""}, "say --module"),
        (BOOT_SECTOR, {"append": "quiet"}, "no command line"),
        (BOOT_SECTOR, {"address": 0x7C00}, "only for --format flat"),
        (Elf().build(), {"format": "elf", "address": MIB}, "only for --format flat"),
    ],
)
def test_options_that_the_format_cannot_take_are_refused(
    data: bytes, options: dict[str, Any], words: str
) -> None:
    with refused(Rule.REQUEST, words):
        load(data, **options)


def test_a_file_is_read_and_named_after_its_path(tmp_path: Path) -> None:
    path = tmp_path / "kernel.elf"
    path.write_bytes(Elf().build())
    image = load_image(path, memory_bytes=MEMORY)
    assert image.name == "kernel.elf"
    assert image.sha256 == load(Elf().build()).sha256


def test_a_module_is_read_and_named_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "shell"
    path.write_bytes(b"bytes")
    assert load_module(path) == Module("shell", b"bytes")
    assert load_module(path, "sh -i").name == "sh"
    assert Module(" ", b"").name == "(unnamed module)"


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, words in [("absent", "No such file"), ("", "not a regular"), ("fifo", "not a regular")]:
        with refused(Rule.UNREADABLE, words):
            load_image(tmp_path / name, name="kernel", memory_bytes=MEMORY)
    with refused(Rule.UNREADABLE):
        load_image("a\0b", name="kernel", memory_bytes=MEMORY)


def test_a_file_of_more_than_1_gib_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)
    with refused(Rule.FILE_LIMIT):
        load_image(path, name="kernel", memory_bytes=MEMORY)


def test_a_file_may_be_as_large_as_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loader.load.FILE_LIMIT", 512)
    path = tmp_path / "boot"
    path.write_bytes(BOOT_SECTOR)
    assert load_image(path, memory_bytes=MEMORY).format == "flat"


def test_the_hash_covers_everything_the_guest_is_given() -> None:
    def digest(append: str = "", *modules: Module) -> str:
        return load(multiboot_elf(), append=append, modules=modules).sha256

    digests = [
        digest(),
        digest("a"),
        digest("", Module("a", b"")),
        digest("", Module("", b"a")),
        digest("", Module("a", b"b"), Module("c", b"d")),
        digest("", Module("c", b"d"), Module("a", b"b")),
        digest("", Module("ab", b""), Module("c", b"d")),
        digest("", Module("abc", b""), Module("c", b"d")),
    ]
    assert len(set(digests)) == len(digests)


def test_an_image_is_described_by_tables_of_text() -> None:
    image = load(multiboot_elf(), modules=[Module("shell", b"x")])
    tables = {table.title: table for table in describe(image)}
    assert set(tables) == {"image", "segments", "symbols", "notes"}
    assert all(len(row) == len(table.columns) for table in tables.values() for row in table.rows)
    facts = dict(tables["image"].rows)
    assert facts["entry"] == "protected32 0x10000c eax=0x2badb002 ebx=0x10000"
    assert [row[0] for row in tables["segments"].rows] == [
        "multiboot information",
        "segment 0 r-x",
        "module shell",
    ]


def test_the_entry_of_a_boot_sector_is_described_with_its_segment() -> None:
    (table, *_) = describe(load(BOOT_SECTOR))
    assert dict(table.rows)["entry"] == "real16 0000:7c00 edx=0x80"
