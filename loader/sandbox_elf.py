"""Write a linked sandbox as an ELF32 executable, the form in which the kernel gets it as a boot module.

    file header | program headers | segment contents ... | .symtab | .strtab | .shstrtab | section headers

Segments become PT_LOADs; the symbol table is for debuggers and for the emulator's cycle ledger, the kernel
does not look at it. Nothing here depends on time, paths or hash order: the same input gives the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

EHDR, PHDR, SHDR, SYM = 52, 32, 40, 16
PF_X, PF_W, PF_R = 1, 2, 4
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_NOBITS = 1, 2, 3, 8
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
SYMBOL_KINDS = {"STT_NOTYPE": 0, "STT_OBJECT": 1, "STT_FUNC": 2}


@dataclass(frozen=True)
class Segment:
    """Memory to fill: `data` at `address`, then zeros up to `size`."""

    name: str
    address: int
    data: bytes
    size: int
    writable: bool
    executable: bool


@dataclass(frozen=True)
class LinkedSymbol:
    """A symbol with its final address."""

    name: str
    address: int
    size: int
    kind: str
    is_global: bool


def write_executable(entry: int, segments: Sequence[Segment], symbols: Sequence[LinkedSymbol]) -> bytes:
    """Return the bytes of an ET_EXEC file with one PT_LOAD and one section for each segment."""
    out = bytearray(EHDR + PHDR * len(segments))
    names = _Strings()
    headers = [bytes(SHDR)]
    for i, s in enumerate(segments):
        # A loader that maps pages wants offset and address to agree within a page.
        out += bytes((s.address - len(out)) % 4096) if s.data else b""
        offset = len(out)
        out += s.data
        flags = PF_R | (PF_W if s.writable else 0) | (PF_X if s.executable else 0)
        phdr = struct.pack(
            "<8I", 1, offset, s.address, s.address, len(s.data), s.size, flags, 4096 if s.data else 1
        )
        out[EHDR + PHDR * i : EHDR + PHDR * (i + 1)] = phdr
        attributes = SHF_ALLOC | (SHF_WRITE if s.writable else 0) | (SHF_EXECINSTR if s.executable else 0)
        kind = SHT_PROGBITS if s.data else SHT_NOBITS
        where = (s.address, offset, len(s.data) or s.size)
        headers.append(struct.pack("<10I", names.add(s.name), kind, attributes, *where, 0, 0, 1, 0))
    out += bytes(-len(out) % 4)
    text, table, first_global = _symbol_table(segments, symbols)
    strtab = len(headers) + 1
    headers.append(
        struct.pack(
            "<10I", names.add(".symtab"), SHT_SYMTAB, 0, 0, len(out), len(table), strtab, first_global, 4, SYM
        )
    )
    out += table
    headers.append(
        struct.pack("<10I", names.add(".strtab"), SHT_STRTAB, 0, 0, len(out), len(text), 0, 0, 1, 0)
    )
    out += text
    name = names.add(".shstrtab")
    headers.append(struct.pack("<10I", name, SHT_STRTAB, 0, 0, len(out), len(names.text), 0, 0, 1, 0))
    out += names.text
    out += bytes(-len(out) % 4)
    ident = b"\x7fELF" + bytes((1, 1, 1)) + bytes(9)
    out[:EHDR] = ident + struct.pack(
        "<HHIIIIIHHHHHH",
        *(2, 3, 1, entry, EHDR, len(out), 0),
        *(EHDR, PHDR, len(segments), SHDR, len(headers), len(headers) - 1),
    )
    for header in headers:
        out += header
    return bytes(out)


class _Strings:
    """A string table under construction."""

    def __init__(self) -> None:
        self.text = bytearray(1)

    def add(self, name: str) -> int:
        offset = len(self.text)
        self.text += name.encode("utf-8", "surrogateescape") + b"\0"
        return offset


def _symbol_table(segments: Sequence[Segment], symbols: Sequence[LinkedSymbol]) -> tuple[bytes, bytes, int]:
    """Return string table, symbol table and the index of the first global (locals must come first)."""
    strings = _Strings()
    table = bytearray(SYM)
    ordered = sorted(symbols, key=lambda s: (s.is_global, s.address, s.name))
    for symbol in ordered:
        section = next(
            (i + 1 for i, s in enumerate(segments) if s.address <= symbol.address < s.address + s.size),
            0xFFF1,
        )
        info = (1 if symbol.is_global else 0) << 4 | SYMBOL_KINDS.get(symbol.kind, 0)
        table += struct.pack(
            "<IIIBBH", strings.add(symbol.name), symbol.address, symbol.size, info, 0, section
        )
    first_global = 1 + sum(not s.is_global for s in ordered)
    return bytes(strings.text), bytes(table), first_global
