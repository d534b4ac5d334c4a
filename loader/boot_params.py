"""What a 32-bit Linux is given (Linux's Documentation/arch/x86/boot.rst and zero-page.rst), and where.

::

    memory  +-----------------------+
            |  initrd               |  on the highest page that it fits behind, below memory's end and
            +-----------------------+  the kernel's initrd_addr_max, above what the kernel takes
            |  kernel               |
    1 MiB   +-----------------------+
    0x9fc00 +-----------------------+
            |  command line         |
    0x9e000 +-----------------------+  the places of a PC's boot loader (boot.rst, "sample boot
    0x91020 +-----------------------+  configuration"); they are right for every version of the protocol
            |  GDT, 4 descriptors   |
    0x91000 +-----------------------+
            |  boot_params, a page  |  <- ESI
    0x90000 +-----------------------+

    boot_params
    0x000  screen_info: 80 x 25 text, colour, VGA mode 3      0x1e8  number of E820 entries
    0x020  a33f, offset of the command line: before 2.02      0x1f1  setup header, from the kernel
    0x1e0  alt_mem_k: KiB above 1 MiB                         0x2d0  E820 entries of 20 bytes

No BIOS and no real-mode code ran: of what they would have found out, the rest is 0.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from loader.e820 import memory_map, upper_kib
from loader.image import EntryState, ImageError, Initrd, PhysicalAddress, Rule, Segment
from loader.placement import ADDRESS_SPACE, EBDA, PAGE, Span, check_placement, last_fit
from loader.strings import encode

BOOT_PARAMS: Final = 0x90000
GDT: Final = 0x91000
COMMAND_LINE: Final = 0x9E000
HEAP_END: Final = COMMAND_LINE - BOOT_PARAMS - 0x200
CODE_SELECTOR: Final = 0x10  # __BOOT_CS
DATA_SELECTOR: Final = 0x18  # __BOOT_DS
DESCRIPTORS: Final = (0, 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF)  # 4 GiB, accessed as when loaded

SETUP_HEADER: Final = 0x1F1
SETUP_HEADER_END: Final = 0x290
LOADED_HIGH, CAN_USE_HEAP = 1 << 0, 1 << 7
UNDEFINED_LOADER: Final = 0xFF
OLD_COMMAND_LINE: Final = 0xA33F
VERSION_2_01, VERSION_2_02 = 0x201, 0x202

TEXT_MODE, COLUMNS, LINES, POINTS = 3, 80, 25, 16
EGA_256_KIB_COLOUR: Final = 3  # BX of INT 10h, AH=12h, BL=10h
IS_VGA: Final = 1


class Field(NamedTuple):
    """Where a field of boot_params lies, and its format."""

    offset: int
    format: str


EXT_MEM_K: Final = Field(0x002, "<H")
VIDEO_MODE: Final = Field(0x006, "<BB")  # and columns
EGA_BX: Final = Field(0x00A, "<H")
VIDEO_LINES: Final = Field(0x00E, "<BBH")  # and is-VGA, points
OLD_LINE: Final = Field(0x020, "<HH")
ALT_MEM_K: Final = Field(0x1E0, "<I")
E820_ENTRIES: Final = Field(0x1E8, "<B")
TYPE_OF_LOADER: Final = Field(0x210, "<B")
LOADFLAGS: Final = Field(0x211, "<B")
CODE32_START: Final = Field(0x214, "<I")
RAMDISK: Final = Field(0x218, "<II")  # image, size
HEAP_END_PTR: Final = Field(0x224, "<H")
CMD_LINE_PTR: Final = Field(0x228, "<I")
E820_TABLE: Final = 0x2D0
E820_ENTRY: Final = struct.Struct("<QQI")


@dataclass(frozen=True, slots=True)
class Kernel:
    """What must be known of a kernel in order to start it."""

    segments: tuple[Segment, ...]
    entry: int
    end: int  # of all that it takes, segments and more
    header: bytes  # the setup header, for boot_params
    version: int
    loadflags: int
    longest_line: int
    initrd_max: int  # the last address that an initrd may take


def start_linux(
    name: str, kernel: Kernel, memory_bytes: int, command_line: str, initrd: Initrd | None
) -> tuple[tuple[Segment, ...], EntryState]:
    """Place all that the kernel is given; the segments, the kernel's own first, and how it starts."""
    line = encode(name, "the command line", command_line)
    if len(line) - 1 > kernel.longest_line:
        what = f"the command line has {len(line) - 1} bytes, this kernel takes {kernel.longest_line}"
        raise ImageError(name, Rule.COMMAND_LINE, what)
    if COMMAND_LINE + len(line) > EBDA:
        what = f"a command line of {len(line)} bytes leaves [{COMMAND_LINE:#x}, {EBDA:#x})"
        raise ImageError(name, Rule.NO_ROOM, what)
    disk = () if initrd is None else (_place_initrd(name, kernel, memory_bytes, initrd),)
    table = struct.pack(f"<{len(DESCRIPTORS)}Q", *DESCRIPTORS)
    params = _boot_params(kernel, memory_bytes, disk)
    segments = (
        *kernel.segments,
        *(
            Segment(PhysicalAddress(address), data, len(data), what)
            for address, data, what in (
                (BOOT_PARAMS, params, "boot_params"),
                (GDT, table, "GDT"),
                (COMMAND_LINE, line, "command line"),
            )
        ),
        *disk,
    )
    check_placement(name, [Span(s.address, s.memory_size, s.name) for s in segments], memory_bytes)
    entry = EntryState(
        mode="protected32",
        eip=kernel.entry,
        cs=CODE_SELECTOR,
        registers={"esi": BOOT_PARAMS, "ebx": 0, "ebp": 0, "edi": 0},
        ds=DATA_SELECTOR,
        gdt=(GDT, len(table) - 1),
    )
    return segments, entry


def _place_initrd(name: str, kernel: Kernel, memory_bytes: int, initrd: Initrd) -> Segment:
    size = len(initrd.data)
    end = min(memory_bytes, ADDRESS_SPACE, kernel.initrd_max + 1)
    address = last_fit(size, kernel.end, end)
    if address is None:
        what = (
            f"initrd {initrd.name} of {size:#x} bytes does not fit between the kernel's end at "
            f"{kernel.end:#x} and {end:#x}"
        )
        raise ImageError(name, Rule.NO_ROOM, what)
    return Segment(PhysicalAddress(address), initrd.data, size, f"initrd {initrd.name}")


def _boot_params(kernel: Kernel, memory_bytes: int, disk: Sequence[Segment]) -> bytes:
    page = bytearray(PAGE)
    header = kernel.header[: SETUP_HEADER_END - SETUP_HEADER]
    page[SETUP_HEADER : SETUP_HEADER + len(header)] = header

    def put(field: Field, *values: int) -> None:
        struct.pack_into(field.format, page, field.offset, *values)

    heap = CAN_USE_HEAP if kernel.version >= VERSION_2_01 else 0
    put(TYPE_OF_LOADER, UNDEFINED_LOADER)
    put(LOADFLAGS, kernel.loadflags | LOADED_HIGH | heap)
    put(CODE32_START, kernel.entry)
    put(RAMDISK, *((disk[0].address, disk[0].memory_size) if disk else (0, 0)))
    if heap:
        put(HEAP_END_PTR, HEAP_END)
    if kernel.version >= VERSION_2_02:
        put(CMD_LINE_PTR, COMMAND_LINE)
    else:
        put(OLD_LINE, OLD_COMMAND_LINE, COMMAND_LINE - BOOT_PARAMS)

    put(VIDEO_MODE, TEXT_MODE, COLUMNS)
    put(EGA_BX, EGA_256_KIB_COLOUR)
    put(VIDEO_LINES, LINES, IS_VGA, POINTS)
    put(EXT_MEM_K, min(upper_kib(memory_bytes), 0xFFFF))
    put(ALT_MEM_K, upper_kib(memory_bytes))
    ranges = memory_map(memory_bytes)
    put(E820_ENTRIES, len(ranges))
    for at, (start, end, kind) in enumerate(ranges):
        E820_ENTRY.pack_into(page, E820_TABLE + at * E820_ENTRY.size, start, end - start, kind)
    return bytes(page)
