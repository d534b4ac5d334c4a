"""A relocatable object (ELF32, i386, ET_REL) reduced to what the sandbox linker needs.

pyelftools decodes the structures; everything it reports is checked here against the bytes that are really in
the file, because extensions come from applications and a linker that runs with the kernel's trust must not be
the weak point. Whatever is wrong, the only exception that leaves this file is `SandboxError`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

SHT_PROGBITS, SHT_SYMTAB, SHT_RELA, SHT_NOBITS, SHT_REL = 1, 2, 4, 8, 9
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_COMPRESSED = 0x1, 0x2, 0x4, 0x400, 0x800
SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON = 0, 0xFF00, 0xFFF1, 0xFFF2
EHDR_SIZE, SHDR_SIZE, SYM_SIZE, REL_SIZE = 52, 40, 16, 8

# Never reached by the code itself and so not worth sandbox memory: unwind tables and notes.
DROPPED = (".eh_frame", ".note", ".comment")


class SandboxError(Exception):
    """An extension breaks a rule of the linker; the message names the file and the rule."""

    def __init__(self, file: str, rule: str) -> None:
        super().__init__(f"{file}: {rule}")
        self.file = file
        self.rule = rule


@dataclass(frozen=True)
class Relocation:
    """One REL entry: patch `offset` of the section it belongs to with the value of symbol `symbol`."""

    offset: int
    kind: int
    symbol: int


@dataclass
class Section:
    """An allocated section; `address` is given by the layout."""

    index: int
    name: str
    writable: bool
    executable: bool
    size: int
    align: int
    data: bytes | None
    """None for .bss: nothing in the file, zeros in memory."""
    relocations: list[Relocation] = field(default_factory=list)
    address: int = 0


@dataclass(frozen=True)
class Symbol:
    """One entry of the symbol table. `section` is a section index, or None for an absolute value."""

    name: str
    value: int
    size: int
    kind: str
    is_global: bool
    is_weak: bool
    exported: bool
    """Global and of default visibility: other extensions may refer to it."""
    defined: bool
    section: int | None


@dataclass
class Object:
    """A parsed relocatable object."""

    file: str
    sections: dict[int, Section]
    symbols: list[Symbol]

    def globals(self) -> Iterator[Symbol]:
        """Return the symbols this object defines for others."""
        return (s for s in self.symbols if s.is_global and s.defined)


def parse_object(file: str, data: bytes) -> Object:
    """Decode `data`; every malformed input is a SandboxError."""
    try:
        return _Parser(file, data).parse()
    except SandboxError:
        raise
    except Exception as error:  # pyelftools fails on broken files with more types than it documents
        raise SandboxError(file, f"malformed ELF file ({type(error).__name__}: {error})") from error


class _Parser:
    def __init__(self, file: str, data: bytes) -> None:
        self.file = file
        self.data = data

    def fail(self, rule: str) -> SandboxError:
        return SandboxError(self.file, rule)

    def parse(self) -> Object:
        self._check_header()
        elf = ELFFile(io.BytesIO(self.data))
        headers = [elf.get_section(i) for i in range(elf.num_sections())]
        sections = {i: self._section(i, h) for i, h in enumerate(headers) if self._is_kept(h)}
        tables = [h for h in headers if isinstance(h, SymbolTableSection) and h["sh_type"] == "SHT_SYMTAB"]
        if len(tables) > 1:
            raise self.fail("more than one symbol table")
        symbols: list[Symbol] = []
        if tables:
            self._check_table(tables[0], SYM_SIZE)
            self._contents(headers[tables[0]["sh_link"]])
            common = _Common(len(headers), sections)
            symbols = [self._symbol(s, common, len(headers)) for s in tables[0].iter_symbols()]
        for header in headers:
            if header["sh_type"] in ("SHT_REL", "SHT_RELA") and header["sh_info"] in sections:
                self._relocations(header, sections[header["sh_info"]], symbols)
        return Object(self.file, sections, symbols)

    def _check_header(self) -> None:
        """Refuse what is not for us before pyelftools sees it, so that its loops are bounded by the file."""
        data = self.data
        if len(data) < 4 or data[:4] != b"\x7fELF":
            raise self.fail("not an ELF file")
        if len(data) < EHDR_SIZE:
            raise self.fail("truncated ELF header")
        if data[4] != 1 or data[5] != 1:
            raise self.fail("not a 32-bit little-endian ELF file")
        kind, machine = struct.unpack_from("<HH", data, 16)
        (shoff,) = struct.unpack_from("<I", data, 32)
        shentsize, shnum, shstrndx = struct.unpack_from("<HHH", data, 46)
        if machine != 3:
            raise self.fail(f"not for i386 (machine {machine})")
        if kind != 1:
            raise self.fail(f"not a relocatable object (e_type {kind}, ET_REL is 1)")
        if shnum == 0 or shentsize != SHDR_SIZE:
            raise self.fail("no usable section header table")
        if shoff + shnum * SHDR_SIZE > len(data):
            raise self.fail("truncated: section headers lie outside the file")
        if shstrndx >= shnum:
            raise self.fail("section name table does not exist")

    def _is_kept(self, header: Any) -> bool:
        flags: int = header["sh_flags"]
        name: str = header.name
        return bool(flags & SHF_ALLOC) and not name.startswith(DROPPED)

    def _contents(self, header: Any) -> bytes:
        offset: int = header["sh_offset"]
        size: int = header["sh_size"]
        if offset + size > len(self.data):
            raise self.fail(f"truncated: section {header.name!r} lies outside the file")
        return self.data[offset : offset + size]

    def _check_table(self, header: Any, entry: int) -> None:
        if header["sh_entsize"] != entry or header["sh_size"] % entry:
            raise self.fail(f"section {header.name!r} has a wrong entry size")
        self._contents(header)

    def _section(self, index: int, header: Any) -> Section:
        name: str = header.name
        flags: int = header["sh_flags"]
        kind = header["sh_type"]
        align: int = max(1, header["sh_addralign"])
        if flags & SHF_WRITE and flags & SHF_EXECINSTR:
            raise self.fail(f"section {name!r} is both writable and executable")
        if flags & SHF_TLS:
            raise self.fail(f"section {name!r} is thread-local: extensions have no thread pointer")
        if flags & SHF_COMPRESSED:
            raise self.fail(f"section {name!r} is compressed")
        if kind not in ("SHT_PROGBITS", "SHT_NOBITS"):
            raise self.fail(f"section {name!r} has the unsupported type {kind}")
        if align & (align - 1) or align > 4096:
            raise self.fail(f"section {name!r} has the unsupported alignment {align}")
        bss = kind == "SHT_NOBITS"
        if bss and not flags & SHF_WRITE:
            raise self.fail(f"section {name!r} is read-only and has no contents")
        data = None if bss else self._contents(header)
        size: int = header["sh_size"]
        return Section(index, name, bool(flags & SHF_WRITE), bool(flags & SHF_EXECINSTR), size, align, data)

    def _symbol(self, e: Any, common: _Common, count: int) -> Symbol:
        name: str = e.name
        where = e["st_shndx"]
        value: int = e["st_value"]
        size: int = e["st_size"]
        bind = e["st_info"]["bind"]
        kind = str(e["st_info"]["type"])
        visibility = e["st_other"]["visibility"]
        if kind == "STT_GNU_IFUNC" or kind == "STT_LOOS":
            raise self.fail(f"symbol {name!r} is an indirect function: nothing would resolve it")
        section: int | None = None
        if where == "SHN_COMMON":
            section, value = common.allocate(self.fail, name, value, size)
        elif isinstance(where, int):
            if where >= count:
                raise self.fail(f"symbol {name!r} lies in a section that does not exist ({where})")
            section = where
        elif where not in ("SHN_ABS", "SHN_UNDEF"):
            raise self.fail(f"symbol {name!r} has the unsupported section index {where}")
        is_global = bind in ("STB_GLOBAL", "STB_WEAK")
        if not is_global and bind != "STB_LOCAL":
            raise self.fail(f"symbol {name!r} has the unsupported binding {bind}")
        return Symbol(
            name=name,
            value=value,
            size=size,
            kind=kind,
            is_global=is_global,
            is_weak=bind == "STB_WEAK",
            exported=is_global and visibility == "STV_DEFAULT",
            defined=where != "SHN_UNDEF",
            section=section,
        )

    def _relocations(self, header: Any, target: Section, symbols: list[Symbol]) -> None:
        if header["sh_type"] == "SHT_RELA":
            raise self.fail(f"section {header.name!r}: i386 uses REL, not RELA")
        self._check_table(header, REL_SIZE)
        for offset, info in struct.iter_unpack("<II", self._contents(header)):
            if info >> 8 >= len(symbols):
                raise self.fail(f"relocation in {target.name!r} names a symbol that does not exist")
            target.relocations.append(Relocation(offset, info & 0xFF, info >> 8))


class _Common:
    """Room for COMMON symbols (tentative definitions): an extra .bss section behind the last real one."""

    def __init__(self, index: int, sections: dict[int, Section]) -> None:
        self.index = index
        self.sections = sections

    def allocate(self, fail: Any, name: str, align: int, size: int) -> tuple[int, int]:
        if align <= 0 or align & (align - 1) or align > 4096:
            raise fail(f"common symbol {name!r} has the unsupported alignment {align}")
        room = self.sections.setdefault(self.index, Section(self.index, "COMMON", True, False, 0, 4, None))
        offset = -(-room.size // align) * align
        room.align = max(room.align, align)
        room.size = offset + size
        return self.index, offset
