"""What a multiboot kernel is told (Multiboot Specification 0.6.96, chapter 3.3), and where it lies.

::

    +---------------------------+ <= size of memory
    | information, second choice|  page-aligned
    +---------------------------+
    | module n ... module 1     |  each page-aligned, in order, above everything of the kernel
    +---------------------------+ >= 0x100000
    | kernel with its bss       |
    +---------------------------+
    | information, first choice |  the first free page in [0x10000, 0x9fc00): a kernel that takes
    +---------------------------+  the memory behind its end and modules for its own spares it

    information, one block:
    +0    the structure   88 bytes (VBE and framebuffer fields are absent)
    +88   memory map      24 bytes an entry: size (20, does not count itself), base, length, type
          modules         16 bytes each: start, end, string, 0
          strings         command line, boot loader's name, one per module, each ending in NUL

The command line is the text given to the emulator and nothing else: no file name precedes it, so
that the guest's bytes do not depend on where its files lie.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loader.e820 import lower_kib, memory_map, upper_kib
from loader.image import ImageError, Module, PhysicalAddress, Rule, Segment
from loader.placement import ADDRESS_SPACE, EBDA, HIGH_MEMORY, Span, first_fit, page_up
from loader.strings import encode

# Makes the information from its own address and the start and end of every module.
Writer = Callable[[int, Sequence[tuple[int, int]]], bytes]

BOOTED_BY_MULTIBOOT: Final = 0x2BADB002  # in EAX
BOOT_LOADER: Final = b"Ringtoll\0"
LOW: Final = 0x10000

MEMORY, COMMAND_LINE, MODULES, MEMORY_MAP, LOADER_NAME = 1 << 0, 1 << 2, 1 << 3, 1 << 6, 1 << 9

# flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms (16 bytes), mmap_length,
# mmap_addr, drives_length, drives_addr, config_table, boot_loader_name, apm_table, VBE (16 bytes)
STRUCTURE: Final = struct.Struct("<7I16x7I16x")
MAP_ENTRY: Final = struct.Struct("<IQQI")
MODULE: Final = struct.Struct("<IIII")


@dataclass(frozen=True, slots=True)
class Placed:
    """The segments of modules and information, and the address for EBX."""

    segments: tuple[Segment, ...]
    address: int


def place_information(
    file: str, kernel: Sequence[Segment], memory_bytes: int, modules: Sequence[Module], write: Writer
) -> Placed:
    """Find room for the modules and for the information, of either version, that `write` makes."""
    memory = min(memory_bytes, ADDRESS_SPACE)
    taken = [Span(s.address, s.memory_size, s.name) for s in kernel]
    placed = _place_modules(file, max((s.end for s in taken), default=0), memory, modules)
    taken += [Span(s.address, s.memory_size, s.name) for s in placed]

    starts_and_ends = [(s.address, s.end) for s in placed]
    size = len(write(0, starts_and_ends))
    highest = max((s.end for s in taken), default=0)
    address = first_fit(taken, size, LOW, min(memory, EBDA))
    if address is None:
        address = first_fit(taken, size, max(highest, HIGH_MEMORY), memory)
    if address is None:
        what = f"no {size} bytes left for the multiboot information in {memory_bytes:#x} bytes of memory"
        raise ImageError(file, Rule.NO_ROOM, what)
    data = write(address, starts_and_ends)
    information = Segment(PhysicalAddress(address), data, size, "multiboot information")
    return Placed((*placed, information), address)


def _place_modules(file: str, kernel_end: int, memory: int, modules: Sequence[Module]) -> list[Segment]:
    address = page_up(max(kernel_end, HIGH_MEMORY))
    placed = []
    for module in modules:
        size = len(module.data)
        if address + size > memory:
            what = (
                f"module {module.name} of {size:#x} bytes does not fit between {address:#x} and {memory:#x}"
            )
            raise ImageError(file, Rule.NO_ROOM, what)
        placed.append(Segment(PhysicalAddress(address), module.data, size, f"module {module.name}"))
        address = page_up(address + max(size, 1))
    return placed


def information(file: str, memory_bytes: int, command_line: str, modules: Sequence[Module]) -> Writer:
    """Writes the structure of multiboot 1, once it is known where it and the modules lie."""
    line = encode(file, "the command line", command_line)
    strings = [encode(m.name, "the string of a module", m.string) for m in modules]
    return lambda address, placed: _information(address, memory_bytes, line, placed, strings)


def _information(
    address: int, memory_bytes: int, line: bytes, modules: Sequence[tuple[int, int]], strings: Sequence[bytes]
) -> bytes:
    ranges = memory_map(memory_bytes)
    map_address = address + STRUCTURE.size
    modules_address = map_address + len(ranges) * MAP_ENTRY.size
    line_address = modules_address + len(modules) * MODULE.size
    loader_address = line_address + len(line)
    string_address = loader_address + len(BOOT_LOADER)

    entries = []
    for (start, end), string in zip(modules, strings, strict=True):
        entries.append(MODULE.pack(start, end, string_address, 0))
        string_address += len(string)
    structure = STRUCTURE.pack(
        MEMORY | COMMAND_LINE | MEMORY_MAP | LOADER_NAME | (MODULES if modules else 0),
        lower_kib(memory_bytes),
        upper_kib(memory_bytes),
        0,
        line_address,
        len(modules),
        modules_address if modules else 0,
        len(ranges) * MAP_ENTRY.size,
        map_address,
        0,
        0,
        0,
        loader_address,
        0,
    )
    entry_size = MAP_ENTRY.size - 4
    mapped = [MAP_ENTRY.pack(entry_size, start, end - start, kind) for start, end, kind in ranges]
    return b"".join((structure, *mapped, *entries, line, BOOT_LOADER, *strings))
