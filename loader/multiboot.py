"""Kernels with a multiboot 1 header (Multiboot Specification 0.6.96, chapters 3.1 and 3.2).

::

    offset  header: 4-aligned, wholly in the first 8192 bytes of the file
       0    magic 0x1badb002
       4    flags ---------- bit 0: modules on page boundaries (they always are)
       8    checksum         bit 1: wants the memory sizes (always given)
            (the sum is 0)   bits 2 to 15: required; bit 2, a video mode, and the rest are refused
      12    header_addr      bit 16: the five address fields replace the ELF headers ("a.out kludge")
      16    load_addr        bits 17 to 31: optional, ignored
      20    load_end_addr
      24    bss_end_addr     file offset of load_addr = header's offset - (header_addr - load_addr)
      28    entry_addr
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from loader.elf import is_elf, parse_elf, physical_entry, place_elf, protected_entry
from loader.image import Contents, EntryState, ImageError, Module, PhysicalAddress, Rule, Segment, SymbolFile
from loader.multiboot_info import BOOTED_BY_MULTIBOOT, information, place_information
from loader.placement import Span, check_placement
from loader.symbols import module_symbols, symbols_of

MAGIC: Final = 0x1BADB002
SEARCHED: Final = 8192
HEADER: Final = struct.Struct("<III")
ADDRESSES: Final = struct.Struct("<IIIII")
VIDEO_MODE: Final = 1 << 2
UNKNOWN_REQUIRED: Final = 0xFFF8  # bits 3 to 15
ADDRESS_FIELDS: Final = 1 << 16


class Addresses(NamedTuple):
    """The address fields of a header whose flag bit 16 is set."""

    header: int
    load: int
    load_end: int
    bss_end: int
    entry: int


@dataclass(frozen=True, slots=True)
class Header:
    """A multiboot header whose checksum is right, and its offset in the file."""

    offset: int
    flags: int


def find_header(data: bytes) -> Header | None:
    """The first multiboot header of a file, if it has one."""
    for offset in _magic_offsets(data):
        magic, flags, checksum = HEADER.unpack_from(data, offset)
        if (magic + flags + checksum) & 0xFFFFFFFF == 0:
            return Header(offset, flags)
    return None


def bad_checksum(data: bytes) -> str:
    """What to say of a file that has the magic number but no valid header; else nothing."""
    offset = next(iter(_magic_offsets(data)), None)
    return "" if offset is None else f"the multiboot header at {offset:#x} has a wrong checksum"


def _magic_offsets(data: bytes) -> list[int]:
    end = min(len(data), SEARCHED) - HEADER.size + 1
    return [at for at in range(0, end, 4) if data[at : at + 4] == MAGIC.to_bytes(4, "little")]


def load_multiboot(
    data: bytes, name: str, memory_bytes: int, command_line: str, modules: Sequence[Module]
) -> Contents:
    """Place the kernel, its modules and the information structure."""
    header = find_header(data)
    if header is None:
        found = bad_checksum(data) or f"no multiboot header in the first {SEARCHED} bytes"
        raise ImageError(name, Rule.NO_MULTIBOOT_HEADER, found)
    _check_flags(header, name)
    place = _by_addresses if header.flags & ADDRESS_FIELDS else _by_elf
    kernel = place(data, name, memory_bytes, header)
    write = information(name, memory_bytes, command_line, modules)
    placed = place_information(name, kernel.segments, memory_bytes, modules, write)
    found_in_modules = [module_symbols(module) for module in modules]
    return Contents(
        format="multiboot",
        segments=(*kernel.segments, *placed.segments),
        entry=protected_entry(kernel.entry.eip, eax=BOOTED_BY_MULTIBOOT, ebx=placed.address),
        symbols=kernel.symbols + tuple(file for files, _ in found_in_modules for file in files),
        notes=kernel.notes + tuple(note for _, notes in found_in_modules for note in notes),
        facts=(("multiboot flags", _flags(header)),),
    )


def _flags(header: Header) -> str:
    known = {0: "modules on pages", 1: "memory sizes", 16: "address fields"}
    bits = [known.get(bit, f"bit {bit}") for bit in range(32) if header.flags >> bit & 1]
    return f"{header.flags:#x}" + (f" ({', '.join(bits)})" if bits else "")


def _check_flags(header: Header, name: str) -> None:
    where = f"(flags {header.flags:#x} of the multiboot header at {header.offset:#x})"
    if header.flags & VIDEO_MODE:
        raise ImageError(name, Rule.MULTIBOOT_FLAGS, f"requires bit 2, a video mode; there is none {where}")
    unknown = [bit for bit in range(3, 16) if header.flags & UNKNOWN_REQUIRED & 1 << bit]
    if unknown:
        bits = ", ".join(f"bit {bit}" for bit in unknown)
        raise ImageError(name, Rule.MULTIBOOT_FLAGS, f"requires {bits}, which nobody defined {where}")


def _by_elf(data: bytes, name: str, memory_bytes: int, header: Header) -> Contents:
    if not is_elf(data):
        what = (
            f"neither an ELF file nor address fields (bit 16) in the multiboot header at {header.offset:#x}"
        )
        raise ImageError(name, Rule.NOT_ELF, what)
    elf = parse_elf(data, name)
    segments = place_elf(elf, memory_bytes)
    eip, converted = physical_entry(elf)
    symbols, damage = symbols_of(elf)
    return Contents("multiboot", segments, protected_entry(eip), symbols, converted + damage)


def _by_addresses(data: bytes, name: str, memory_bytes: int, header: Header) -> Contents:
    at = header.offset + HEADER.size
    if at + ADDRESSES.size > min(len(data), SEARCHED):
        what = f"the address fields of the multiboot header at {header.offset:#x} are cut off"
        raise ImageError(name, Rule.TRUNCATED_HEADER, what)
    fields = Addresses._make(ADDRESSES.unpack_from(data, at))
    start = header.offset - (fields.header - fields.load)
    return Contents("multiboot", *load_by_addresses(data, name, memory_bytes, fields, start))


def load_by_addresses(
    data: bytes, name: str, memory_bytes: int, fields: Addresses, start: int
) -> tuple[tuple[Segment], EntryState, tuple[SymbolFile, ...], tuple[str, ...]]:
    """The kernel whose load_addr stands at `start` in the file: segment, entry, symbols and notes."""
    load_end = fields.load_end or fields.load + len(data) - start
    bss_end = fields.bss_end or load_end
    for wrong, what in (
        (fields.load > fields.header, f"load_addr {fields.load:#x} is above header_addr {fields.header:#x}"),
        (start < 0, f"load_addr {fields.load:#x} stands {-start} bytes before the file begins"),
        (load_end <= fields.load, f"load_end_addr {load_end:#x} is not above load_addr {fields.load:#x}"),
        (bss_end < load_end, f"bss_end_addr {bss_end:#x} is below load_end_addr {load_end:#x}"),
    ):
        if wrong:
            raise ImageError(name, Rule.MULTIBOOT_ADDRESSES, what)
    end = start + load_end - fields.load
    if end > len(data):
        what = f"truncated: load_end_addr is at file offset {end:#x}, the end of the file at {len(data):#x}"
        raise ImageError(name, Rule.TRUNCATED_SEGMENT, what)
    if not fields.load <= fields.entry < bss_end:
        what = f"entry_addr {fields.entry:#x} lies outside [{fields.load:#x}, {bss_end:#x})"
        raise ImageError(name, Rule.ENTRY, what)
    size = bss_end - fields.load
    check_placement(name, [Span(fields.load, size, "kernel")], memory_bytes)
    segment = Segment(PhysicalAddress(fields.load), data[start:end], size, "kernel")
    symbols, notes = _symbols_beside_addresses(data, name)
    return (segment,), protected_entry(fields.entry), symbols, notes


def _symbols_beside_addresses(data: bytes, name: str) -> tuple[tuple[SymbolFile, ...], tuple[str, ...]]:
    if not is_elf(data):
        return (), ()
    note = "loaded by the address fields of its multiboot header, not by its ELF headers"
    try:
        symbols, damage = symbols_of(parse_elf(data, name))
    except ImageError as error:
        return (), (note, f"no symbols: {error}")
    return symbols, (note, *damage)
