"""The symbol table of an ELF file (gABI chapter 4, "Symbol Table").

::

    section headers             .symtab: 16 bytes each       .strtab
    +------------------+        +-------------------+        +-----------------+
    | SHT_SYMTAB       | -----> | st_name           | -----> | name, NUL       |
    |   sh_link ----+  |        | st_value, st_size |        | name, NUL       |
    | SHT_STRTAB <--+  | ---+   | st_info, st_other |    +-> +-----------------+
    +------------------+    |   | st_shndx          |    |
                            |   +-------------------+    |
                            +----------------------------+

Symbols are a convenience: a damaged table costs the symbols and leaves a note, never the image.
"""

import io
import struct
from collections.abc import Iterator
from typing import Any, Final

from elftools.common.exceptions import ELFError
from elftools.common.utils import struct_parse
from elftools.elf.elffile import ELFFile

from loader.elf import PF_X, SECTION_HEADER_SIZE, ElfFile, is_elf, parse_elf
from loader.image import ImageError, LinearAddress, Module, Symbol, SymbolFile, SymbolKind

MOST_SECTIONS: Final = 8192
LONGEST_NAME: Final = 4096
MOST_NAME_BYTES: Final = 64 << 20
SYMBOL: Final = struct.Struct("<IIIBBH")  # st_name, st_value, st_size, st_info, st_other, st_shndx
SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_XINDEX = 0, 0xFF00, 0xFFF1, 0xFFFF
KINDS: Final[dict[int, SymbolKind]] = {0: "label", 1: "object", 2: "function", 10: "function"}  # STT_*


class _DamagedError(Exception):
    """The symbol table breaks a rule; the message becomes a note."""


def symbols_of(elf: ElfFile) -> tuple[tuple[SymbolFile, ...], tuple[str, ...]]:
    """The symbol file of an executable, if it has symbols, and a note if they are damaged."""
    try:
        symbols = tuple(sorted(set(_read(elf))))
        code = tuple(_code(elf)) if symbols else ()
    except (_DamagedError, ELFError, struct.error, ValueError, LookupError) as error:
        return (), (f"{elf.name}: no symbols, their table is damaged: {error}",)
    return ((SymbolFile(elf.name, symbols, code),) if symbols else ()), ()


def module_symbols(module: Module) -> tuple[tuple[SymbolFile, ...], tuple[str, ...]]:
    """The symbol file of a module that is an executable; a module may be anything else as well."""
    if not is_elf(module.data):
        return (), ()
    try:
        return symbols_of(parse_elf(module.data, module.name))
    except ImageError as error:
        return (), (f"no symbols from module {error}",)


def _code(elf: ElfFile) -> Iterator[tuple[LinearAddress, bytes]]:
    executable = [s for s in elf.segments if s.flags & PF_X and s.file_size]
    if sum(s.file_size for s in executable) > 4 * len(elf.data):
        raise _DamagedError("the executable segments are many times as large as the file")
    for segment in sorted(executable, key=lambda s: s.linear):
        yield LinearAddress(segment.linear), elf.contents(segment)


def _read(elf: ElfFile) -> Iterator[Symbol]:
    sections = _sections(elf)
    table = next((s for s in sections if s.sh_type == "SHT_SYMTAB"), None)
    if table is None:
        return
    if table.sh_entsize != SYMBOL.size or table.sh_size % SYMBOL.size:
        raise _DamagedError(f"{table.sh_size} bytes of entries of {table.sh_entsize}, not {SYMBOL.size}")
    if table.sh_link >= len(sections):
        raise _DamagedError(f"its string table is section {table.sh_link} of {len(sections)}")
    strings = _section_data(elf, sections[table.sh_link])
    room = MOST_NAME_BYTES
    for at, value, size, info, _, section in SYMBOL.iter_unpack(_section_data(elf, table)):
        kind = _kind(info, section)
        if kind is None:
            continue
        name = _name(strings, at)
        room -= len(name)
        if room < 0:
            raise _DamagedError(f"more than {MOST_NAME_BYTES} bytes of names")
        if name:
            yield Symbol(LinearAddress(value), size, name, kind)


def _sections(elf: ElfFile) -> list[Any]:
    start, count = elf.section_offset, elf.section_count
    end = start + count * SECTION_HEADER_SIZE
    if not start or not count:
        return []
    if elf.section_entry_size != SECTION_HEADER_SIZE:
        raise _DamagedError(f"section headers of {elf.section_entry_size} bytes, not {SECTION_HEADER_SIZE}")
    if count > MOST_SECTIONS:
        raise _DamagedError(f"an absurd number of sections: {count}")
    if end > len(elf.data):
        raise _DamagedError(f"section headers end at {end:#x}, the file at {len(elf.data):#x}")
    reader = ELFFile(io.BytesIO(elf.data))
    offsets = range(start, end, SECTION_HEADER_SIZE)
    return [struct_parse(reader.structs.Elf_Shdr, reader.stream, offset) for offset in offsets]


def _section_data(elf: ElfFile, section: Any) -> bytes:
    start, end = section.sh_offset, section.sh_offset + section.sh_size
    if end > len(elf.data):
        raise _DamagedError(f"a section ends at {end:#x}, the file at {len(elf.data):#x}")
    return elf.data[start:end]


def _kind(info: int, section: int) -> SymbolKind | None:
    """What a symbol names; None for undefined, file, section, thread-local and common ones."""
    kind = KINDS.get(info & 0xF)
    if section == SHN_UNDEF:
        return None
    if section == SHN_ABS:
        return "absolute" if kind else None
    return None if SHN_LORESERVE <= section < SHN_XINDEX else kind


def _name(strings: bytes, at: int) -> str:
    end = strings.find(b"\0", at, at + LONGEST_NAME + 1)
    if end < 0:
        raise _DamagedError(f"the name at {at:#x} of {len(strings):#x} does not end")
    return strings[at:end].decode("utf-8", "backslashreplace")
