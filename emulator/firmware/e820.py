"""The physical memory map (ACPI 2.0, 15 "System address map interfaces"; INT 15h, AX=E820h)."""

from enum import IntEnum
from typing import NamedTuple

from emulator.firmware.layout import EBDA, IOAPIC_BASE, LAPIC_BASE, MEGABYTE, ROM


class MemoryType(IntEnum):
    """The types of ranges; ranges that are not listed are free for devices."""

    RAM = 1
    RESERVED = 2
    ACPI_RECLAIM = 3
    ACPI_NVS = 4


class E820Entry(NamedTuple):
    """One range of the map."""

    base: int
    length: int
    type: MemoryType

    @property
    def end(self) -> int:
        """The address after it."""
        return self.base + self.length

    def pack(self) -> bytes:
        """20 bytes, as E820, boot_params.e820_table and (after a size) multiboot's mmap have them."""
        head = self.base.to_bytes(8, "little") + self.length.to_bytes(8, "little")
        return head + int(self.type).to_bytes(4, "little")


def e820_map(memory_bytes: int, *, apic: bool = True) -> list[E820Entry]:
    """The map of a machine with `memory_bytes` of RAM, in ascending order, without overlaps."""
    ranges = [
        (0, EBDA, MemoryType.RAM),
        (EBDA, 0xA0000, MemoryType.RESERVED),
        (ROM, MEGABYTE, MemoryType.RESERVED),
        (MEGABYTE, memory_bytes, MemoryType.RAM),
    ]
    if apic:
        ranges += [(base, base + 0x1000, MemoryType.RESERVED) for base in (IOAPIC_BASE, LAPIC_BASE)]
    return [E820Entry(start, end - start, kind) for start, end, kind in ranges if end > start]
