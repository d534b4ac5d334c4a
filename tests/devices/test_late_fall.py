"""The falling edge of IRQ0 is no event when nobody would notice it: against a PC where every edge is one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.devices import lapic_registers as reg
from emulator.devices.clock import Clock
from emulator.devices.events import EventQueue
from emulator.devices.pc import PcDevices
from emulator.devices.pit8254 import HZ

LAPIC = 0xFEE00000
IOAPIC = 0xFEC00000
TICK = 7  # cycles


class Pc:
    """Stops at every event as the machine does, and takes interrupts at once while `enabled`."""

    def __init__(self, every_edge: bool = False, apic: bool = True) -> None:
        self.cycle = 0
        self.stops = 0
        self.enabled = False
        self.ends = True  # the handlers send EOI
        self.intr: list[tuple[int, bool]] = []
        self.seen: list[tuple[int, str, int]] = []
        self.events = EventQueue()
        self.devices = PcDevices(
            Clock(lambda: self.cycle, TICK * HZ),
            self.events,
            lambda data: None,
            lambda level: self.intr.append((self.cycle, level)),
            lambda status: None,
            lambda: None,
            apic=apic,
        )
        if every_edge:
            self.devices.pit._fall_matters = lambda: True
        if self.devices.lapic is not None:
            self.devices.lapic.on_nmi = lambda: self.seen.append((self.cycle, "nmi", 0))

    def out(self, *writes: tuple[int, int]) -> None:
        for port, value in writes:
            self.devices.bus.write(port, value, 1)

    def look(self, port: int) -> int:
        value = self.devices.bus.read(port, 1)
        self.seen.append((self.cycle, f"in {port:x}", value))
        return value

    def initialise(self, icw1: int = 0x11, icw4: int = 0x01) -> None:
        self.out((0x20, icw1), (0x21, 0x20), (0x21, 0x04), (0x21, icw4))
        self.out((0xA0, icw1), (0xA1, 0x28), (0xA1, 0x02), (0xA1, icw4))

    def count(self, mode: int, count: int) -> None:
        self.out((0x43, 0x30 | mode << 1), (0x40, count & 0xFF), (0x40, count >> 8))

    def route(self, pin: int, low: int) -> None:
        for register, value in ((0x11 + 2 * pin, 0), (0x10 + 2 * pin, low)):
            self.devices.mmio.write(IOAPIC, register, 4)
            self.devices.mmio.write(IOAPIC + 0x10, value, 4)

    def local(self, offset: int, value: int) -> None:
        self.devices.mmio.write(LAPIC + offset, value, 4)

    def end_interrupt(self) -> None:
        self.out((0x20, 0x20))
        self.local(reg.EOI, 0)

    def take(self) -> None:
        while self.enabled and self.devices.interrupts.pending():
            self.seen.append((self.cycle, "vector", self.devices.acknowledge_interrupt()))
            if not self.ends:
                self.enabled = False
                return
            self.end_interrupt()
            if len(self.seen) > 5000:  # a level that stands interrupts for ever
                self.enabled = False

    def run(self, cycles: int) -> None:
        self.take()
        end = self.cycle + cycles
        while (deadline := self.events.next_deadline()) is not None and deadline <= end:
            self.cycle = max(self.cycle, deadline)
            self.stops += 1
            self.events.run_due(self.cycle)
            self.take()
        self.cycle = end

    def do(self, name: str, value: int) -> None:
        match name:
            case "run":
                self.run(value)
            case "enable" | "disable":
                self.enabled = name == "enable"
            case "ends":
                self.ends = bool(value & 1)
            case "eoi":
                self.end_interrupt()
            case "count":
                self.count(value % 6, value // 6 % 40)
            case "reload":
                self.out((0x40, value % 40), (0x40, 0))
            case "latch":
                self.out((0x43, 0xC2))
                for _ in range(3):
                    self.look(0x40)
            case "mask":
                self.out((0x21, value & 0xFB))
            case "ocw2":
                self.out((0x20, value & 0xE7))
            case "ocw3":
                self.out((0x20, value & 0x67 | 8))
            case "initialise":
                self.initialise(0x11 | value & 8, 1 | value & 2)
            case "look":
                self.look((0x20, 0x21, 0xA0, 0x4D0, 0x40, 0x61)[value % 6])
            case "elcr":
                self.out((0x4D0, value & 0xFF))
            case "line":
                self.devices.set_irq((1, 4, 8, 9)[value & 3], bool(value & 4))
            case "pin":
                mode = (0, 1, 4, 7)[value >> 2 & 3]
                self.route((2, 0)[value >> 4 & 1], 0x50 | mode << 8 | (value & 1) << 15 | (value & 2) << 15)
            case "lint0":
                mode = (0, 4, 7, 7)[value & 3]
                self.local(reg.LVT_LINT0, 0x60 | mode << 8 | (value & 4) << 13 | (value & 8) << 13)

    def outcome(self) -> object:
        self.look(0x40)  # brings the counter's own bookkeeping up to the same CLK
        state = self.devices.state()
        del state["events"], state["devices"]["pit"]["late"]
        return self.seen, self.intr, self.devices.irq_levels, state["devices"]


STEPS = [
    *("run", "enable", "disable", "ends", "eoi", "count", "reload", "latch"),
    *("mask", "ocw2", "ocw3", "initialise", "look", "elcr", "line", "pin", "lint0"),
]
STEP = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 60 * TICK)),
    st.tuples(
        st.sampled_from(STEPS),
        st.integers(0, 255),
    ),
)


@pytest.mark.parametrize("apic", [False, True])
@given(st.lists(STEP, max_size=50))
@settings(max_examples=300)
def test_what_a_guest_can_see_is_the_same_as_when_every_edge_is_an_event(apic: bool, steps: list) -> None:
    late, prompt = Pc(apic=apic), Pc(every_edge=True, apic=apic)
    for pc in (late, prompt):
        pc.initialise()
        pc.count(2, 20)
        pc.enabled = True
        for name, value in steps:
            pc.do(name, value)
    assert late.outcome() == prompt.outcome()
    assert late.stops <= prompt.stops


@pytest.mark.parametrize("mode", [2, 3])
@pytest.mark.parametrize("route", ["8259", "pin 2"])
def test_a_tick_that_is_taken_at_once_or_masked_is_one_event(mode: int, route: str) -> None:
    pc = Pc()
    pc.initialise()
    if route == "pin 2":
        pc.out((0x21, 0xFF))
        pc.route(2, 0x50)
    pc.count(mode, 100)
    pc.enabled = True
    pc.run(TICK * 100 * 50 + 2 * TICK)
    vectors = [value for _, what, value in pc.seen if what == "vector"]
    assert vectors.count(0x20 if route == "8259" else 0x50) >= 50
    assert pc.stops <= 53


def test_a_request_that_falls_before_it_is_taken_is_gone() -> None:
    pc = Pc(apic=False)
    pc.initialise()
    pc.count(3, 100)
    pc.run(TICK * 110)  # past a rise
    assert pc.devices.interrupts.pending()
    pc.run(TICK * 50)  # past its fall
    assert not pc.devices.interrupts.pending()
    assert pc.devices.acknowledge_interrupt() == 0x27


def test_irr_of_a_masked_request_reads_as_the_line_is() -> None:
    pc = Pc()
    pc.initialise()
    pc.out((0x21, 0x01))
    pc.count(3, 100)
    pc.run(TICK * 101)
    assert pc.look(0x20) & 1 == 1
    pc.run(TICK * 50)
    assert pc.look(0x20) & 1 == 0
    pc.run(TICK * 50)
    assert pc.look(0x20) & 1 == 1


def test_a_request_unmasked_after_its_fall_is_gone_and_before_it_stands() -> None:
    pc = Pc()
    pc.initialise()
    pc.out((0x21, 0x01))
    pc.count(3, 100)
    pc.run(TICK * 160)
    pc.out((0x21, 0x00))
    assert not pc.devices.interrupts.pending()
    pc.out((0x21, 0x01))
    pc.run(TICK * 50)
    pc.out((0x21, 0x00))
    assert pc.devices.interrupts.pending()
    pc.run(TICK * 50)
    assert not pc.devices.interrupts.pending()


def test_a_saved_pc_continues_with_its_fall_late() -> None:
    pc = Pc()
    pc.initialise()
    pc.count(3, 100)
    pc.enabled = True
    pc.run(TICK * 20)
    assert pc.devices.pit.late
    twin = Pc()
    twin.cycle, twin.enabled = pc.cycle, True
    twin.devices.restore(pc.devices.state())
    pc.seen.clear()
    for each in (pc, twin):
        each.run(TICK * 1000)
    assert twin.seen == pc.seen != []
    assert twin.devices.state() == pc.devices.state()
