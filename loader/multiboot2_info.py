"""What a multiboot 2 kernel is told (Multiboot2 Specification 2.0, chapter 3.6).

::

    +0   total_size, 0
    +8   tags, each 8-aligned: type, size, fields
           1  command line, NUL                       6  memory map: entry_size 24, version 0,
           2  boot loader's name, NUL                    entries: base, length, type, 0
           3  module: start, end, string, NUL        14  copy of ACPI's RSDP 1.0, if there is one
           4  KiB below 640 K and above 1 MiB        21  base address of a relocatable kernel
           0  the end

It lies, and modules lie, where those of multiboot 1 do (see multiboot_info.py); the command line
is the text given to the emulator and nothing else.
"""

import struct
from collections.abc import Sequence
from typing import Final

from loader.e820 import lower_kib, memory_map, upper_kib
from loader.image import Module
from loader.multiboot_info import BOOT_LOADER, Writer
from loader.strings import encode

TAG: Final = struct.Struct("<II")
MAP_HEAD: Final = struct.Struct("<II")
MAP_ENTRY: Final = struct.Struct("<QQII")

END, COMMAND_LINE, LOADER_NAME, MODULE, MEMORY, MEMORY_MAP = 0, 1, 2, 3, 4, 6
OLD_RSDP, LOAD_BASE = 14, 21


def information(
    file: str, memory_bytes: int, command_line: str, modules: Sequence[Module], rsdp: bytes, base: int | None
) -> Writer:
    """Writes the tags, once it is known where the modules lie; it does not matter where the tags do."""
    line = encode(file, "the command line", command_line)
    strings = [encode(m.name, "the string of a module", m.string) for m in modules]
    ranges = memory_map(memory_bytes)
    mapped = b"".join(MAP_ENTRY.pack(start, end - start, kind, 0) for start, end, kind in ranges)

    def write(_address: int, placed: Sequence[tuple[int, int]]) -> bytes:
        tags = [_tag(COMMAND_LINE, line), _tag(LOADER_NAME, BOOT_LOADER)]
        for (start, end), string in zip(placed, strings, strict=True):
            tags.append(_tag(MODULE, struct.pack("<II", start, end) + string))
        tags.append(_tag(MEMORY, struct.pack("<II", lower_kib(memory_bytes), upper_kib(memory_bytes))))
        tags.append(_tag(MEMORY_MAP, MAP_HEAD.pack(MAP_ENTRY.size, 0) + mapped))
        if rsdp:
            tags.append(_tag(OLD_RSDP, rsdp))
        if base is not None:
            tags.append(_tag(LOAD_BASE, struct.pack("<I", base)))
        tags.append(_tag(END, b""))
        body = b"".join(tags)
        return struct.pack("<II", 8 + len(body), 0) + body

    return write


def _tag(kind: int, fields: bytes) -> bytes:
    """The size does not count the zeros that align the next tag."""
    data = TAG.pack(kind, TAG.size + len(fields)) + fields
    return data + bytes(-len(data) % 8)
