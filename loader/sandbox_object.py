"""An extension's ELF file (ELF32, i386) reduced to what the sandbox linker needs.

Relocatable objects (ET_REL) and static executables that kept their relocations (ET_EXEC, `--emit-relocs`) are
read section by section, here; `loader.sandbox_static` makes the second into the first. Static
position-independent executables (ET_DYN) come as segments: `loader.sandbox_pie`.

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

ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
R_386_NONE, R_386_32, R_386_PC32, R_386_PLT32, R_386_RELATIVE = 0, 1, 2, 4, 8
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_COMPRESSED = 0x1, 0x2, 0x4, 0x400, 0x800
SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON = 0, 0xFF00, 0xFFF1, 0xFFF2
EHDR_SIZE, SHDR_SIZE, SYM_SIZE, REL_SIZE = 52, 40, 16, 8

# Never reached by the code itself and so not worth sandbox memory: unwind tables and notes.
DROPPED = (".eh_frame", ".note", ".comment")
CONSTRUCTORS = (".preinit_array", ".init_array", ".ctors")
DESTRUCTORS = (".fini_array", ".dtors")
ARRAYS = ("SHT_INIT_ARRAY", "SHT_PREINIT_ARRAY", "SHT_FINI_ARRAY")


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
    origin: int = 0
    """Where an executable was linked to; 0 in a relocatable object."""
    added: bool = False
    """By us (`loader.sandbox_constructors`)."""


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
    """A parsed extension.

    The words of `constructors` are places (section index, offset) that hold addresses of functions to
    be called before `init`, in this order.
    """

    file: str
    sections: dict[int, Section]
    symbols: list[Symbol]
    rigid: bool = False
    """Its sections keep their distances from each other (position-independent code relies on them)."""
    entry: int | None = None
    """Index of the symbol of an executable's entry point."""
    constructors: list[tuple[int, int]] = field(default_factory=list)

    def globals(self) -> Iterator[Symbol]:
        """Return the symbols this object defines for others."""
        return (s for s in self.symbols if s.is_global and s.defined)


def parse_object(file: str, data: bytes) -> Object:
    """Decode `data`; every malformed input is a SandboxError."""
    from loader.sandbox_pie import parse_pie
    from loader.sandbox_static import rebase

    try:
        kind = check_header(file, data)
        if kind == ET_DYN:
            return parse_pie(file, data)
        parsed = _Parser(file, data).parse()
        return rebase(parsed, data) if kind == ET_EXEC else parsed
    except SandboxError:
        raise
    except Exception as error:  # pyelftools fails on broken files with more types than it documents
        raise SandboxError(file, f"malformed ELF file ({type(error).__name__}: {error})") from error


def check_header(file: str, data: bytes) -> int:
    """Refuse what is not for us before pyelftools sees it, so that its loops are bounded; return e_type."""
    if len(data) < 4 or data[:4] != b"\x7fELF":
        raise SandboxError(file, "not an ELF file")
    if len(data) < EHDR_SIZE:
        raise SandboxError(file, "truncated ELF header")
    if data[4] != 1 or data[5] != 1:
        raise SandboxError(file, "not a 32-bit little-endian ELF file")
    kind: int
    kind, machine = struct.unpack_from("<HH", data, 16)
    (shoff,) = struct.unpack_from("<I", data, 32)
    shentsize, shnum, shstrndx = struct.unpack_from("<HHH", data, 46)
    if machine != 3:
        raise SandboxError(file, f"not for i386 (machine {machine})")
    if kind not in (ET_REL, ET_EXEC, ET_DYN):
        raise SandboxError(file, f"not a relocatable object or an executable (e_type {kind})")
    if kind == ET_DYN and shnum == 0:
        return kind  # segments are enough
    if shnum == 0 or shentsize != SHDR_SIZE:
        raise SandboxError(file, "no usable section header table")
    if shoff + shnum * SHDR_SIZE > len(data):
        raise SandboxError(file, "truncated: section headers lie outside the file")
    if shstrndx >= shnum:
        raise SandboxError(file, "section name table does not exist")
    return kind


class _Parser:
    def __init__(self, file: str, data: bytes) -> None:
        self.file = file
        self.data = data

    def fail(self, rule: str) -> SandboxError:
        return SandboxError(self.file, rule)

    def parse(self) -> Object:
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
        return Object(self.file, sections, symbols, constructors=constructor_places(sections))

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
        if name.startswith(DESTRUCTORS):
            raise self.fail(
                f"section {name!r} holds destructors: an extension has no end at which they could run"
            )
        if kind not in ("SHT_PROGBITS", "SHT_NOBITS", *ARRAYS):
            raise self.fail(f"section {name!r} has the unsupported type {kind}")
        if align & (align - 1) or align > 4096:
            raise self.fail(f"section {name!r} has the unsupported alignment {align}")
        bss = kind == "SHT_NOBITS"
        if bss and not flags & SHF_WRITE:
            raise self.fail(f"section {name!r} is read-only and has no contents")
        data = None if bss else self._contents(header)
        size: int = header["sh_size"]
        writable, executable = bool(flags & SHF_WRITE), bool(flags & SHF_EXECINSTR)
        return Section(index, name, writable, executable, size, align, data, origin=header["sh_addr"])

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


def constructor_places(sections: dict[int, Section]) -> list[tuple[int, int]]:
    """Return the words of all constructor sections in the order in which they run.

    The rank in the name is the priority, smallest first, and those without one come last; GCC's older
    `.ctors.N` counts down from 65535, and a `.ctors` section is run from its end (GNU ld's scripts,
    SORT_BY_INIT_PRIORITY).
    """
    ranked: list[tuple[int, int, int, list[tuple[int, int]]]] = []
    for section in sections.values():
        kind, _, rank = section.name[1:].partition(".")
        if f".{kind}" not in CONSTRUCTORS:
            continue
        words = [(section.index, at) for at in range(0, section.size - 3, 4)]
        number = min(int(rank), 65536) if rank.isascii() and rank.isdigit() else 65536
        if kind == "ctors":
            words.reverse()
            number = 65535 - number if number < 65536 else number
        ranked.append((kind != "preinit_array", number, section.index, words))
    return [word for *_, words in sorted(ranked) for word in words]


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
