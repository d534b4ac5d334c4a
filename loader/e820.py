"""The memory map of a PC, as its BIOS would tell it by INT 15h, AX=E820h (ACPI 6.5, chapter 15).

::

    memory  +---------------+
            |  usable       |
    1 MiB   +---------------+
            |  reserved     |  BIOS, and what it tells of ACPI and the processors
    0xe0000 +---------------+
            |  (no entry)   |  VGA, option ROMs
    0xa0000 +---------------+
            |  reserved     |  EBDA
    0x9fc00 +---------------+
            |  usable       |
          0 +---------------+

Every format that tells a kernel its memory tells it this.
"""

from typing import Final, NamedTuple

from loader.placement import ADDRESS_SPACE, BIOS, EBDA, HIGH_MEMORY, HOLE

USABLE: Final = 1
RESERVED: Final = 2


class Range(NamedTuple):
    """The addresses from `start` up to `end`, and what they are."""

    start: int
    end: int
    kind: int


def memory_map(memory_bytes: int) -> list[Range]:
    """Every range that is not empty, by address."""
    end = min(memory_bytes, ADDRESS_SPACE)
    ranges = [
        Range(0, min(end, EBDA), USABLE),
        Range(EBDA, HOLE, RESERVED),
        Range(BIOS, HIGH_MEMORY, RESERVED),
        Range(HIGH_MEMORY, end, USABLE),
    ]
    return [r for r in ranges if r.start < r.end]


def lower_kib(memory_bytes: int) -> int:
    """KiB from 0 up to the EBDA, as INT 12h tells it."""
    return max(0, min(memory_bytes, EBDA)) // 1024


def upper_kib(memory_bytes: int) -> int:
    """KiB from 1 MiB up."""
    return max(0, min(memory_bytes, ADDRESS_SPACE) - HIGH_MEMORY) // 1024
