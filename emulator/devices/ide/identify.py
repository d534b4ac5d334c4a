"""What a drive says of itself: the 256 words of IDENTIFY DEVICE (ATA/ATAPI-4, 8.12)."""

from array import array
from dataclasses import dataclass
from typing import Final

MODEL: Final = "RINGTOLL DISK"
FIRMWARE: Final = "1"
MOST_PER_BLOCK: Final = 16
WRITE_CACHE: Final = 1 << 5
LOOK_AHEAD: Final = 1 << 6


@dataclass(frozen=True, slots=True)
class Geometry:
    """A CHS translation."""

    cylinders: int
    heads: int
    sectors: int

    @property
    def capacity(self) -> int:
        """Sectors that it reaches."""
        return self.cylinders * self.heads * self.sectors


def default_geometry(sectors: int) -> Geometry:
    """The translation at power-on: never beyond the disk, and not beyond 16383/16/63 (annex B)."""
    heads = 16 if sectors >= 16 * 63 else 1
    per_track = min(63, sectors)
    return Geometry(min(16383, sectors // (heads * per_track)), heads, per_track)


def translation(sectors: int, heads: int, per_track: int) -> Geometry:
    """The translation after INITIALIZE DEVICE PARAMETERS."""
    return Geometry(min(65535, sectors // (heads * per_track)), heads, per_track)


def identify(sectors: int, current: Geometry, multiple: int, enabled: int, serial: str) -> bytes:
    """The data block. Word 49 offers LBA and no DMA; words 85 to 87 say what is `enabled`."""
    default = default_geometry(sectors)
    capacity = current.capacity
    words = {
        0: 0x0040,  # fixed
        1: default.cylinders,
        3: default.heads,
        6: default.sectors,
        20: 3,  # buffer: dual ported, with read caching
        21: MOST_PER_BLOCK,
        22: 4,
        47: 0x8000 | MOST_PER_BLOCK,
        48: 0x0001,  # 32-bit transfers (ATA-1)
        49: 0x2000 | 0x0800 | 0x0400 | 0x0200,  # standard standby timers, IORDY, LBA
        50: 0x4000,
        51: 2 << 8,  # PIO mode 2
        53: 0x0003,
        54: current.cylinders,
        55: current.heads,
        56: current.sectors,
        57: capacity & 0xFFFF,
        58: capacity >> 16,
        59: 0x0100 | multiple if multiple else 0,
        60: sectors & 0xFFFF,
        61: sectors >> 16,
        64: 0x0003,  # PIO modes 3 and 4
        67: 120,
        68: 120,
        80: 0x001E,  # ATA-1 to ATA/ATAPI-4
        82: 0x7000 | LOOK_AHEAD | WRITE_CACHE | 0x0008,  # NOP, READ and WRITE BUFFER, power management
        83: 0x4000,
        84: 0x4000,
        85: 0x7000 | enabled | 0x0008,
        86: 0,
        87: 0x4000,
    }
    block = array("H", [0] * 256)
    for number, value in words.items():
        block[number] = value
    for first, length, text in ((10, 10, serial), (23, 4, FIRMWARE), (27, 20, MODEL)):
        padded = text.ljust(2 * length).encode("ascii")
        for i in range(length):
            block[first + i] = padded[2 * i] << 8 | padded[2 * i + 1]
    data = b"".join(word.to_bytes(2, "little") for word in block[:255]) + b"\xa5"
    return data + bytes((-sum(data) & 0xFF,))  # integrity word (ATA/ATAPI-5)
