"""The real-mode interrupt vectors that firmware leaves at 0, each to an IRET of its own.

There are no BIOS services behind them. So that a guest which calls one learns it, the machine stops where
such an IRET would begin (`cpu.bios_calls`), but for those vectors that a BIOS itself gives a mere IRET.
"""

import struct
from typing import Final

from emulator.firmware.layout import STUBS, STUBS_SEGMENT

VECTORS: Final = 256
IRET: Final = 0xCF
# mov al, 6; mov dx, 0xcf9; out dx, al; hlt: a hard reset by the chipset
RESET: Final = bytes((0xB0, 0x06, 0xBA, 0xF9, 0x0C, 0xEE, 0xF4))

MERE_IRET: Final = frozenset({0x01, 0x03, 0x04, 0x1B, 0x1C, 0x4A})
"""Single step, breakpoint, overflow, Ctrl-Break, timer tick, alarm: for programs to take over."""


def vector_table() -> bytes:
    """The 1 KB from address 0: offset and segment of each vector's IRET."""
    first = STUBS - (STUBS_SEGMENT << 4)
    return b"".join(struct.pack("<HH", first + vector, STUBS_SEGMENT) for vector in range(VECTORS))


def stubs() -> bytes:
    """What they lead to."""
    return bytes((IRET,)) * VECTORS


def reset_code() -> bytes:
    """What stands at FFFF:0000, where real-mode programs jump to start the machine anew."""
    return RESET
