import pytest
from board import Board

from emulator.devices.vga import Vga

HZ = 28_322_000
CRTC, CRTC_DATA, STATUS = 0x3D4, 0x3D5, 0x3DA


@pytest.fixture
def board() -> Board:
    return Board(hz=HZ)


@pytest.fixture
def vga(board: Board) -> Vga:
    return Vga(board.clock)


def put(vga: Vga, index_port: int, index: int, value: int) -> None:
    vga.write(index_port, index, 1)
    vga.write(index_port + 1, value, 1)


def get(vga: Vga, index_port: int, index: int) -> int:
    vga.write(index_port, index, 1)
    return vga.read(index_port + 1, 1)


def test_the_registers_are_those_of_mode_3(vga: Vga) -> None:
    assert vga.read(0x3CC, 1) == 0x67
    assert bytes(get(vga, CRTC, i) for i in range(4)) == b"\x5f\x4f\x50\x82"
    assert get(vga, 0x3C4, 4) == 0x02
    assert get(vga, 0x3CE, 6) == 0x0E
    assert vga.size() == (80, 25)
    assert vga.is_text


@pytest.mark.parametrize(
    ("port", "index", "value"), [(CRTC, 0x0E, 0xA5), (CRTC, 0x0F, 0x5A), (0x3C4, 2, 0x0F), (0x3CE, 8, 0x33)]
)
def test_indexed_registers_are_read_back(vga: Vga, port: int, index: int, value: int) -> None:
    put(vga, port, index, value)
    assert vga.read(port, 1) == index
    assert get(vga, port, index) == value
    put(vga, port, 0x7F, 0x55)
    assert get(vga, port, 0x7F) == 0, "no such register"


def test_the_mono_ports_answer_when_the_miscellaneous_register_says_so(vga: Vga) -> None:
    assert vga.read(0x3B5, 1) == vga.read(0x3BA, 1) == 0xFF
    put(vga, 0x3B4, 0x0E, 0x12)
    assert get(vga, CRTC, 0x0E) == 0
    vga.write(0x3C2, 0x66, 1)
    put(vga, 0x3B4, 0x0E, 0x12)
    assert get(vga, 0x3B4, 0x0E) == 0x12
    assert vga.read(CRTC_DATA, 1) == vga.read(STATUS, 1) == 0xFF


def test_crt_registers_0_to_7_are_protected(vga: Vga) -> None:
    put(vga, CRTC, 0x00, 0x11)
    put(vga, CRTC, 0x07, 0x00)
    assert get(vga, CRTC, 0x00) == 0x5F
    assert get(vga, CRTC, 0x07) == 0x0F, "bit 8 of the line compare can be written"
    put(vga, CRTC, 0x11, 0x0E)
    put(vga, CRTC, 0x00, 0x11)
    assert get(vga, CRTC, 0x00) == 0x11


def test_the_attribute_port_takes_index_and_data_in_turn(vga: Vga) -> None:
    vga.read(STATUS, 1)
    for value in (0x31, 0x3F, 0x32, 0x0A):
        vga.write(0x3C0, value, 1)
    assert vga.read(0x3C1, 1) == 0x0A
    vga.write(0x3C0, 0x31, 1)
    assert vga.read(0x3C1, 1) == 0x3F
    vga.read(STATUS, 1)
    vga.write(0x3C0, 0x32, 1)
    assert vga.read(0x3C0, 1) == 0x32, "an index again, after reading the status"


def test_the_palette_is_written_and_read_colour_by_colour(vga: Vga) -> None:
    vga.write(0x3C8, 254, 1)
    for value in (1, 2, 3, 4, 5, 0xFF, 7):
        vga.write(0x3C9, value, 1)
    vga.write(0x3C7, 254, 1)
    assert vga.read(0x3C7, 1) == 3
    assert [vga.read(0x3C9, 1) for _ in range(7)] == [1, 2, 3, 4, 5, 0x3F, 7], "six bits, and round to 0"
    assert vga.read(0x3C8, 1) == 0


def test_retrace_and_blanking_follow_modelled_time(vga: Vga, board: Board) -> None:
    frame = 449 * 900
    seen = {0: 0x00, 719: 0x00, 720: 0x01, 900: 0x00, 400 * 900: 0x01, 412 * 900: 0x09, 414 * 900: 0x01}
    for dot, status in seen.items():
        for turn in (0, 7):
            board.cycle = turn * frame + dot
            assert vga.read(STATUS, 1) == status, f"dot {dot}"


def test_a_guest_that_waits_for_the_retrace_sees_it_begin_and_end(vga: Vga, board: Board) -> None:
    edges, level = 0, False
    for board.cycle in range(0, HZ, 50):
        now = bool(vga.read(STATUS, 1) & 8)
        edges += now and not level
        level = now
    assert edges == 70


def test_plain_registers(vga: Vga) -> None:
    vga.write(0x3C6, 0x0F, 1)
    assert vga.read(0x3C6, 1) == 0x0F
    vga.write(STATUS, 0x03, 1)
    assert vga.read(0x3CA, 1) == 0x03
    assert vga.read(0x3C2, 1) == 0x10
    assert vga.read(0x3CB, 1) == 0xFF


def test_the_state_is_put_back(vga: Vga, board: Board) -> None:
    vga.write(0x3C8, 3, 1)
    vga.write(0x3C9, 9, 1)
    vga.read(STATUS, 1)
    vga.write(0x3C0, 0x30, 1)
    put(vga, CRTC, 0x0F, 0x77)
    twin = Vga(board.clock)
    twin.restore(vga.state())
    for screen in (vga, twin):
        screen.write(0x3C0, 0x05, 1)
        screen.write(0x3C9, 8, 1)
    assert twin.state() == vga.state()
    assert twin.attribute[0x10] == 0x05
    assert get(twin, CRTC, 0x0F) == 0x77
