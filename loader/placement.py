"""Where things may lie in the physical memory of a PC.

::

    4 GiB  +------------------------------+
           |  devices                     |
    memory +------------------------------+  the size of the machine's memory
           |  RAM                         |
    1 MiB  +------------------------------+  0x100000
           |  BIOS and ACPI: reserved     |
           +------------------------------+  0x0e0000
           |  no RAM: VGA, option ROMs    |  nothing can be loaded in
    640 KiB+------------------------------+  0x0a0000 .. 0x100000
           |  EBDA: reserved, but RAM     |
           +------------------------------+  0x09fc00
           |  RAM                         |
         0 +------------------------------+
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from loader.image import ImageError, Rule

PAGE: Final = 0x1000
EBDA: Final = 0x9FC00
HOLE: Final = 0xA0000
BIOS: Final = 0xE0000
HIGH_MEMORY: Final = 0x100000
ADDRESS_SPACE: Final = 1 << 32


class Span(NamedTuple):
    """A piece of physical memory that is taken."""

    start: int
    size: int
    name: str

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.start + self.size

    def __str__(self) -> str:
        return f"{self.name} [{self.start:#x}, {self.end:#x})"


def page_up(address: int) -> int:
    """The first page boundary that is not below the address."""
    return (address + PAGE - 1) & -PAGE


def check_placement(file: str, spans: Iterable[Span], memory_bytes: int) -> None:
    """Refuse spans that leave the RAM or overlap; a span of no size lies nowhere."""
    taken = sorted(span for span in spans if span.size)
    for span in taken:
        if span.end > min(memory_bytes, ADDRESS_SPACE):
            what = f"{span} ends beyond the {memory_bytes:#x} bytes of memory"
            raise ImageError(file, Rule.OUTSIDE_MEMORY, what)
        if span.start < HIGH_MEMORY and span.end > HOLE:
            what = f"{span} reaches into [{HOLE:#x}, {HIGH_MEMORY:#x}), where a PC has no RAM"
            raise ImageError(file, Rule.OUTSIDE_MEMORY, what)
    for below, above in pairwise(taken):
        if above.start < below.end:
            raise ImageError(file, Rule.OVERLAP, f"{below} and {above} overlap")


def first_fit(taken: Sequence[Span], size: int, low: int, high: int) -> int | None:
    """The lowest page in [low, high) from which `size` bytes are free, or None."""
    candidate = page_up(low)
    for span in sorted(taken):
        if span.start < candidate + size and candidate < span.end:
            candidate = page_up(span.end)
    return candidate if candidate + size <= high else None


def last_fit(size: int, low: int, high: int) -> int | None:
    """The highest page in [low, high) that `size` bytes fit behind, or None."""
    candidate = (high - size) & -PAGE
    return candidate if candidate >= low else None
