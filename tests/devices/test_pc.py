import msgspec
import pytest

from emulator.devices.clock import Clock
from emulator.devices.events import EventQueue
from emulator.devices.pc import PcDevices

HZ = 1_000_000_000


class Pc:
    """A machine of devices only, whose CPU runs in slices of any length."""

    def __init__(self) -> None:
        self.cycle = 0
        self.events = EventQueue()
        self.sent = bytearray()
        self.intr: list[bool] = []
        self.ended: list[object] = []
        self.devices = PcDevices(
            Clock(lambda: self.cycle, HZ),
            self.events,
            self.sent.extend,
            self.intr.append,
            self.ended.append,
            lambda: self.ended.append("reset"),
            ram=64 << 20,
        )
        self.bus = self.devices.bus
        self.taken: list[tuple[int, int]] = []

    def init(self) -> None:
        for port, value in (
            *((0x20, 0x11), (0x21, 0x20), (0x21, 0x04), (0x21, 0x01), (0x21, 0x00)),
            *((0xA0, 0x11), (0xA1, 0x28), (0xA1, 0x02), (0xA1, 0x01), (0xA1, 0x00)),
            *((0x43, 0x34), (0x40, 0xA9), (0x40, 0x04)),  # 1 ms
            *((0x3FB, 0x83), (0x3F8, 1), (0x3F9, 0), (0x3FB, 3), (0x3FA, 1), (0x3F9, 1)),
            *((0x70, 0x0B), (0x71, 0x42)),
        ):
            self.bus.write(port, value, 1)

    def run(self, cycles: int) -> None:
        end = self.cycle + cycles
        while self.cycle < end:
            wait = self.devices.cycles_to_event(self.cycle)
            self.cycle = end if wait is None else min(end, self.cycle + wait)
            self.events.run_due(self.cycle)
            while self.devices.pic.pending():
                self.serve()

    def serve(self) -> None:
        vector = self.devices.pic.acknowledge()
        self.taken.append((self.cycle, vector))
        if vector == 0x24:
            self.sent.append(self.bus.read(0x3F8, 1))
        if vector == 0x28:
            self.bus.write(0x70, 0x0C, 1)
            self.bus.read(0x71, 1)
        if vector >= 0x28:
            self.bus.write(0xA0, 0x20, 1)
        self.bus.write(0x20, 0x20, 1)


@pytest.fixture
def pc() -> Pc:
    return Pc()


def test_timer_serial_and_clock_interrupt_on_their_lines(pc: Pc) -> None:
    pc.init()
    pc.devices.com1.receive(b"ok")
    pc.run(HZ // 10)
    vectors = [vector for _, vector in pc.taken]
    assert vectors.count(0x20) == (1193182 // 10 - 1) // 1193
    assert vectors.count(0x24) == 2
    assert vectors.count(0x28) == 102
    assert pc.sent == b"ok"
    assert pc.intr.count(True) == len(vectors)


def test_two_runs_are_the_same_and_a_third_goes_on_from_a_serialised_state(pc: Pc) -> None:
    other = Pc()
    for machine in (pc, other):
        machine.init()
        machine.devices.com1.receive(b"deterministic")
        machine.run(HZ // 1000)
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(pc.devices.state()))
    twin = Pc()
    twin.cycle, twin.taken, twin.sent = pc.cycle, pc.taken.copy(), pc.sent.copy()
    twin.devices.restore(saved)
    twin.devices.com1._sink = twin.sent.extend
    for machine in (pc, other, twin):
        machine.run(HZ // 50)
    assert pc.taken == other.taken == twin.taken
    assert pc.sent == twin.sent == b"deterministic"
    assert pc.devices.state() == other.devices.state() == twin.devices.state()


def test_a_pending_interrupt_is_told_again_after_a_restore(pc: Pc) -> None:
    pc.init()
    pc.cycle += HZ // 600
    pc.events.run_due(pc.cycle)
    assert pc.devices.pic.pending()
    twin = Pc()
    twin.cycle = pc.cycle
    twin.devices.restore(pc.devices.state())
    assert twin.intr[-1] is True
    assert twin.devices.pic.acknowledge() == 0x20


def test_a_state_of_other_devices_is_refused(pc: Pc) -> None:
    state = pc.devices.state()
    del state["devices"]["rtc"]
    with pytest.raises(ValueError, match="other devices"):
        pc.devices.restore(state)


def test_an_io_apic_can_listen_to_the_isa_lines(pc: Pc) -> None:
    heard: list[tuple[int, bool]] = []
    pc.devices.on_irq = lambda line, level: heard.append((line, level))
    assert pc.devices.irq_levels == 1, "OUT0 is high at power-up"
    pc.bus.write(0x43, 0x30, 1)
    pc.bus.write(0x3F9, 0x02, 1)
    assert heard == [(0, False), (4, True)]
    assert pc.devices.irq_levels == 0x10


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_debug_exit_port_ends_with_the_low_byte(pc: Pc, size: int) -> None:
    pc.bus.write(0xF4, 0x2A, size)
    assert pc.ended == [0x2A]
    assert pc.bus.read(0xF4, size) == (1 << 8 * size) - 1


def test_port_92_keeps_a20_on_and_resets_on_a_rising_bit_0(pc: Pc) -> None:
    pc.bus.write(0x92, 0x00, 1)
    assert pc.bus.read(0x92, 1) == 0x02
    pc.bus.write(0x92, 0x01, 1)
    pc.bus.write(0x92, 0x03, 1)
    assert pc.ended == ["reset"]
    assert pc.bus.read(0x92, 1) == 0x03


def test_the_post_port_remembers_the_last_code(pc: Pc) -> None:
    pc.bus.write(0x80, 0x55, 1)
    assert pc.bus.read(0x80, 1) == pc.devices.post.code == 0x55


def test_a_word_to_the_cmos_ports_is_index_and_data(pc: Pc) -> None:
    pc.bus.write(0x70, 0x5A0F, 2)
    pc.bus.write(0x70, 0x0F, 1)
    assert pc.bus.read(0x71, 1) == 0x5A


def test_absent_ports_are_absent(pc: Pc) -> None:
    com, floppy, parallel, game = (0x2F8, 0x3E8, 0x2E8), (0x3F0, 0x3F5, 0x3F7), (0x278, 0x378), (0x201,)
    for port in (*com, *floppy, *parallel, *game, 0x1F0, 0x1F7, 0x177, 0x3F6, 0x376):
        assert pc.bus.read(port, 1) == 0xFF
    assert pc.bus.read(0x2F8, 2) == 0xFFFF
