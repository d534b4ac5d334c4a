"""Symbol tables: what is kept, and that damage costs the symbols and nothing else."""

import dataclasses
from typing import Any

import pytest
from elf_builder import CODE, FILE, FUNCTION, LABEL, MIB, OBJECT, SECTION, Elf, Load, multiboot_elf
from refusal import load

from loader import Image, Module, Symbol

HIGH = 0xC0100000
SYMBOLS = [
    ("later", HIGH + 2, 2, FUNCTION, 1),
    ("kernel.c", 0, 0, FILE, 0xFFF1),
    ("", HIGH, 0, SECTION, 1),
    ("start", HIGH, 2, FUNCTION, 1),
    ("table", HIGH + 3, 1, OBJECT, 1),
    ("elsewhere", 0, 0, LABEL, 0),
    ("common", 4, 4, OBJECT, 0xFFF2),
    ("loop", HIGH + 2, 0, LABEL, 1),
    ("PAGE_SIZE", 0x1000, 0, LABEL, 0xFFF1),
]
KERNEL = Elf(loads=[Load(linear=HIGH), Load(physical=2 * MIB, flags=6)], symbols=SYMBOLS)


def test_symbols_are_sorted_by_linear_address_and_have_kinds() -> None:
    (file,) = load(KERNEL.build()).symbols
    assert file.name == "kernel"
    assert [(s.name, s.value, s.size, s.kind) for s in file.symbols] == [
        ("PAGE_SIZE", 0x1000, 0, "absolute"),
        ("start", HIGH, 2, "function"),
        ("loop", HIGH + 2, 0, "label"),
        ("later", HIGH + 2, 2, "function"),
        ("table", HIGH + 3, 1, "object"),
    ]
    assert all(isinstance(symbol, Symbol) for symbol in file.symbols)


def test_code_is_what_is_executable_at_its_linear_address() -> None:
    (file,) = load(KERNEL.build()).symbols
    assert file.code == ((HIGH, CODE),)


def test_a_file_without_symbols_has_no_symbol_file_and_no_note() -> None:
    image = load(Elf().build())
    assert (image.symbols, image.notes) == ((), ())


def test_a_name_that_is_not_utf8_is_spelled_out() -> None:
    kernel = Elf(symbols=[("\udcff", MIB, 0, LABEL, 1)])
    (file,) = load(kernel.build()).symbols
    assert file.symbols[0].name == r"\xff"


def without_symbols(image: Image) -> str:
    assert image.symbols == ()
    assert len(image.segments) == 2
    (note,) = image.notes
    return note


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"string_table": 99}, "section 99 of 3"),
        ({"string_table": 3}, "section 3 of 3"),
        ({"symbol_entry_size": 24}, "entries of 24"),
        ({"section_entry_size": 64}, "section headers of 64"),
        ({"section_count": 4}, "section headers end"),
        ({"section_count": 0xFFFF}, "absurd number of sections: 65535"),
        ({"string_table": 0}, "does not end"),
    ],
)
def test_a_damaged_table_costs_the_symbols_and_leaves_a_note(fields: dict[str, Any], words: str) -> None:
    assert words in without_symbols(load(dataclasses.replace(KERNEL, **fields).build()))


def test_a_file_cut_off_within_its_sections_is_loaded_without_symbols() -> None:
    assert "end at" in without_symbols(load(KERNEL.build()[:-1]))


def test_a_name_without_an_end_is_damage() -> None:
    endless = Elf(loads=KERNEL.loads, symbols=[("n" * 5000, HIGH, 0, LABEL, 1)])
    assert "does not end" in without_symbols(load(endless.build()))


def test_a_name_may_have_4096_bytes() -> None:
    kernel = Elf(symbols=[("n" * 4096, MIB, 0, LABEL, 1), ("", MIB, 0, LABEL, 1)])
    (file,) = load(kernel.build()).symbols
    assert [len(symbol.name) for symbol in file.symbols] == [4096]


def test_names_that_are_too_many_bytes_together_are_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loader.symbols.MOST_NAME_BYTES", 8)
    assert "more than 8 bytes" in without_symbols(load(KERNEL.build()))


def test_modules_that_are_executables_bring_their_symbols_under_their_own_names() -> None:
    program = Elf(loads=[Load(physical=0x8048000)], symbols=[("main", 0x8048000, 4, FUNCTION, 1)]).build()
    modules = [Module("shell -i", program), Module("readme", b"text")]
    image = load(multiboot_elf(), modules=modules)
    (file,) = image.symbols
    assert (file.name, file.symbols[0].name, file.code) == ("shell", "main", ((0x8048000, CODE),))
    assert image.notes == ()


def test_a_module_that_is_no_sound_executable_is_a_module_with_a_note() -> None:
    image = load(multiboot_elf(), modules=[Module("extension", Elf(type=1).build())])
    assert image.symbols == ()
    assert "extension: not an executable" in image.notes[0]


def test_two_processes_may_have_symbols_at_the_same_linear_address() -> None:
    def program(name: str) -> bytes:
        return Elf(loads=[Load(physical=0x8048000)], symbols=[(name, 0x8048000, 4, FUNCTION, 1)]).build()

    image = load(multiboot_elf(), modules=[Module("one", program("a")), Module("two", program("b"))])
    assert [file.symbols[0].name for file in image.symbols] == ["a", "b"]


def test_a_module_whose_segments_repeat_the_file_endlessly_is_not_copied() -> None:
    loads = [Load(data=b"", file_size=9000, memory_size=9000, offset=0) for _ in range(200)]
    bomb = Elf(loads=[*loads, Load(data=bytes(9000))], symbols=[("x", 1, 0, LABEL, 1)]).build()
    image = load(multiboot_elf(), modules=[Module("bomb", bomb)])
    assert "many times as large" in image.notes[0]
