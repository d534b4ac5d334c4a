import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.devices.ioapic import LEVEL, MASKED, REMOTE_IRR, IoApic


class Bench:
    def __init__(self) -> None:
        self.messages: list[tuple[int, bool, int, int, bool]] = []
        self.accepts = True
        self.ioapic = IoApic(self.deliver)

    def deliver(self, *message: object) -> bool:
        self.messages.append(message)  # type: ignore[arg-type]
        return self.accepts

    def get(self, register: int) -> int:
        self.ioapic.write(0x00, register, 4)
        return self.ioapic.read(0x10, 4)

    def set(self, register: int, value: int) -> None:
        self.ioapic.write(0x00, register, 4)
        self.ioapic.write(0x10, value, 4)

    def route(self, pin: int, low: int, destination: int = 0) -> None:
        self.set(0x11 + 2 * pin, destination << 24)
        self.set(0x10 + 2 * pin, low)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_is_an_82093aa_with_24_masked_entries(bench: Bench) -> None:
    assert bench.get(0x01) == 0x00170011
    assert bench.get(0x00) == bench.get(0x02) == 0x01000000
    assert [bench.get(0x10 + i) for i in range(48)] == [MASKED, 0] * 24
    assert bench.get(0x40) == 0


def test_a_written_id_is_loaded_into_arbitration(bench: Bench) -> None:
    bench.set(0x00, 0xF5FFFFFF)
    assert bench.get(0x00) == bench.get(0x02) == 0x05000000


def test_status_bits_and_reserved_bits_of_an_entry_cannot_be_written(bench: Bench) -> None:
    bench.route(3, 0xFFFFFFFF, 0xFF)
    assert bench.get(0x16) == 0x1AFFF
    assert bench.get(0x17) == 0xFF000000


def test_ioregsel_takes_bytes_and_reads_back(bench: Bench) -> None:
    bench.ioapic.write(0x00, 0x01, 1)
    assert bench.ioapic.read(0x00, 4) == 1
    assert bench.ioapic.read(0x10, 4) == 0x00170011
    assert bench.ioapic.read(0x12, 1) == 0x17


def test_an_edge_is_one_message_to_the_entrys_destination(bench: Bench) -> None:
    bench.route(4, 0x34, 2)
    for level in (True, True, False, True):
        bench.ioapic.set_irq(4, level)
    assert bench.messages == [(2, False, 0, 0x34, False)] * 2


def test_logical_and_lowest_priority_are_passed_on(bench: Bench) -> None:
    bench.route(4, 0x934, 0xFF)
    bench.ioapic.set_irq(4, True)
    assert bench.messages == [(0xFF, True, 1, 0x34, False)]


def test_an_edge_on_a_masked_pin_is_lost(bench: Bench) -> None:
    bench.route(4, MASKED | 0x34)
    bench.ioapic.set_irq(4, True)
    bench.route(4, 0x34)
    assert bench.messages == []


def test_a_level_is_sent_once_until_its_eoi(bench: Bench) -> None:
    bench.route(9, LEVEL | 0x39)
    bench.ioapic.set_irq(9, True)
    bench.ioapic.set_irq(9, False)
    bench.ioapic.set_irq(9, True)
    assert len(bench.messages) == 1
    assert bench.get(0x22) & REMOTE_IRR
    bench.ioapic.end_of_interrupt(0x38)
    assert len(bench.messages) == 1
    bench.ioapic.end_of_interrupt(0x39)
    assert bench.messages == [(0, False, 0, 0x39, True)] * 2
    bench.ioapic.set_irq(9, False)
    bench.ioapic.end_of_interrupt(0x39)
    assert len(bench.messages) == 2
    assert not bench.get(0x22) & REMOTE_IRR


def test_a_level_on_a_masked_pin_waits_for_the_mask(bench: Bench) -> None:
    bench.route(9, MASKED | LEVEL | 0x39)
    bench.ioapic.set_irq(9, True)
    assert bench.messages == []
    bench.route(9, LEVEL | 0x39)
    assert len(bench.messages) == 1


def test_a_level_that_nobody_accepts_does_not_set_remote_irr(bench: Bench) -> None:
    bench.accepts = False
    bench.route(9, LEVEL | 0x39)
    bench.ioapic.set_irq(9, True)
    assert not bench.get(0x22) & REMOTE_IRR


def test_edge_mode_clears_remote_irr(bench: Bench) -> None:
    bench.route(9, LEVEL | 0x39)
    bench.ioapic.set_irq(9, True)
    bench.route(9, MASKED | 0x39)
    bench.route(9, MASKED | LEVEL | 0x39)
    assert not bench.get(0x22) & REMOTE_IRR


def test_extint_asks_by_edge_without_a_vector(bench: Bench) -> None:
    bench.route(0, LEVEL | 0x700)
    bench.ioapic.set_irq(0, True)
    bench.ioapic.set_irq(0, True)
    assert bench.messages == [(0, False, 7, 0, False)]


steps = st.lists(
    st.tuples(
        st.sampled_from(["line", "line", "line", "route", "eoi"]), st.integers(0, 2), st.integers(0, 3)
    ),
    max_size=40,
)


@given(steps)
def test_a_level_pin_is_never_forgotten_and_never_sent_twice(todo: list[tuple[str, int, int]]) -> None:
    """Each level pin: waiting for EOI, or masked, or not asserted."""
    bench = Bench()
    for pin in range(3):
        bench.route(pin, LEVEL | 0x30 + pin)
    outstanding: set[int] = set()
    for name, pin, value in todo:
        sent = len(bench.messages)
        if name == "line":
            bench.ioapic.set_irq(pin, bool(value & 1))
        elif name == "route":
            bench.route(pin, LEVEL | 0x30 + pin | (MASKED if value & 1 else 0))
        else:
            outstanding.discard(0x30 + pin)
            bench.ioapic.end_of_interrupt(0x30 + pin)
        for message in bench.messages[sent:]:
            assert message[3] not in outstanding
            outstanding.add(message[3])
        for i in range(3):
            entry = bench.get(0x10 + 2 * i)
            asserted = bool(bench.ioapic.lines >> i & 1)
            assert bool(entry & REMOTE_IRR) == (0x30 + i in outstanding)
            assert entry & (REMOTE_IRR | MASKED) or not asserted


@given(steps, steps)
def test_a_restored_ioapic_continues_identically(before: list, after: list) -> None:
    bench, twin = Bench(), Bench()

    def do(target: Bench, name: str, pin: int, value: int) -> None:
        if name == "line":
            target.ioapic.set_irq(pin, bool(value & 1))
        elif name == "route":
            target.route(pin, (LEVEL, 0, MASKED, LEVEL | MASKED)[value] | 0x30 + pin)
        else:
            target.ioapic.end_of_interrupt(0x30 + pin)

    for step in before:
        do(bench, *step)
    twin.ioapic.restore(bench.ioapic.state())
    bench.messages.clear()
    for step in after:
        do(bench, *step)
        do(twin, *step)
    assert bench.messages == twin.messages
    assert bench.ioapic.state() == twin.ioapic.state()
