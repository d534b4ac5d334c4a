"""A static executable with its relocations (ET_EXEC, linked with --emit-relocs) made relocatable again.

    in the executable                                 in the object
    symbol       st_value = address                   st_value - sh_addr
    relocation   r_offset = address                   r_offset - sh_addr
    R_386_32     word = S + A                         word = A = word - S
    R_386_PC32   word = S + A - P                     word = A = word - S + P

The linker has already applied what it kept (System V ABI, Intel386 supplement, "Relocation"), so the implicit
addend is what remains when the old addresses are taken away. What it resolved without a relocation (a GOT, a
distance between sections) could not be put right: such executables are refused.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from loader.sandbox_object import (
    R_386_32,
    R_386_NONE,
    R_386_PC32,
    R_386_PLT32,
    Object,
    Relocation,
    SandboxError,
    Section,
    Symbol,
)

RESOLVED = (".got", ".plt", ".iplt", ".igot")


def rebase(obj: Object, data: bytes) -> Object:
    """Return `obj`, parsed from the executable `data`, as a relocatable object, or raise SandboxError."""
    for section in obj.sections.values():
        if section.name.startswith(RESOLVED) and section.size:
            what = "holds addresses without relocations: compile without -fPIC"
            raise SandboxError(obj.file, f"section {section.name!r} {what}")
        if section.name == ".interp":
            raise SandboxError(obj.file, "not a static executable (it has a section '.interp')")
    if not any(s.relocations for s in obj.sections.values()):
        raise SandboxError(obj.file, "executable without relocations: link it with --emit-relocs")
    absolute = [_address(obj, s) for s in obj.symbols]
    for section in obj.sections.values():
        _relative(obj, section, absolute)
    obj.symbols[:] = [_relative_symbol(obj, s) for s in obj.symbols]
    obj.entry = _entry(obj, struct.unpack_from("<I", data, 24)[0])
    return obj


def _address(obj: Object, symbol: Symbol) -> int:
    return symbol.value if symbol.defined else 0


def _relative_symbol(obj: Object, symbol: Symbol) -> Symbol:
    section = obj.sections.get(symbol.section) if symbol.section is not None else None
    if section is None:
        return symbol
    return replace(symbol, value=symbol.value - section.origin)


def _relative(obj: Object, section: Section, absolute: list[int]) -> None:
    out = bytearray(section.data or b"")
    moved: list[Relocation] = []
    for r in section.relocations:
        at = r.offset - section.origin
        if not 0 <= at <= len(out) - 4:
            raise SandboxError(obj.file, f"relocation at {r.offset:#x} lies outside section {section.name!r}")
        moved.append(replace(r, offset=at))
        if r.kind not in (R_386_32, R_386_PC32, R_386_PLT32):
            continue  # R_386_NONE, or refused when it is applied
        symbol = obj.symbols[r.symbol]
        if symbol.defined and symbol.section is None and _inside(obj, symbol.value):
            rule = f"absolute symbol {symbol.name!r} lies in the executable: it cannot be re-based"
            raise SandboxError(obj.file, rule)
        (word,) = struct.unpack_from("<I", out, at)
        addend = word - absolute[r.symbol] + (r.offset if r.kind != R_386_32 else 0)
        struct.pack_into("<I", out, at, addend & 0xFFFFFFFF)
    section.relocations = [r for r in moved if r.kind != R_386_NONE]
    section.data = None if section.data is None else bytes(out)


def _inside(obj: Object, address: int) -> bool:
    return any(s.origin <= address <= s.origin + s.size for s in obj.sections.values() if s.size)


def _entry(obj: Object, address: int) -> int | None:
    """Add a symbol for the entry point."""
    for section in obj.sections.values():
        if section.executable and section.origin <= address < section.origin + section.size:
            where = address - section.origin
            obj.symbols.append(Symbol("", where, 0, "STT_NOTYPE", False, False, False, True, section.index))
            return len(obj.symbols) - 1
    return None
