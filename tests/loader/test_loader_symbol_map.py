"""Lists of a kernel's symbols: their forms, how far a symbol reaches, and matching by address alone."""

from pathlib import Path

import pytest
from elf_builder import FUNCTION, LABEL, Elf, Load
from refusal import refused

from emulator.cpu.symbols import NO_SYMBOL, SymbolTable
from loader import Rule, Symbol, load_symbols
from loader.symbol_map import LARGEST, parse_map

MAP = b"""00000000 A VDSO32_PRELINK
00000000 D __per_cpu_start
c1000000 T _text
c1000000 T startup_32
c1000040 t helper
c1000040 d not_this
c1000100 D data
f8000000 t of_a_module\t[isofs]
"""


def names(data: bytes) -> list[tuple[int, int, str, str]]:
    return [(s.value, s.size, s.name, s.kind) for s in parse_map(data, "System.map").symbols]


def test_a_system_map_keeps_the_kernels_symbols_and_a_function_before_data() -> None:
    assert names(MAP) == [
        (0xC1000000, 0x40, "startup_32", "function"),
        (0xC1000040, 0xC0, "helper", "function"),
        (0xC1000100, LARGEST, "data", "object"),
        (0xF8000000, LARGEST, "of_a_module [isofs]", "function"),
    ]


def test_lines_of_a_console_log_are_passed_over() -> None:
    log = (
        b"[    0.000000] Linux version 6.1\r\n# cat /proc/kallsyms\r\n" + MAP.replace(b"\n", b"\r\n") + b"# "
    )
    assert names(log) == names(MAP)


def test_addresses_and_names_alone_will_do() -> None:
    assert names(b"80100000 entry\n80100010 main\n")[0] == (0x80100000, 0x10, "entry", "label")


@pytest.mark.parametrize(
    "data",
    [b"ffffffffffffffff B The real System.map is in the package\n", b"00000000 T _text\n", b"hello"],
    ids=["stub", "hidden", "text"],
)
def test_a_list_without_a_kernels_symbol_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "System.map"
    path.write_bytes(data)
    with refused(Rule.SYMBOL_MAP, "kallsyms", file="System.map"):
        load_symbols(path)


def test_a_kernel_may_have_patched_its_code_and_is_found_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "map"
    path.write_bytes(MAP)
    table = SymbolTable((load_symbols(path, "vmlinuz"),))
    assert table.names[table.find(0xC1000044, b"\xcc")] == "vmlinuz:helper"
    assert table.describe(0xC1000044) == "vmlinuz:helper+0x4"
    for nobodys in (0x1000044, 0xC0FFFFFF, 0xC1000100 + LARGEST):
        assert table.find(nobodys, b"\xcc") == NO_SYMBOL


def test_an_elf_file_of_a_kernel_goes_by_address_and_one_of_a_program_by_its_code(tmp_path: Path) -> None:
    kernel, program = tmp_path / "vmlinux", tmp_path / "program"
    for path, base in ((kernel, 0xC0100000), (program, 0x8048000)):
        symbols = [("start", base, 0, FUNCTION, 1), ("loop", base + 2, 0, LABEL, 1)]
        path.write_bytes(Elf(loads=[Load(linear=base)], symbols=symbols).build())
    file = load_symbols(kernel)
    assert (file.by_address, file.name) == (True, "vmlinux")
    assert file.symbols[0] == Symbol(file.symbols[0].value, 2, "start", "function")
    assert not load_symbols(program).by_address
    with refused(Rule.SYMBOL_MAP, "no symbol table", file="empty"):
        (tmp_path / "empty").write_bytes(Elf().build())
        load_symbols(tmp_path / "empty")
