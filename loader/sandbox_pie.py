"""A static position-independent executable (ET_DYN, `-static-pie`) as an extension.

    program headers   PT_LOAD     -> a section each; none may be writable and executable
                      PT_DYNAMIC  -> DT_REL, DT_RELSZ: R_386_RELATIVE only, word += distance moved
                                     DT_INIT_ARRAY, DT_PREINIT_ARRAY: constructors

Position-independent code finds its data by the distance from its own address, so all segments move by one
distance. Read-only segments belong into the public area and writable ones into the protected area, which
begins 4 MB further on: the file has to be linked with that distance (`guest/extensions/static_pie.ld`).
"""

from __future__ import annotations

import io
import struct
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from loader.sandbox_object import (
    R_386_32,
    R_386_RELATIVE,
    SYM_SIZE,
    Object,
    Relocation,
    SandboxError,
    Section,
    Symbol,
)

PHDR = struct.Struct("<8I")
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_TLS = 1, 2, 3, 7
PF_X, PF_W = 1, 2
MOST_SEGMENTS = 64

DT_NULL, DT_NEEDED, DT_PLTRELSZ, DT_RELA, DT_INIT, DT_FINI, DT_REL, DT_RELSZ, DT_RELENT = (
    0,
    1,
    2,
    7,
    12,
    13,
    17,
    18,
    19,
)
DT_INIT_ARRAY, DT_INIT_ARRAYSZ, DT_FINI_ARRAYSZ = 25, 27, 28
DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ, DT_RELRSZ = 32, 33, 35
NOT_STATIC = {
    DT_NEEDED: "it needs a shared library (DT_NEEDED)",
    DT_PLTRELSZ: "it has a procedure linkage table (DT_PLTRELSZ)",
    DT_RELA: "it has RELA relocations (DT_RELA); i386 uses REL",
    DT_RELRSZ: "it has packed relocations (DT_RELR): link without --pack-dyn-relocs",
    DT_INIT: "it has DT_INIT: constructors belong into .init_array",
    DT_FINI: "it has DT_FINI: an extension has no end at which it could run",
    DT_FINI_ARRAYSZ: "it has destructors (DT_FINI_ARRAY): an extension has no end at which they could run",
}


def parse_pie(file: str, data: bytes) -> Object:
    """Decode the executable `data`; SandboxError if it breaks a rule."""
    headers = _program_headers(file, data)
    sections = {i: _segment(file, data, i, h) for i, h in enumerate(headers) if h[0] == PT_LOAD and h[5]}
    if not sections:
        raise SandboxError(file, "no segment to load")
    for i, a in sections.items():
        for j, b in sections.items():
            if i < j and a.origin < b.origin + b.size and b.origin < a.origin + a.size:
                raise SandboxError(file, f"segments {i} and {j} overlap")
    obj = Object(file, sections, [], rigid=True)
    for i, s in sections.items():
        obj.symbols.append(Symbol("", 0, s.size, "STT_SECTION", False, False, False, True, i))
    first = next(iter(sections.values()))
    for header in headers:
        if header[0] == PT_DYNAMIC:
            _dynamic(obj, first, _table(obj, header[2], header[4], 8, "the dynamic section"))
    _symbols(obj, data)
    obj.entry = _entry(obj, struct.unpack_from("<I", data, 24)[0])
    return obj


def _program_headers(file: str, data: bytes) -> list[tuple[int, ...]]:
    (phoff,) = struct.unpack_from("<I", data, 28)
    phentsize, phnum = struct.unpack_from("<HH", data, 42)
    if phentsize != PHDR.size or not 0 < phnum <= MOST_SEGMENTS:
        raise SandboxError(file, "no usable program header table")
    if phoff + phnum * PHDR.size > len(data):
        raise SandboxError(file, "truncated: program headers lie outside the file")
    headers = [PHDR.unpack_from(data, phoff + PHDR.size * i) for i in range(phnum)]
    for kind, what in ((PT_INTERP, "PT_INTERP"), (PT_TLS, "PT_TLS")):
        if any(h[0] == kind for h in headers):
            raise SandboxError(file, f"not a static executable for the sandbox (it has {what})")
    if sum(h[0] == PT_DYNAMIC for h in headers) > 1:
        raise SandboxError(file, "more than one dynamic section")
    return headers


def _segment(file: str, data: bytes, index: int, header: tuple[int, ...]) -> Section:
    _, offset, vaddr, _, filesz, memsz, flags, align = header
    writable, executable = bool(flags & PF_W), bool(flags & PF_X)
    if writable and executable:
        raise SandboxError(file, f"segment {index} is both writable and executable")
    if offset + filesz > len(data):
        raise SandboxError(file, f"truncated: segment {index} lies outside the file")
    if filesz > memsz or vaddr + memsz > 1 << 32:
        raise SandboxError(file, f"segment {index} has a wrong size")
    if not writable and filesz != memsz:
        raise SandboxError(file, f"segment {index} is read-only and larger than its contents")
    if align > 4096:
        raise SandboxError(file, f"segment {index} has the unsupported alignment {align}")
    contents = data[offset : offset + filesz] if filesz else None
    return Section(index, f"segment {index}", writable, executable, memsz, 1, contents, origin=vaddr)


def _find(obj: Object, address: int, size: int) -> tuple[Section, int] | None:
    for s in obj.sections.values():
        if s.data is not None and s.origin <= address and address + size <= s.origin + len(s.data):
            return s, address - s.origin
    return None


def _table(obj: Object, address: int, size: int, entry: int, what: str) -> list[tuple[int, ...]]:
    found = _find(obj, address, size)
    if size % entry or (size and found is None):
        raise SandboxError(obj.file, f"{what} lies outside the segments")
    if not size or found is None or found[0].data is None:
        return []
    return list(struct.iter_unpack(f"<{entry // 4}I", found[0].data[found[1] : found[1] + size]))


def _dynamic(obj: Object, first: Section, entries: list[tuple[int, ...]]) -> None:
    values: dict[int, int] = {}
    for tag, value in entries:
        if tag == DT_NULL:
            break
        if tag in NOT_STATIC and (value or tag == DT_NEEDED):
            raise SandboxError(obj.file, f"not a static executable for the sandbox: {NOT_STATIC[tag]}")
        values[tag] = value
    if values.get(DT_RELENT, 8) != 8:
        raise SandboxError(obj.file, "relocations have a wrong entry size")
    where, size = values.get(DT_REL, 0), values.get(DT_RELSZ, 0)
    _relocations(obj, first, _table(obj, where, size, 8, "the relocation table"))
    for array, length in ((DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ), (DT_INIT_ARRAY, DT_INIT_ARRAYSZ)):
        where, size = values.get(array, 0), values.get(length, 0)
        for i in range(len(_table(obj, where, size, 4, "the constructor table"))):
            found = _find(obj, where + 4 * i, 4)
            if found is not None:
                obj.constructors.append((found[0].index, found[1]))


def _relocations(obj: Object, first: Section, table: list[tuple[int, ...]]) -> None:
    """R_386_RELATIVE as R_386_32 against the first segment: every segment moves by the same distance."""
    patched = {i: bytearray(s.data) for i, s in obj.sections.items() if s.data is not None}
    last = -4
    for offset, info in sorted(table):
        if info & 0xFF != R_386_RELATIVE:
            rule = (
                f"relocation type {info & 0xFF} at {offset:#x}: a static executable has R_386_RELATIVE only"
            )
            raise SandboxError(obj.file, rule)
        found = _find(obj, offset, 4)
        if found is None:
            raise SandboxError(obj.file, f"relocation at {offset:#x} lies outside the segments")
        if offset - last < 4:
            raise SandboxError(obj.file, f"relocation at {offset:#x} overlaps another")
        last = offset
        section, at = found
        (word,) = struct.unpack_from("<I", patched[section.index], at)
        if not any(s.origin <= word <= s.origin + s.size for s in obj.sections.values()):
            raise SandboxError(obj.file, f"relocation at {offset:#x} points outside the segments ({word:#x})")
        struct.pack_into("<I", patched[section.index], at, (word - first.origin) & 0xFFFFFFFF)
        section.relocations.append(Relocation(at, R_386_32, 0))
    for i, contents in patched.items():
        obj.sections[i].data = bytes(contents)


def _symbols(obj: Object, data: bytes) -> None:
    """Names, if the file has any: `handler` and `init`, and what other extensions may use."""
    if struct.unpack_from("<H", data, 48)[0] == 0:
        return
    elf = ELFFile(io.BytesIO(data))
    for i in range(elf.num_sections()):
        table = elf.get_section(i)
        if isinstance(table, SymbolTableSection) and table["sh_type"] == "SHT_SYMTAB":
            if table["sh_entsize"] != SYM_SIZE or table["sh_offset"] + table["sh_size"] > len(data):
                raise SandboxError(obj.file, "the symbol table is malformed")
            obj.symbols.extend(s for e in table.iter_symbols() if (s := _symbol(obj, e)) is not None)
            return


def _symbol(obj: Object, e: Any) -> Symbol | None:
    kind, where, value = str(e["st_info"]["type"]), e["st_shndx"], int(e["st_value"])
    name, bind, visibility = str(e.name), e["st_info"]["bind"], e["st_other"]["visibility"]
    if kind not in ("STT_NOTYPE", "STT_FUNC", "STT_OBJECT") or not name:
        return None
    if where == "SHN_UNDEF":
        if bind != "STB_WEAK":
            raise SandboxError(
                obj.file, f"undefined symbol {name!r}: a position-independent extension is whole"
            )
        return None
    section: int | None = None
    if where != "SHN_ABS":
        inside = [s for s in obj.sections.values() if s.origin <= value <= s.origin + s.size]
        if not inside:
            return None
        section = inside[-1].index
        value -= inside[-1].origin
    is_global = bind in ("STB_GLOBAL", "STB_WEAK")
    exported = is_global and visibility == "STV_DEFAULT"
    return Symbol(
        name, value, int(e["st_size"]), kind, is_global, bind == "STB_WEAK", exported, True, section
    )


def _entry(obj: Object, address: int) -> int | None:
    for s in obj.sections.values():
        if s.executable and s.origin <= address < s.origin + s.size:
            obj.symbols.append(
                Symbol("", address - s.origin, 0, "STT_NOTYPE", False, False, False, True, s.index)
            )
            return len(obj.symbols) - 1
    return None
