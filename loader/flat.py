"""Files without headers: a PC boot sector, or raw 32-bit code at an address of one's choice.

::

    boot sector (PC BIOS convention, INT 19h)                   flat at ADDRESS
    0x7c00 +-------------------+ <- CS:IP = 0000:7c00      ADDRESS +-------+ <- EIP, protected mode
           | 510 bytes         |    DL = 0x80                      | file  |
    0x7dfe | 55 aa             |    real mode                      +-------+
    0x7e00 +-------------------+

A BIOS loads one sector: of a longer file with the signature, only the first 512 bytes. A file
without the signature that is asked for as a boot sector is loaded whole.
"""

from typing import Final

from loader.elf import protected_entry
from loader.image import Contents, EntryState, ImageError, PhysicalAddress, Rule, Segment
from loader.placement import ADDRESS_SPACE, Span, check_placement

SECTOR: Final = 512
SIGNATURE: Final = b"\x55\xaa"
SIGNATURE_OFFSET: Final = 510
BOOT_ADDRESS: Final = 0x7C00
FIRST_HARD_DISK: Final = 0x80


def is_boot_sector(data: bytes) -> bool:
    """Whether the signature 55 aa stands at offset 510."""
    return data[SIGNATURE_OFFSET:SECTOR] == SIGNATURE


def load_flat(data: bytes, name: str, memory_bytes: int, address: int | None) -> Contents:
    """A boot sector where no address is given, else 32-bit code that begins at the address."""
    if not data:
        raise ImageError(name, Rule.EMPTY, "the file is empty")
    if address is None:
        return _boot_sector(data, name, memory_bytes)
    if not 0 <= address < ADDRESS_SPACE:
        raise ImageError(name, Rule.REQUEST, f"{address:#x} is not a 32-bit address")
    segment = _segment(data, name, memory_bytes, address, "flat")
    return Contents("flat", (segment,), protected_entry(address))


def _boot_sector(data: bytes, name: str, memory_bytes: int) -> Contents:
    notes: tuple[str, ...] = ()
    if is_boot_sector(data) and len(data) > SECTOR:
        notes = (f"a boot sector: the first {SECTOR} of {len(data)} bytes are loaded, as a BIOS does",)
        data = data[:SECTOR]
    segment = _segment(data, name, memory_bytes, BOOT_ADDRESS, "boot sector")
    entry = EntryState(mode="real16", eip=BOOT_ADDRESS, cs=0, registers={"edx": FIRST_HARD_DISK})
    return Contents("flat", (segment,), entry, notes=notes)


def _segment(data: bytes, name: str, memory_bytes: int, address: int, what: str) -> Segment:
    check_placement(name, [Span(address, len(data), what)], memory_bytes)
    return Segment(PhysicalAddress(address), data, len(data), what)
