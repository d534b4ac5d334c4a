"""Addresses for the sections of all extensions, and relocation to these addresses.

Which of the two areas a section goes to follows from whether it is writable; `loader.sandbox` has the map.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from loader.sandbox_elf import LinkedSymbol, Segment
from loader.sandbox_object import (
    R_386_32,
    R_386_NONE,
    R_386_PC32,
    R_386_PLT32,
    Object,
    SandboxError,
    Section,
    Symbol,
)

PUBLIC_BASE = 0x40000000
PROTECTED_BASE = 0x40400000
AREA_SIZE = 0x400000
PAGE = 4096

RUNTIME = "uls"
"""Name of the unit with the return stubs; its symbols carry no prefix and win over those of extensions."""

LIBC = "libc"
"""Name of the unit with the sandbox's libc; its symbols win as well."""
WINNERS = (RUNTIME, LIBC)

REFUSED = {
    **{3: "R_386_GOT32", 5: "R_386_COPY", 6: "R_386_GLOB_DAT", 7: "R_386_JMP_SLOT", 8: "R_386_RELATIVE"},
    **{9: "R_386_GOTOFF", 10: "R_386_GOTPC", 11: "R_386_32PLT", 20: "R_386_16", 21: "R_386_PC16"},
    **{22: "R_386_8", 23: "R_386_PC8", 42: "R_386_IRELATIVE", 43: "R_386_GOT32X"},
}


@dataclass
class Unit:
    """One linked object: an extension, the runtime, or the libc."""

    name: str
    object: Object
    needs: set[str] = field(default_factory=set)
    """Other extensions whose symbols it uses."""


Exports = dict[str, list[tuple[Unit, Symbol]]]


def check_symbols(obj: Object) -> None:
    """Refuse symbols outside their section, and two definitions of one global name."""
    seen: set[str] = set()
    for symbol in obj.symbols:
        section = obj.sections.get(symbol.section) if symbol.section is not None else None
        if section is not None and not 0 <= symbol.value <= section.size:
            raise SandboxError(obj.file, f"symbol {symbol.name!r} lies outside section {section.name!r}")
        if not (symbol.is_global and symbol.defined):
            continue
        if symbol.name in seen:
            raise SandboxError(obj.file, f"duplicate symbol {symbol.name!r}")
        seen.add(symbol.name)


def layout(units: Sequence[Unit], header_size: int, stacks: int) -> None:
    """Give every section its address. Each unit starts on a page of its own: a change moves few others."""
    public, protected = PUBLIC_BASE + header_size, PROTECTED_BASE
    for unit in units:
        if unit is not units[0] or unit.name != RUNTIME:
            public = align(public, PAGE)
        protected = align(protected, PAGE)
        if unit.object.rigid:
            public, protected = _move(unit, align(public, PAGE), protected)
        else:
            sections = sorted(
                unit.object.sections.values(), key=lambda s: (not s.executable, s.data is None, s.index)
            )
            public = _place([s for s in sections if not s.writable], public)
            protected = _place([s for s in sections if s.writable], protected)
        if public > PUBLIC_BASE + AREA_SIZE:
            raise SandboxError(unit.object.file, "public area overflow: code and read-only data exceed 4 MB")
        if protected > PROTECTED_BASE + AREA_SIZE:
            raise SandboxError(unit.object.file, "protected area overflow: data exceed 4 MB")
    if align(protected, PAGE) + stacks > PROTECTED_BASE + AREA_SIZE:
        raise SandboxError("sandbox", "protected area overflow: no room left for the stacks")


def align(value: int, boundary: int) -> int:
    """Round up to a multiple of `boundary`."""
    return -(-value // boundary) * boundary


def _place(sections: Sequence[Section], address: int) -> int:
    for section in sections:
        section.address = align(address, section.align)
        address = section.address + section.size
    return address


def _move(unit: Unit, public: int, protected: int) -> tuple[int, int]:
    """Move all sections by one distance, as far as is needed; return the ends in both areas."""
    sections = [s for s in unit.object.sections.values() if not s.added]
    code, data = [s for s in sections if not s.writable], [s for s in sections if s.writable]
    if code and data and min(s.origin for s in data) - min(s.origin for s in code) < AREA_SIZE:
        rule = "its writable segments must lie 4 MB above its read-only ones, as the areas do"
        raise SandboxError(unit.object.file, f"{rule}: link it with guest/extensions/static_pie.ld")
    wanted = [(code, public), (data, protected)]
    moved = max(align(start - min(s.origin for s in part), PAGE) for part, start in wanted if part)
    for section in sections:
        section.address = section.origin + moved
    public = max([public, *(s.address + s.size for s in code)])
    public = _place([s for s in unit.object.sections.values() if s.added], public)
    return public, max([protected, *(s.address + s.size for s in data)])


def _address(unit: Unit, symbol: Symbol) -> int:
    if symbol.section is None:
        return symbol.value
    section = unit.object.sections.get(symbol.section)
    if section is None:
        raise SandboxError(unit.object.file, f"symbol {symbol.name!r} lies in a section that is not loaded")
    return section.address + symbol.value


def collect_exports(units: Sequence[Unit]) -> Exports:
    """Return what each name may mean outside the object that defines it."""
    found: Exports = {}
    for unit in units:
        for symbol in unit.object.globals():
            if symbol.exported:
                found.setdefault(symbol.name, []).append((unit, symbol))
    return found


def find_export(name: str, exports: Exports, file: str) -> int:
    """Return the address of a symbol outside the asking object."""
    return _address(*_find_export(name, exports, file))


def _find_export(name: str, exports: Exports, file: str) -> tuple[Unit, Symbol]:
    """The runtime first, then the libc, then any one extension."""
    found = exports.get(name)
    if not found:
        raise SandboxError(file, f"undefined symbol {name!r}")
    if len(found) > 1 and found[0][0].name not in WINNERS:
        owners = ", ".join(u.name for u, _ in found)
        raise SandboxError(file, f"ambiguous symbol {name!r}: defined by {owners}")
    return found[0]


def _resolve(unit: Unit, symbol: Symbol, exports: Exports) -> int:
    if symbol.defined:
        return _address(unit, symbol)
    if symbol.is_weak and symbol.name not in exports:
        return 0
    other, export = _find_export(symbol.name, exports, unit.object.file)
    if other is not unit and other.name not in WINNERS:
        unit.needs.add(other.name)
    return _address(other, export)


def relocate(unit: Unit, section: Section, exports: Exports) -> bytes:
    """Return the section's final contents (empty for .bss)."""
    file = unit.object.file
    out = bytearray(section.data or b"")
    for r in section.relocations:
        where = f"at {section.name}+{r.offset:#x}"
        if r.kind == R_386_NONE:
            continue
        if r.kind not in (R_386_32, R_386_PC32, R_386_PLT32):
            kind = REFUSED.get(r.kind, f"number {r.kind}")
            raise SandboxError(file, f"unsupported relocation type {kind} {where}")
        if r.offset + 4 > len(out):
            raise SandboxError(file, f"relocation {where} lies outside the section's contents")
        (addend,) = struct.unpack_from("<I", out, r.offset)
        value = _resolve(unit, unit.object.symbols[r.symbol], exports) + addend
        if r.kind != R_386_32:  # a direct call never needs a PLT here: everything is linked statically
            value -= section.address + r.offset
        struct.pack_into("<I", out, r.offset, value & 0xFFFFFFFF)
    return bytes(out)


def segment(unit: Unit, writable: bool, contents: dict[tuple[str, int], bytes]) -> Segment | None:
    """Return the unit's part of one area, or None if it has none there."""
    sections = [s for s in unit.object.sections.values() if s.writable == writable and s.size]
    if not sections:
        return None
    start = min(s.address for s in sections)
    end = max(s.address + s.size for s in sections)
    data = bytearray()
    for s in sorted((s for s in sections if s.data), key=lambda s: s.address):
        data += bytes(s.address - start - len(data)) + contents[unit.name, s.index]
    name = f"{'.data' if writable else '.text'}.{unit.name}"
    return Segment(name, start, bytes(data), end - start, writable, not writable)


def linked_symbols(unit: Unit) -> list[LinkedSymbol]:
    """Return the symbols for the image, prefixed by their extension: every extension has a `handler`."""
    prefix = "" if unit.name == RUNTIME else f"{unit.name}:"
    return [
        LinkedSymbol(prefix + s.name, _address(unit, s), s.size, s.kind, s.is_global)
        for s in unit.object.symbols
        if s.name and s.kind in ("STT_NOTYPE", "STT_OBJECT", "STT_FUNC") and s.section in unit.object.sections
    ]
