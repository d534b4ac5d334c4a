import pytest
from board import Board

from emulator.devices.uart16550 import HZ, Uart16550

RBR = THR = DLL = 0x3F8
IER = DLM = 0x3F9
IIR = FCR = 0x3FA
LCR, MCR, LSR, MSR, SCR = 0x3FB, 0x3FC, 0x3FD, 0x3FE, 0x3FF
CHARACTER = 160 * 100  # cycles of 8n1 at divisor 1


class Port:
    def __init__(self) -> None:
        self.board = Board(hz=100 * HZ)
        self.sent = bytearray()
        self.uart = Uart16550(self.board.clock, self.board.events, self.board.irq, self.sent.extend)

    def out(self, port: int, value: int) -> None:
        self.uart.write(port, value, 1)

    def inb(self, port: int) -> int:
        return self.uart.read(port, 1)


@pytest.fixture
def port() -> Port:
    """8n1 at divisor 1, FIFOs off."""
    port = Port()
    for register, value in ((LCR, 0x83), (DLL, 1), (DLM, 0), (LCR, 0x03)):
        port.out(register, value)
    return port


def read_all(port: Port) -> bytes:
    data = bytearray()
    while port.inb(LSR) & 1:
        data.append(port.inb(RBR))
    return bytes(data)


def test_the_transmitter_is_always_ready_and_output_is_there_at_once(port: Port) -> None:
    for byte in b"hello":
        assert port.inb(LSR) == 0x60
        port.out(THR, byte)
    assert port.sent == b"hello"


def test_dlab_shows_the_divisor_and_hides_data_and_ier(port: Port) -> None:
    port.out(IER, 0x05)
    port.out(LCR, 0x83)
    port.out(DLL, 0x34)
    port.out(DLM, 0x12)
    assert (port.inb(DLL), port.inb(DLM)) == (0x34, 0x12)
    port.out(LCR, 0x03)
    assert port.inb(IER) == 0x05
    assert not port.sent


def test_linux_finds_a_16550a(port: Port) -> None:
    port.out(IER, 0)
    assert port.inb(IER) == 0
    port.out(IER, 0xFF)
    assert port.inb(IER) == 0x0F
    port.out(IER, 0)
    port.out(MCR, 0x1A)
    assert port.inb(MSR) & 0xF0 == 0x90, "loopback: RTS to CTS, OUT2 to DCD"
    port.out(MCR, 0)
    port.out(SCR, 0x5A)
    assert port.inb(SCR) == 0x5A
    assert port.inb(IIR) == 0x01
    port.out(FCR, 0x01)
    assert port.inb(IIR) == 0xC1
    port.out(FCR, 0x21)
    assert port.inb(IIR) == 0xC1, "no 64 byte FIFO"


def test_enabling_thre_interrupts_at_once_and_reading_iir_clears_it(port: Port) -> None:
    port.out(IER, 0x02)
    assert port.board.level
    assert port.inb(IIR) == 0x02
    assert not port.board.level
    assert port.inb(IIR) == 0x01
    port.out(THR, 65)
    assert port.board.level
    port.out(IER, 0)
    assert not port.board.level
    port.out(IER, 0x02)
    assert port.inb(IIR) == 0x02


def test_enabling_thre_again_interrupts_again_though_nothing_was_sent(port: Port) -> None:
    port.out(IER, 0x02)
    assert port.inb(IIR) == 0x02
    port.out(IER, 0x03)
    assert not port.board.level
    port.out(IER, 0x00)
    port.out(IER, 0x02)
    assert port.board.level


def test_every_byte_written_is_a_new_edge(port: Port) -> None:
    port.out(IER, 0x02)
    port.board.irqs.clear()
    port.out(THR, 65)
    port.out(THR, 66)
    assert [level for _, level in port.board.irqs] == [False, True] * 2


def test_input_arrives_one_character_time_apart(port: Port) -> None:
    port.out(IER, 0x01)
    port.uart.receive(b"ab")
    port.board.run(CHARACTER - 1)
    assert not port.inb(LSR) & 1
    port.board.run(1)
    assert port.board.irqs == [(CHARACTER, True)]
    assert port.inb(IIR) == 0x04
    assert port.inb(RBR) == ord("a")
    assert not port.board.level
    port.board.run(CHARACTER - 1)
    assert read_all(port) == b""
    port.board.run(1)
    assert read_all(port) == b"b"


@pytest.mark.parametrize(
    ("lcr", "bits"), [(0x03, 10), (0x07, 11), (0x1B, 11), (0x1F, 12), (0x02, 9), (0x00, 7), (0x04, 7.5)]
)
def test_the_character_time_follows_the_frame_and_the_divisor(port: Port, lcr: int, bits: float) -> None:
    port.out(LCR, 0x83)
    port.out(DLL, 3)
    port.out(LCR, lcr)
    port.uart.receive(b"x")
    assert port.uart.cycles_to_event(port.board.cycle) == int(bits * 16) * 3 * 100


def test_the_host_waits_while_nobody_reads_so_nothing_is_lost(port: Port) -> None:
    text = bytes(range(100))
    port.uart.receive(text)
    got = b""
    for _ in range(130):
        port.board.run(3 * CHARACTER)
        got += read_all(port)
    assert got == text
    assert port.uart.cycles_to_event(port.board.cycle) is None


def test_without_a_divisor_the_receiver_stands_still_until_there_is_one(port: Port) -> None:
    port.out(LCR, 0x83)
    port.out(DLL, 0)
    port.uart.receive(b"x")
    port.board.run(10**9)
    assert port.uart.cycles_to_event(port.board.cycle) is None
    port.out(DLL, 1)
    port.out(LCR, 0x03)
    port.board.run(CHARACTER)
    assert read_all(port) == b"x"


@pytest.mark.parametrize(("fcr", "trigger"), [(0x01, 1), (0x41, 4), (0x81, 8), (0xC1, 14)])
def test_the_fifo_interrupts_at_its_trigger_level(port: Port, fcr: int, trigger: int) -> None:
    port.out(FCR, fcr)
    port.out(IER, 0x01)
    port.uart.receive(bytes(16))
    port.board.run(CHARACTER * 40)
    assert port.board.irqs == [(trigger * CHARACTER, True)]
    assert port.inb(IIR) == 0xC4
    for _ in range(16 - trigger):
        port.inb(RBR)
    assert port.board.level
    port.inb(RBR)
    assert port.inb(IIR) & 0x0F != 0x04, "below the trigger"


def test_characters_below_the_trigger_time_out_after_four_character_times(port: Port) -> None:
    port.out(FCR, 0x81)
    port.out(IER, 0x01)
    port.uart.receive(b"abc")
    port.board.run(CHARACTER * 20)
    assert port.board.irqs == [(7 * CHARACTER, True)]
    assert port.inb(IIR) == 0xCC
    assert port.inb(RBR) == ord("a")
    assert not port.board.level, "a read clears the timeout and starts it anew"
    port.board.run(4 * CHARACTER)
    assert port.inb(IIR) == 0xCC
    assert read_all(port) == b"bc"
    port.board.run(100 * CHARACTER)
    assert port.inb(IIR) == 0xC1


def test_fcr_clears_the_receive_fifo_when_told_and_when_bit_0_changes(port: Port) -> None:
    for fcr in (0x03, 0x00, 0x01):
        port.uart.receive(b"x")
        port.board.run(CHARACTER * 20)
        assert port.inb(LSR) & 1
        port.out(FCR, fcr if fcr != 0x03 else 0x01)
        port.out(FCR, fcr)
        assert not port.inb(LSR) & 1
        port.board.run(CHARACTER * 20)
        assert port.inb(IIR) & 0x0F == 0x01


def test_loopback_sends_to_itself_and_to_nobody_else(port: Port) -> None:
    port.out(MCR, 0x10)
    port.out(THR, 0x5A)
    assert read_all(port) == b"\x5a"
    assert not port.sent
    port.uart.receive(b"later")
    port.board.run(CHARACTER * 10)
    assert read_all(port) == b"", "the line is cut"
    port.out(MCR, 0)
    port.board.run(CHARACTER)
    assert read_all(port) == b"l"


@pytest.mark.parametrize(("fcr", "kept"), [(0, b"\x10"), (1, bytes(range(16)))])
def test_an_overrun_is_reported_once_and_keeps_the_right_bytes(port: Port, fcr: int, kept: bytes) -> None:
    port.out(FCR, fcr)
    port.out(IER, 0x05)
    port.out(MCR, 0x10)
    for byte in range(17):
        port.out(THR, byte)
    assert port.inb(IIR) & 0x0F == 0x06, "line status comes first"
    assert port.inb(LSR) == 0x63
    assert port.inb(IIR) & 0x0F == 0x04
    assert read_all(port) == kept


def test_a_break_shows_when_its_character_comes_to_the_top(port: Port) -> None:
    port.out(FCR, 0x01)
    port.out(IER, 0x04)
    port.uart.receive(b"a")
    port.uart.receive_break()
    port.board.run(CHARACTER * 2)
    assert port.inb(LSR) == 0xE1, "an error is in the FIFO, not on top"
    assert not port.board.level
    assert port.inb(RBR) == ord("a")
    assert port.inb(IIR) == 0xC6
    assert port.inb(LSR) == 0xF1
    assert port.inb(LSR) == 0x61
    assert port.inb(RBR) == 0
    assert not port.board.level


def test_interrupts_are_identified_by_priority(port: Port) -> None:
    port.out(MCR, 0x10)  # CTS, DSR and DCD go: modem status
    port.out(THR, 1)
    port.out(THR, 2)  # overrun
    port.out(IER, 0x0F)
    seen = []
    for clear in (LSR, RBR, None, MSR):
        seen.append(port.inb(IIR))
        if clear is not None:
            port.inb(clear)
    assert seen == [0x06, 0x04, 0x02, 0x00]
    assert port.inb(IIR) == 0x01
    assert not port.board.level


def test_modem_deltas_tell_changes_and_ri_only_its_trailing_edge(port: Port) -> None:
    assert port.inb(MSR) == 0xB0
    port.out(MCR, 0x10)
    assert port.inb(MSR) == 0x0B
    port.out(MCR, 0x14)
    assert port.inb(MSR) == 0x40
    port.out(MCR, 0x11)
    assert port.inb(MSR) == 0x26, "TERI, and DTR to DSR"
    assert port.inb(MSR) == 0x20


def test_restored_in_the_middle_of_a_transfer_it_continues_identically(port: Port) -> None:
    port.out(FCR, 0x41)
    port.out(IER, 0x07)
    port.uart.receive(b"the quick brown fox")
    port.board.run(CHARACTER * 7 // 2)
    twin = Port()
    twin.uart.restore(port.uart.state())
    twin.board.events.restore(port.board.events.state())
    twin.board.cycle, twin.board.level = port.board.cycle, port.board.level
    port.board.irqs.clear()
    for both in (port, twin):
        both.board.run(CHARACTER * 3)
        both.text = read_all(both)  # type: ignore[attr-defined]
        both.board.run(CHARACTER * 60)
    assert port.text == twin.text == b"the qu"  # type: ignore[attr-defined]
    assert port.board.irqs == twin.board.irqs
    assert port.uart.state() == twin.uart.state()
