import zlib

import pytest
from board import Board

from emulator.devices.vga import Vga, clear
from emulator.devices.vga.font import glyph
from emulator.memory.ram import PhysicalMemory

TEXT = 0xB8000


class Screen:
    def __init__(self) -> None:
        self.vga = Vga(Board().clock)
        self.ram = PhysicalMemory(1 << 20)
        clear(self.ram)

    def put(self, cell: int, text: bytes, attribute: int = 0x07) -> None:
        self.ram.write(TEXT + 2 * cell, bytes(value for code in text for value in (code, attribute)))

    def crtc(self, **registers: int) -> None:
        for name, value in registers.items():
            index = int(name.removeprefix("r"), 16)
            self.vga.crtc[index] = value

    def picture(self) -> "Picture":
        return Picture(self.vga.screenshot(self.ram))


class Picture:
    """A PNG file, read the naive way."""

    def __init__(self, data: bytes) -> None:
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        chunks = {}
        at = 8
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            body = data[at + 4 : at + 8 + size]
            assert zlib.crc32(body) == int.from_bytes(data[at + 8 + size : at + 12 + size], "big")
            chunks[body[:4]] = body[4:]
            at += 12 + size
        assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
        self.width, self.height = (int.from_bytes(chunks[b"IHDR"][i : i + 4], "big") for i in (0, 4))
        self.palette = chunks[b"PLTE"]
        self.pixels = zlib.decompress(chunks[b"IDAT"])
        assert len(self.pixels) == (self.width + 1) * self.height

    def __getitem__(self, at: tuple[int, int]) -> str:
        x, y = at
        assert self.pixels[y * (self.width + 1)] == 0
        index = self.pixels[y * (self.width + 1) + 1 + x]
        return self.palette[3 * index : 3 * index + 3].hex()

    def colours(self) -> set[str]:
        return {self[x, y] for x in range(self.width) for y in range(self.height)}


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_an_empty_screen_is_25_empty_rows(screen: Screen) -> None:
    assert screen.vga.text(screen.ram) == [""] * 25


def test_text_is_what_was_written_to_memory(screen: Screen) -> None:
    screen.put(0, b"hello")
    screen.put(24 * 80 + 76, b"\xc4\xd9\x01!")
    rows = screen.vga.text(screen.ram)
    assert rows[0] == "hello"
    assert rows[24] == " " * 76 + "─┘☺!"


def test_the_start_address_scrolls_and_wraps_in_32_kb(screen: Screen) -> None:
    screen.put(80, b"second")
    screen.crtc(r0D=80)
    assert screen.vga.text(screen.ram)[0] == "second"
    screen.crtc(r0C=0x3F, r0D=0xB0)  # one row before the end of the memory
    screen.put(0, b"first")
    assert screen.vga.text(screen.ram)[:3] == ["", "first", "second"]


def test_geometry_comes_from_the_registers(screen: Screen) -> None:
    screen.put(80, b"x")
    screen.crtc(r09=0x47)
    assert screen.vga.size() == (80, 50)
    screen.crtc(r01=39, r13=20)
    assert screen.vga.size() == (40, 50)
    assert screen.vga.text(screen.ram)[2] == "x"
    picture = screen.picture()
    assert (picture.width, picture.height) == (360, 400)


def test_the_cursor_is_where_the_registers_say_unless_it_is_off(screen: Screen) -> None:
    screen.crtc(r0E=0x00, r0F=82)
    assert screen.vga.cursor() == (2, 1)
    screen.crtc(r0D=80)
    assert screen.vga.cursor() == (2, 0)
    screen.crtc(r0A=0x2D)
    assert screen.vga.cursor() is None
    screen.crtc(r0A=0x0D, r0E=0xFF)
    assert screen.vga.cursor() is None


def test_a_screenshot_has_the_colours_of_the_attributes(screen: Screen) -> None:
    screen.vga.crtc[0x0A] = 0x20
    assert screen.picture().colours() == {"000000"}
    screen.put(0, b"\xdb", 0x4E)
    screen.put(1, b" ", 0x4E)
    screen.put(2, b" ", 0xC0)
    picture = screen.picture()
    assert (picture.width, picture.height) == (720, 400)
    assert picture[0, 0] == picture[7, 15] == "ffff55"
    assert picture[9, 0] == picture[17, 15] == "aa0000"
    assert picture[18, 0] == "aa0000", "bit 7 blinks"
    assert picture[0, 16] == "000000"
    screen.vga.attribute[0x10] = 0x04
    assert screen.picture()[18, 0] == "ff5555", "bit 7 is a bright background"


def test_brown_is_brown(screen: Screen) -> None:
    screen.put(0, b"\xdb", 0x06)
    assert screen.picture()[0, 0] == "aa5500"


def test_line_glyphs_reach_the_next_cell_and_letters_do_not(screen: Screen) -> None:
    screen.vga.crtc[0x0A] = 0x20
    screen.put(0, b"\xc4\xb3")
    picture = screen.picture()
    assert [picture[x, 7] for x in range(9)] == ["aaaaaa"] * 9
    assert picture[17, 7] == "000000"
    screen.vga.sequencer[1] |= 1
    assert screen.picture().width == 640


def test_the_cursor_is_drawn(screen: Screen) -> None:
    screen.crtc(r0F=3)
    picture = screen.picture()
    assert [picture[27, y] for y in (12, 13, 14, 15)] == ["000000", "aaaaaa", "aaaaaa", "000000"]
    assert picture[26, 13] == picture[36, 13] == "000000"


def test_every_ascii_glyph_is_different_and_inside_its_cell() -> None:
    glyphs = [glyph(code) for code in range(0x21, 0x7F)]
    assert len(set(glyphs)) == 94
    assert all(any(rows) and not any(row & 0x83 for row in rows) for rows in glyphs)
    assert not any(glyph(0x20))
    assert all(len(glyph(code)) == 16 for code in range(256))
    assert len({glyph(code) for code in range(0xB0, 0xE0)}) == 48


def test_a_letter_looks_like_itself() -> None:
    drawing = ["".join(" #"[row >> bit & 1] for bit in range(7, -1, -1)).rstrip() for row in glyph(ord("L"))]
    assert drawing == ["", "", *[" #"] * 9, " #####", "", "", "", ""]


def test_a_double_line_meets_a_single_one() -> None:
    assert glyph(0xCD) == bytes(6) + b"\xff\0\0\xff" + bytes(6)
    assert glyph(0xBA) == b"\x24" * 16
    assert glyph(0xC5)[0] == glyph(0xC5)[15] == 0x18


def test_mode_13_is_drawn_from_linear_memory(screen: Screen) -> None:
    vga = screen.vga
    vga.crtc[:] = bytes.fromhex("5f4f50825480bf1f0041000000000000 9c8e8f2840 96b9a3ff")
    vga.sequencer[4], vga.graphics[5], vga.graphics[6] = 0x0E, 0x40, 0x05
    screen.ram.write(0xA0000 + 320 * 199 + 319, b"\x04")
    assert vga.text(screen.ram) == []
    picture = screen.picture()
    assert (picture.width, picture.height) == (320, 200)
    assert (picture[319, 199], picture[0, 0]) == ("aa0000", "000000")


def test_a_planar_mode_is_black(screen: Screen) -> None:
    screen.vga.graphics[6] = 0x05
    picture = screen.picture()
    assert (picture.width, picture.height) == (640, 400)
    assert picture.colours() == {"000000"}
