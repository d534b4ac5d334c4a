"""What the VGA's registers make of its memory: the text on the screen, and a picture of it.

CRTC start address --> row 0: code attribute code attribute ...     (RAM at B8000, 32 KB, wrapping)
     + 2 * offset  --> row 1
"""

from typing import Final, Protocol

from emulator.devices.vga import registers as r
from emulator.devices.vga.font import HEIGHT, WIDTH, glyph
from emulator.devices.vga.picture import png
from emulator.devices.vga.registers import VgaRegisters

WINDOWS: Final = ((0xA0000, 0x20000), (0xA0000, 0x10000), (0xB0000, 0x8000), (0xB8000, 0x8000))
TEXT_MEMORY: Final = 0xB8000
BLANK_CELL: Final = b"\x20\x07"

_LOW: Final = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
CODE_PAGE_437: Final = "".join(
    (_LOW, bytes(range(0x20, 0x7F)).decode(), "⌂", bytes(range(0x80, 0xFF)).decode("cp437"), " ")
)


class Readable(Protocol):
    """Physical memory."""

    def read(self, address: int, size: int) -> bytes:
        """Bytes at an address."""
        ...


class Writable(Protocol):
    """Physical memory."""

    def write(self, address: int, data: bytes) -> None:
        """Write bytes."""
        ...


def clear(ram: Writable) -> None:
    """An empty screen, as a BIOS leaves it."""
    ram.write(TEXT_MEMORY, BLANK_CELL * 0x4000)


class Vga(VgaRegisters):
    """The registers and the screen. The memory is passed in: it is RAM that nobody watches."""

    @property
    def is_text(self) -> bool:
        """Alphanumeric, not graphics."""
        return not self.graphics[r.MISCELLANEOUS] & r.ALPHANUMERIC_OFF

    def size(self) -> tuple[int, int]:
        """Columns and rows of text."""
        lines = self._lines()
        return self.crtc[r.HORIZONTAL_DISPLAY_END] + 1, max(1, lines // self._cell_height())

    def text(self, ram: Readable) -> list[str]:
        """The rows of the screen without their trailing blanks; nothing in a graphics mode."""
        if not self.is_text:
            return []
        return ["".join(CODE_PAGE_437[code] for code in row[::2]).rstrip() for row in self._cells(ram)]

    def cursor(self) -> tuple[int, int] | None:
        """Column and row of the cursor, None when it is off or not on the screen."""
        start, end = self.crtc[r.CURSOR_START], self.crtc[r.CURSOR_END] & 0x1F
        if start & r.CURSOR_OFF or start & 0x1F > end:
            return None
        at = (self.crtc[r.CURSOR_HIGH] << 8 | self.crtc[r.CURSOR_LOW]) - self._start()
        columns, rows = self.size()
        row, column = divmod(at, max(1, 2 * self.crtc[r.OFFSET]))
        return (column, row) if 0 <= row < rows and column < columns else None

    def screenshot(self, ram: Readable) -> bytes:
        """A PNG file of the screen: text modes, and modes with 256 colours and chained planes (mode 13).

        Planes are not modelled, so the screen of any other graphics mode is black. What blinks is shown.
        """
        palette = b"".join(bytes((value << 2 | value >> 4,)) for value in self.dac)
        if self.is_text:
            rows = self._draw_text(ram)
        elif self.sequencer[r.MEMORY_MODE] & r.CHAIN_4 and self.graphics[r.GRAPHICS_MODE] & r.COLOURS_256:
            rows = self._draw_256(ram)
        else:
            width = 8 * (self.crtc[r.HORIZONTAL_DISPLAY_END] + 1)
            palette, rows = bytes(3), [bytes(width)] * self._lines()
        return png(len(rows[0]), len(rows), palette, rows)

    # --- geometry ---

    def _lines(self) -> int:
        """Scan lines shown: bits 8 and 9 of the vertical display end are in the overflow register."""
        overflow = self.crtc[r.OVERFLOW]
        lines = (self.crtc[r.VERTICAL_DISPLAY_END] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1
        return lines // 2 if self.crtc[r.MAXIMUM_SCAN_LINE] & 0x80 else lines

    def _cell_height(self) -> int:
        return (self.crtc[r.MAXIMUM_SCAN_LINE] & 0x1F) + 1

    def _start(self) -> int:
        return self.crtc[r.START_HIGH] << 8 | self.crtc[r.START_LOW]

    def _window(self, ram: Readable) -> bytes:
        base, size = WINDOWS[(self.graphics[r.MISCELLANEOUS] & r.MEMORY_MAP) >> 2]
        return ram.read(base, size)

    def _cells(self, ram: Readable) -> list[bytes]:
        """Code and attribute of each cell, by rows."""
        columns, rows = self.size()
        window = self._window(ram)
        stride = 4 * self.crtc[r.OFFSET]
        cells = []
        for row in range(rows):
            at = (2 * self._start() + row * stride) % len(window)
            cells.append((window[at:] + window)[: 2 * columns])
        return cells

    # --- pictures ---

    def _colour(self, attribute: int) -> int:
        """The DAC's entry for one of the 16 colours ("Attribute controller registers")."""
        entry = self.attribute[attribute & self.attribute[r.COLOUR_PLANE_ENABLE] & 0x0F] & 0x3F
        select = self.attribute[r.COLOUR_SELECT]
        if self.attribute[r.MODE_CONTROL] & r.PALETTE_54:
            entry = entry & 0x0F | (select & 3) << 4
        return (entry | (select & 0x0C) << 4) & self.dac_mask

    def _draw_text(self, ram: Readable) -> list[bytes]:
        colours = [self._colour(i) for i in range(16)]
        height = self._cell_height()
        cursor = self.cursor()
        drawn: dict[tuple[int, int, int], list[bytes]] = {}
        picture = []
        for y, cells in enumerate(self._cells(ram)):
            row = []
            for x in range(len(cells) // 2):
                key = (cells[2 * x], cells[2 * x + 1], (x, y) == cursor)
                if key not in drawn:
                    drawn[key] = self._draw_cell(*key, height, colours)
                row.append(drawn[key])
            picture += [b"".join(cell[line] for cell in row) for line in range(height)]
        return picture

    def _draw_cell(
        self, code: int, attribute: int, cursor: int, height: int, colours: list[int]
    ) -> list[bytes]:
        mode = self.attribute[r.MODE_CONTROL]
        ink = colours[attribute & 0x0F]
        paper = colours[attribute >> 4 & (0x07 if mode & r.BLINK else 0x0F)]
        nine = not self.sequencer[r.CLOCKING_MODE] & r.EIGHT_DOTS
        joined = mode & r.LINE_GRAPHICS and 0xC0 <= code <= 0xDF
        first, last = self.crtc[r.CURSOR_START] & 0x1F, self.crtc[r.CURSOR_END] & 0x1F
        rows = []
        for line, bits in enumerate(glyph(code)[i * HEIGHT // height] for i in range(height)):
            dots = bits << 1 | (bits & 1 if joined else 0) if nine else bits
            width = WIDTH + nine
            if cursor and first <= line <= last:
                dots = (1 << width) - 1
            rows.append(bytes(ink if dots >> i & 1 else paper for i in reversed(range(width))))
        return rows

    def _draw_256(self, ram: Readable) -> list[bytes]:
        window = self._window(ram)
        width = 4 * (self.crtc[r.HORIZONTAL_DISPLAY_END] + 1)
        stride, start = 8 * self.crtc[r.OFFSET], 4 * self._start()
        mask = bytes(i & self.dac_mask for i in range(256))
        rows = []
        for y in range(self._lines() // self._cell_height()):
            at = (start + y * stride) % len(window)
            rows.append((window[at : at + width] + window)[:width].translate(mask))
        return rows
