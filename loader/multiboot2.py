"""Kernels with a multiboot 2 header (Multiboot2 Specification 2.0, chapter 3.1).

::

    header: 8-aligned, wholly in the first 32768 bytes of the file
       0  magic 0xe85250d6             tags, each 8-aligned: type, flags (bit 0: optional), size, fields
       4  architecture (0: i386)          1  information request: every kind in the specification is known
       8  header_length                   2  addresses: replace the ELF headers, need tag 3
      12  checksum (the sum is 0)         3  entry address: replaces e_entry
      16  tags -------------------------> 4  console flags: EGA text is what there is
                                          5  framebuffer: there is none, so it must be optional
                                          6  modules on page boundaries (they always are)
                                        7-9  EFI: without meaning where no EFI runs
                                         10  relocatable: addresses between which the kernel may go
                                          0  the end

A relocatable kernel stays where it was linked if that is allowed and in memory, else it goes to the
lowest or highest place that is, as it prefers, above 1 MiB. With the address tag it stays.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from loader.elf import ElfFile, is_elf, parse_elf, physical_entry, place_elf, protected_entry
from loader.image import Contents, ImageError, Module, Rule
from loader.multiboot import Addresses, load_by_addresses
from loader.multiboot2_info import information
from loader.multiboot_info import place_information
from loader.placement import ADDRESS_SPACE, HIGH_MEMORY
from loader.symbols import module_symbols, symbols_of

MAGIC: Final = 0xE85250D6
BOOTED_BY_MULTIBOOT2: Final = 0x36D76289  # in EAX
SEARCHED: Final = 32768
I386: Final = 0
HEADER: Final = struct.Struct("<IIII")
TAG: Final = struct.Struct("<HHI")
OPTIONAL: Final = 1 << 0

END, REQUEST, ADDRESS, ENTRY, CONSOLE, FRAMEBUFFER, MODULE_ALIGN = range(7)
EFI_BOOT_SERVICES, EFI_I386_ENTRY, EFI_AMD64_ENTRY, RELOCATABLE = range(7, 11)
TAG_NAMES: Final = (
    "end",
    "information request",
    "addresses",
    "entry address",
    "console flags",
    "framebuffer",
    "module alignment",
    "EFI boot services",
    "EFI i386 entry",
    "EFI amd64 entry",
    "relocatable",
)
WORDS: Final = {ADDRESS: 4, ENTRY: 1, CONSOLE: 1, FRAMEBUFFER: 3, RELOCATABLE: 4}  # after the tag's head
CONSOLE_REQUIRED, EGA_TEXT = 1 << 0, 1 << 1
LAST_REQUEST: Final = 21  # kinds of information in the specification
FROM_THE_START: Final = 0xFFFFFFFF  # as load_addr
HIGHEST: Final = 2  # preference


class Relocation(NamedTuple):
    """The fields of the relocatable tag."""

    low: int
    high: int
    alignment: int
    preference: int


@dataclass(frozen=True, slots=True)
class Header:
    """A multiboot 2 header whose checksum is right: its place in the file, and its tags' fields."""

    offset: int
    architecture: int
    length: int
    tags: dict[int, tuple[int, ...]] = field(default_factory=dict)


def find_header2(data: bytes) -> Header | None:
    """The first multiboot 2 header of a file, if it has one; its tags are not looked at."""
    for offset in _magic_offsets(data):
        magic, architecture, length, checksum = HEADER.unpack_from(data, offset)
        if (magic + architecture + length + checksum) & 0xFFFFFFFF == 0:
            return Header(offset, architecture, length)
    return None


def bad_checksum2(data: bytes) -> str:
    """What to say of a file that has the magic number but no valid header; else nothing."""
    offset = next(iter(_magic_offsets(data)), None)
    return "" if offset is None else f"the multiboot 2 header at {offset:#x} has a wrong checksum"


def _magic_offsets(data: bytes) -> list[int]:
    end = min(len(data), SEARCHED) - HEADER.size + 1
    return [at for at in range(0, end, 8) if data[at : at + 4] == MAGIC.to_bytes(4, "little")]


def load_multiboot2(
    data: bytes,
    name: str,
    memory_bytes: int,
    command_line: str,
    modules: Sequence[Module],
    rsdp: bytes = b"",
) -> Contents:
    """Place the kernel, its modules and the information; `rsdp` is a copy of ACPI's root pointer 1.0."""
    found = find_header2(data)
    if found is None:
        what = bad_checksum2(data) or f"no multiboot 2 header in the first {SEARCHED} bytes"
        raise ImageError(name, Rule.NO_MULTIBOOT_HEADER, what)
    if found.architecture != I386:
        what = f"the multiboot 2 header at {found.offset:#x} is for architecture {found.architecture}"
        raise ImageError(name, Rule.MULTIBOOT_ARCHITECTURE, what)
    header = replace(found, tags=_tags(data, name, found))
    place = _by_addresses if ADDRESS in header.tags else _by_elf
    kernel, base = place(data, name, memory_bytes, header)
    write = information(name, memory_bytes, command_line, modules, rsdp, base)
    placed = place_information(name, kernel.segments, memory_bytes, modules, write)
    found_in_modules = [module_symbols(module) for module in modules]
    return Contents(
        format="multiboot2",
        segments=(*kernel.segments, *placed.segments),
        entry=protected_entry(kernel.entry.eip, eax=BOOTED_BY_MULTIBOOT2, ebx=placed.address),
        symbols=kernel.symbols + tuple(file for files, _ in found_in_modules for file in files),
        notes=kernel.notes + tuple(note for _, notes in found_in_modules for note in notes),
        facts=(("multiboot 2 tags", ", ".join(_name(tag) for tag in header.tags) or "none"),),
    )


def _name(tag: int) -> str:
    return TAG_NAMES[tag] if tag < len(TAG_NAMES) else f"tag {tag}"


def _tags(data: bytes, name: str, header: Header) -> dict[int, tuple[int, ...]]:
    """The fields of every tag, as words; the last of a kind counts."""
    at, end = header.offset + HEADER.size, header.offset + header.length
    if header.length < HEADER.size or end > min(len(data), SEARCHED):
        what = f"the multiboot 2 header at {header.offset:#x} has a header_length of {header.length:#x}"
        raise ImageError(name, Rule.MULTIBOOT_TAGS, what)
    tags: dict[int, tuple[int, ...]] = {}
    while True:
        if at + TAG.size > end:
            what = f"the multiboot 2 header at {header.offset:#x} ends without an end tag"
            raise ImageError(name, Rule.MULTIBOOT_TAGS, what)
        tag, flags, size = TAG.unpack_from(data, at)
        if tag == END:
            return tags
        words = (size - TAG.size) // 4
        if size < TAG.size or at + size > end or words < WORDS.get(tag, 0):
            what = f"multiboot 2 tag {_name(tag)} at {at:#x} has {size:#x} bytes, the header ends at {end:#x}"
            raise ImageError(name, Rule.MULTIBOOT_TAGS, what)
        fields = struct.unpack_from(f"<{words}I", data, at + TAG.size)
        if not flags & OPTIONAL:
            _check_required(name, tag, fields, at)
        tags[tag] = fields
        at += (size + 7) & -8


def _check_required(name: str, tag: int, fields: tuple[int, ...], at: int) -> None:
    what = ""
    if tag >= len(TAG_NAMES):
        what = f"tag {tag}, which nobody defined"
    elif tag == REQUEST and (unknown := [kind for kind in fields if not 0 < kind <= LAST_REQUEST]):
        what = f"information {', '.join(map(str, unknown))}, which nobody defined"
    elif tag == FRAMEBUFFER:
        what = "a framebuffer; there is none"
    elif tag == CONSOLE and fields[0] & CONSOLE_REQUIRED and not fields[0] & EGA_TEXT:
        what = "a console that is not EGA text; there is none"
    if what:
        raise ImageError(name, Rule.MULTIBOOT_FLAGS, f"requires {what} (multiboot 2 tag at {at:#x})")


def _by_addresses(data: bytes, name: str, memory_bytes: int, header: Header) -> tuple[Contents, int | None]:
    if ENTRY not in header.tags:
        what = "an address tag without an entry address tag"
        raise ImageError(name, Rule.MULTIBOOT_ADDRESSES, what)
    at, load, load_end, bss_end = header.tags[ADDRESS][:4]
    start = header.offset - (at - load)
    if load == FROM_THE_START:
        start, load = 0, at - header.offset
    if load < 0:
        what = f"header_addr {at:#x} is below the header's offset in the file, {header.offset:#x}"
        raise ImageError(name, Rule.MULTIBOOT_ADDRESSES, what)
    fields = Addresses(at, load, load_end, bss_end, header.tags[ENTRY][0])
    placed = load_by_addresses(data, name, memory_bytes, fields, start)
    return Contents("multiboot2", *placed), load if RELOCATABLE in header.tags else None


def _by_elf(data: bytes, name: str, memory_bytes: int, header: Header) -> tuple[Contents, int | None]:
    if not is_elf(data):
        what = f"neither an ELF file nor an address tag in the multiboot 2 header at {header.offset:#x}"
        raise ImageError(name, Rule.NOT_ELF, what)
    elf = parse_elf(data, name)
    symbols, notes = symbols_of(elf)
    converted: tuple[str, ...] = ()
    if ENTRY in header.tags:
        entry = header.tags[ENTRY][0]
        if not any(s.physical <= entry < s.physical + s.memory_size for s in elf.segments):
            raise ImageError(name, Rule.ENTRY, f"entry address {entry:#x} (tag 3) lies outside every segment")
    else:
        entry, converted = physical_entry(elf)
    base = None
    if RELOCATABLE in header.tags:
        relocation = Relocation._make(header.tags[RELOCATABLE][:4])
        linked = min(s.physical for s in elf.segments if s.memory_size)
        base = _base(elf, memory_bytes, relocation, linked)
        entry += base - linked
        moved = (replace(s, physical=s.physical + base - linked) for s in elf.segments)
        elf = replace(elf, segments=tuple(moved))
        if base != linked:
            converted += (f"linked at {linked:#x}, loaded at {base:#x}: the kernel is relocatable",)
    segments = place_elf(elf, memory_bytes)
    return Contents("multiboot2", segments, protected_entry(entry), symbols, converted + notes), base


def _base(elf: ElfFile, memory_bytes: int, relocation: Relocation, linked: int) -> int:
    """Where the lowest byte of a relocatable kernel goes."""
    size = max(s.physical + s.memory_size for s in elf.segments if s.memory_size) - linked
    memory = min(memory_bytes, ADDRESS_SPACE)
    alignment = relocation.alignment or 1
    if alignment.bit_count() != 1:
        what = f"the alignment {alignment:#x} of the relocatable tag is not a power of two"
        raise ImageError(elf.name, Rule.MULTIBOOT_TAGS, what)
    high = min(memory, relocation.high) - size
    if relocation.low <= linked <= high and linked % alignment == 0:
        return linked
    lowest = (max(relocation.low, HIGH_MEMORY) + alignment - 1) & -alignment
    if lowest > high:
        what = (
            f"a relocatable kernel of {size:#x} bytes does not fit between "
            f"{max(relocation.low, HIGH_MEMORY):#x} and {min(memory, relocation.high):#x}"
        )
        raise ImageError(elf.name, Rule.NO_ROOM, what)
    return high & -alignment if relocation.preference == HIGHEST else lowest
