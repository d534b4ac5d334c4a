"""Symbols for a kernel that carries none: System.map, what /proc/kallsyms prints, or an ELF file.

::

    c1000000 T startup_32            System.map, as `nm -n` writes it
    f8b3d000 t isofs_init  [isofs]   /proc/kallsyms: a module's symbols as well
    80100000 multiboot_header        address and name alone

Lines of any other form are passed over, so that a console log that holds such a list will do. A kernel's
addresses are in the upper half and mean the same in every process: its symbols go by address alone.
"""

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from loader.elf import is_elf, parse_elf
from loader.image import ImageError, LinearAddress, Rule, Symbol, SymbolFile, SymbolKind
from loader.load import read_file
from loader.symbols import symbols_of

KERNEL_SPACE: Final = 0x80000000
LARGEST: Final = 0x10000  # code behind a symbol that is its own even if no other symbol follows
LINE: Final = re.compile(
    rb"^(?:0x)?([0-9a-fA-F]{8}) (?:([A-Za-z]) )?([^\s\[]+)(?:[ \t]+\[(\S+)\])?[ \t\r]*$", re.MULTILINE
)
KINDS: Final[dict[str, SymbolKind]] = {"t": "function", "w": "function", "a": "absolute", "": "label"}


def load_symbols(path: str | os.PathLike[str], owner: str | None = None) -> SymbolFile:
    """Read a file of symbols; a map's are named after their owner, the kernel. Raises: ImageError."""
    name = Path(path).name
    data = read_file(path, name)
    if not is_elf(data):
        return dataclasses.replace(parse_map(data, name), name=owner or name)
    files, notes = symbols_of(parse_elf(data, name))
    if not files:
        raise ImageError(name, Rule.SYMBOL_MAP, notes[0] if notes else "the ELF file has no symbol table")
    file = files[0]
    if all(start < KERNEL_SPACE for start, _ in file.code):
        return file  # a program's: they need its bytes
    return _by_address(name, file.symbols)


def parse_map(data: bytes, name: str) -> SymbolFile:
    """The symbols of a System.map. Raises: ImageError if there is none."""
    symbols = [symbol for symbol in _symbols(data) if symbol.value >= KERNEL_SPACE]
    if not symbols:
        what = "no symbol of a kernel (from 0x80000000 up) stands in it; a distribution's System.map is often"
        what += " a stub, and only root sees addresses in /proc/kallsyms"
        raise ImageError(name, Rule.SYMBOL_MAP, what)
    return _by_address(name, symbols)


def _symbols(data: bytes) -> Iterator[Symbol]:
    for address, letter, name, module in LINE.findall(data):
        value = int(address, 16)
        kind = KINDS.get(letter.decode().lower(), "object")
        text = name.decode("utf-8", "backslashreplace") + (f" [{module.decode()}]" if module else "")
        if kind != "absolute":
            yield Symbol(LinearAddress(value), 0, text, kind)


def _by_address(name: str, symbols: Iterable[Symbol]) -> SymbolFile:
    """One symbol for each address, a function where there is one; each reaches to the next."""
    best: dict[int, Symbol] = {}
    for symbol in sorted(
        set(symbols), key=lambda s: (s.value, s.kind != "function", s.name.startswith("_"), s.name)
    ):
        best.setdefault(int(symbol.value), symbol)
    return SymbolFile(name, tuple(_sized(list(best.values()))), (), by_address=True)


def _sized(symbols: Sequence[Symbol]) -> Iterator[Symbol]:
    ends = [int(symbol.value) for symbol in symbols[1:]] + [1 << 32]
    for symbol, end in zip(symbols, ends, strict=True):
        yield Symbol(symbol.value, min(end - symbol.value, LARGEST), symbol.name, symbol.kind)
