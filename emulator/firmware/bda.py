"""The BIOS data area at 0x400 and the extended one (IBM PS/2 BIOS interface technical reference)."""

from typing import Final

from emulator.firmware.layout import BASE_KB, BDA, EBDA, EBDA_SIZE, FEATURE_FPU

SIZE: Final = 0x100
COM1: Final = 0x3F8
CRTC: Final = 0x3D4

EQUIPMENT_FPU: Final = 1 << 1
EQUIPMENT_COLOR_80: Final = 2 << 4
EQUIPMENT_ONE_SERIAL: Final = 1 << 9


def bios_data_area(features: int) -> bytes:
    """The first 256 bytes from 0x400: one serial port, 639 KB, 80x25 colour text, an enhanced keyboard."""
    data = bytearray(SIZE)

    def put(address: int, value: int, size: int) -> None:
        data[address - BDA : address - BDA + size] = value.to_bytes(size, "little")

    equipment = EQUIPMENT_COLOR_80 | EQUIPMENT_ONE_SERIAL | (EQUIPMENT_FPU if features & FEATURE_FPU else 0)
    put(0x400, COM1, 2)
    put(0x40E, EBDA >> 4, 2)
    put(0x410, equipment, 2)
    put(0x413, BASE_KB, 2)
    put(0x41A, 0x1E, 2)  # keyboard buffer: head and tail, offsets from 0x400
    put(0x41C, 0x1E, 2)
    put(0x449, 3, 1)  # video mode
    put(0x44A, 80, 2)  # columns
    put(0x44C, 0x1000, 2)  # bytes of a page
    put(0x460, 0x0D0E, 2)  # cursor lines
    put(0x463, CRTC, 2)
    put(0x465, 0x29, 1)  # mode control register
    put(0x466, 0x30, 1)  # palette
    put(0x480, 0x1E, 2)  # keyboard buffer: start and end
    put(0x482, 0x3E, 2)
    put(0x484, 24, 1)  # rows - 1
    put(0x485, 16, 2)  # scan lines of a character
    put(0x487, 0x60, 1)  # EGA information: 256 KB
    put(0x496, 0x10, 1)  # a 101-key keyboard
    return bytes(data)


def extended_bios_data_area() -> bytes:
    """The EBDA: its size in KB, then nothing."""
    return bytes((EBDA_SIZE >> 10,)).ljust(EBDA_SIZE, b"\0")
