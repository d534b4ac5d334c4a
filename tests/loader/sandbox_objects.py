"""Relocatable objects made by hand, so that each rule of the linker can be broken alone."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

PROGBITS, SYMTAB, STRTAB, RELA, NOBITS, REL = 1, 2, 3, 4, 8, 9
W, A, X = 1, 2, 4
LOCAL, GLOBAL, WEAK = 0, 1, 2
UNDEF, ABS, COMMON = 0, 0xFFF1, 0xFFF2
FUNC, OBJECT = 2, 1


@dataclass
class Sec:
    name: str
    flags: int
    data: bytes = b""
    kind: int = PROGBITS
    align: int = 4
    size: int | None = None
    rel: list[tuple[int, int, int]] = field(default_factory=list)
    """(offset, relocation type, symbol index; 1 is the first of `syms`)"""
    rel_kind: int = REL


@dataclass
class Sym:
    name: str
    section: int
    """1 is the first of `secs`"""
    value: int = 0
    bind: int = GLOBAL
    kind: int = FUNC
    size: int = 0
    other: int = 0


def strings(names: list[str]) -> tuple[bytes, list[int]]:
    text, at = b"\0", []
    for n in names:
        at.append(len(text))
        text += n.encode() + b"\0"
    return text, at


def make(secs: list[Sec], syms: list[Sym], e_type: int = 1, machine: int = 3, elf_class: int = 1) -> bytes:
    """Return an ET_REL file: user sections, their relocations, .symtab, .strtab, .shstrtab."""
    rels = [(i + 1, s) for i, s in enumerate(secs) if s.rel]
    symtab = len(secs) + len(rels) + 1
    names = [s.name for s in secs] + [f".rel{s.name}" for _, s in rels] + [".symtab", ".strtab", ".shstrtab"]
    shstr, name_at = strings(names)
    strtab, sym_at = strings([s.name for s in syms])
    table = bytes(16)
    for s, at in zip(syms, sym_at, strict=True):
        table += struct.pack("<IIIBBH", at, s.value, s.size, s.bind << 4 | s.kind, s.other, s.section)
    bodies = [(s.kind, s.flags, s.data, s.size, 0, 0, s.align, 0) for s in secs]
    for i, s in rels:
        body = b"".join(struct.pack("<II", o, sym << 8 | t) for o, t, sym in s.rel)
        bodies.append((s.rel_kind, 0, body, None, symtab, i, 4, 12 if s.rel_kind == RELA else 8))
    bodies.append((SYMTAB, 0, table, None, symtab + 1, 1, 4, 16))
    bodies.append((STRTAB, 0, strtab, None, 0, 0, 1, 0))
    bodies.append((STRTAB, 0, shstr, None, 0, 0, 1, 0))
    out, headers = bytearray(52), bytes(40)
    for at, (kind, flags, data, size, link, info, align, entsize) in zip(name_at, bodies, strict=True):
        length = len(data) if size is None else size
        headers += struct.pack("<10I", at, kind, flags, 0, len(out), length, link, info, align, entsize)
        out += data
    count = len(bodies) + 1
    ident = b"\x7fELF" + bytes((elf_class, 1, 1)) + bytes(9)
    out[:52] = ident + struct.pack(
        "<HHIIIIIHHHHHH", e_type, machine, 1, 0, 0, len(out), 0, 52, 0, 0, 40, count, count - 1
    )
    return bytes(out + headers)


RET = b"\xc3" * 16
RUNTIME = make(
    [Sec(".text", A | X, RET)],
    [Sym("uls_return_sysenter", 1), Sym("uls_return_int80", 1, 8), Sym("shared", 1, 4)],
)


def simple(*extra: Sym, text: bytes = RET, rel: list[tuple[int, int, int]] | None = None) -> bytes:
    """Return an extension with a handler (symbol 1), .text, .data and .bss, and further symbols."""
    secs = [
        Sec(".text", A | X, text, rel=rel or []),
        Sec(".data", A | W, b"DATA"),
        Sec(".bss", A | W, kind=NOBITS, size=64),
    ]
    return make(secs, [Sym("handler", 1), *extra])
