from itertools import pairwise

import pytest
from board import Board

from emulator.devices.i8042 import I8042

DATA, COMMAND = 0x60, 0x64
OBF, AUX = 0x01, 0x20
MS = 100_000  # cycles


class Desk:
    """A controller with its keyboard, and a driver that polls."""

    def __init__(self) -> None:
        self.board = Board()
        self.aux: list[bool] = []
        self.resets = 0
        self.chip = I8042(self.board.clock, self.board.events, self.board.irq, self.aux.append, self.reset)

    def reset(self) -> None:
        self.resets += 1

    def out(self, port: int, value: int) -> None:
        self.chip.write(port, value, 1)

    def command(self, *values: int) -> None:
        self.out(COMMAND, values[0])
        for value in values[1:]:
            self.out(DATA, value)

    def status(self) -> int:
        return self.chip.read(COMMAND, 1)

    def take(self) -> int | None:
        """The next byte, waiting as long as one may come."""
        while not self.status() & OBF:
            left = self.chip.cycles_to_event(self.board.cycle)
            if left is None:
                return None
            self.board.run(left)
        return self.chip.read(DATA, 1)

    def take_all(self) -> bytes:
        data = bytearray()
        while (value := self.take()) is not None:
            data.append(value)
        return bytes(data)

    def ask(self, *values: int) -> bytes:
        self.command(*values)
        return self.take_all()

    def tell(self, *values: int) -> bytes:
        """Bytes for the keyboard, each after the answer to the last one."""
        data = b""
        for value in values:
            self.out(DATA, value)
            data += self.take_all()
        return data


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        *(((0xAA,), b"\x55"), ((0xAB,), b"\x00"), ((0xA4,), b"\xf1"), ((0xC0,), b"\xb0")),
        *(((0x20,), b"\x65"), ((0xD2, 0x5A), b"\x5a"), ((0xD0,), b"\xc3"), ((0xA9,), b"\x02")),
        ((0xB0,), b""),
    ],
)
def test_controller_commands(desk: Desk, command: tuple[int, ...], answer: bytes) -> None:
    assert desk.ask(*command) == answer


def test_the_command_byte_and_the_ram_can_be_written(desk: Desk) -> None:
    desk.command(0x60, 0x30)
    desk.command(0x7F, 0x99)
    assert desk.ask(0x20) + desk.ask(0x3F) == b"\x30\x99"
    assert desk.status() == 0x18, "system flag cleared, not locked, the last write was a command"
    desk.out(DATA, 0xEE)
    assert desk.status() & 0x08 == 0


def test_a_keyboard_reset_is_acknowledged_and_then_passed(desk: Desk) -> None:
    desk.out(DATA, 0xFF)
    assert desk.status() & OBF == 0, "the answer takes its time"
    assert (desk.take(), desk.board.cycle) == (0xFA, 70_000)
    assert desk.take() == 0xAA
    assert desk.board.cycle >= 3 * MS
    assert desk.take() is None


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        *(((0xEE,), "ee"), ((0xF2,), "fa ab 41"), ((0xED, 0x07), "fa fa"), ((0xF3, 0x20), "fa fa")),
        *(((0xF4,), "fa"), ((0xF5,), "fa"), ((0xF6,), "fa"), ((0xF8,), "fa"), ((0xE1,), "fe")),
        *(((0xF0, 0x01, 0xF0, 0x00), "fa fa fa fa 43"), ((0xF0, 0x03), "fa fe"), ((0xEE, 0xFE), "ee ee")),
        *(((0xED, 0xEE), "fa ee"),),
    ],
)
def test_keyboard_commands(desk: Desk, sent: tuple[int, ...], answer: str) -> None:
    assert desk.tell(*sent) == bytes.fromhex(answer)


def test_without_translation_the_keyboard_speaks_set_2(desk: Desk) -> None:
    desk.command(0x60, 0x05)
    assert desk.tell(0xF2) == b"\xfa\xab\x83"
    desk.chip.type_text("a")
    assert desk.take_all() == b"\x1c\xf0\x1c"
    desk.tell(0xF0, 0x01)
    desk.chip.type_text("a")
    assert desk.take_all() == b"\x1e\x9e"


def test_typed_text_arrives_translated_key_by_key_with_an_interrupt_each(desk: Desk) -> None:
    desk.chip.type_text("Hi\n")
    codes = [(desk.take(), desk.board.cycle) for _ in range(8)]
    assert [code for code, _ in codes] == [0x2A, 0x23, 0xA3, 0xAA, 0x17, 0x97, 0x1C, 0x9C]
    times = [time for _, time in codes]
    assert times[0] == 220_000
    assert all(later - earlier >= 2 * MS for earlier, later in pairwise(times))
    assert [level for _, level in desk.board.irqs] == [True, False] * 8
    assert desk.take() is None


def test_who_types_waits_for_a_keyboard_that_is_off_or_not_read(desk: Desk) -> None:
    desk.command(0xAD)
    desk.chip.type_text("xy")
    desk.board.run(1000 * MS)
    assert desk.status() & OBF == 0
    desk.command(0xAE)
    desk.board.run(1000 * MS)
    assert desk.take_all() == b"\x2d\xad\x15\x95", "nothing is lost"
    assert desk.tell(0xF5) == b"\xfa"
    desk.chip.type_text("z")
    assert desk.take_all() == b""
    assert desk.tell(0xF4) == b"\xfa\x2c\xac"


def test_text_with_a_character_that_has_no_key_is_refused_whole(desk: Desk) -> None:
    with pytest.raises(ValueError, match="no key"):
        desk.chip.type_text("abcé")
    assert desk.take_all() == b""


def test_the_interrupt_bit_gates_irq_1(desk: Desk) -> None:
    desk.command(0x60, 0x44)
    desk.out(DATA, 0xEE)
    desk.board.run(MS)
    assert desk.status() & OBF
    assert not desk.board.irqs
    desk.command(0x60, 0x45)
    assert desk.board.level
    assert desk.chip.read(DATA, 1) == 0xEE
    assert not desk.board.level
    assert desk.chip.read(DATA, 1) == 0xEE, "an empty buffer still shows its last byte"


def test_the_auxiliary_port_loops_back_and_nobody_answers_there(desk: Desk) -> None:
    desk.command(0xA8)
    assert desk.ask(0x20) == b"\x45"
    desk.command(0x60, 0x47)
    desk.command(0xD3, 0xA5)
    assert desk.status() & (OBF | AUX) == OBF | AUX
    assert desk.aux[-1] is True
    assert not desk.board.level
    assert desk.take() == 0xA5
    assert desk.aux[-1] is False
    desk.command(0xD4, 0xFF)
    assert desk.status() & (OBF | AUX | 0x40) == OBF | AUX | 0x40, "a timeout"
    assert desk.take_all() == b"\xfe"
    desk.command(0xA7)
    assert desk.ask(0x20) == b"\x67"


def test_a20_is_a_bit_of_the_output_port(desk: Desk) -> None:
    assert desk.ask(0xD0) == b"\xc3"
    desk.command(0xD1, 0xDD)
    assert desk.ask(0xD0) == b"\xcd"
    desk.command(0xD1, 0xDF)
    assert desk.ask(0xD0) == b"\xcf"
    desk.command(0xDD)
    assert desk.ask(0xD0) == b"\xcd"
    desk.command(0xDF)
    assert desk.ask(0xD0) == b"\xcf"
    assert not desk.resets


@pytest.mark.parametrize(("command", "resets"), [((0xFE,), 1), ((0xF0,), 1), ((0xFF,), 0), ((0xD1, 0xDE), 1)])
def test_a_low_reset_line_resets(desk: Desk, command: tuple[int, ...], resets: int) -> None:
    desk.command(*command)
    assert desk.resets == resets


def test_answers_wait_for_their_turn(desk: Desk) -> None:
    desk.out(DATA, 0xF2)
    desk.board.run(MS)
    desk.command(0x20)
    desk.command(0xAA)
    assert desk.take_all() == b"\xfa\x65\x55\xab\x41"


def test_linux_sets_the_controller_up(desk: Desk) -> None:
    desk.command(0x20)
    control = desk.take()
    assert control == 0x65
    desk.command(0x60, control | 0x10 & ~0x01)
    assert desk.ask(0xAA) == b"\x55"
    desk.command(0xD3, 0x5A)
    assert desk.take() == 0x5A
    desk.command(0x60, 0x47)
    assert desk.tell(0xF2) == b"\xfa\xab\x41"
    assert desk.tell(0xED, 0, 0xF3, 0, 0xF4) == b"\xfa" * 5


def test_the_state_in_the_middle_of_a_word_continues_identically(desk: Desk) -> None:
    desk.command(0x60, 0x05)
    desk.chip.type_text("Wait")
    desk.out(DATA, 0xED)
    for _ in range(4):
        desk.take()
    twin = Desk()
    twin.board.cycle = desk.board.cycle
    twin.chip.restore(desk.chip.state())
    twin.board.events.restore(desk.board.events.state())
    assert twin.take_all() == desk.take_all() != b""
    assert twin.board.cycle == desk.board.cycle
    assert twin.chip.state() == desk.chip.state()
