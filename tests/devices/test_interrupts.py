"""A PC with both APICs: which controller interrupts, and with which vector."""

import msgspec
import pytest

from emulator.devices import lapic_registers as reg
from emulator.devices.clock import Clock
from emulator.devices.events import EventQueue
from emulator.devices.pc import PcDevices

LAPIC = 0xFEE00000
IOAPIC = 0xFEC00000
HZ = 1_000_000_000


class Pc:
    def __init__(self, apic: bool = True) -> None:
        self.cycle = 0
        self.events = EventQueue()
        self.intr: list[bool] = [False]
        self.ended: list[object] = []
        self.devices = PcDevices(
            Clock(lambda: self.cycle, HZ),
            self.events,
            lambda data: None,
            self.intr.append,
            self.ended.append,
            lambda: None,
            apic=apic,
        )
        self.bus, self.mmio = self.devices.bus, self.devices.mmio

    def init_pic(self, mask: int = 0) -> None:
        for port, value in (
            *((0x20, 0x11), (0x21, 0x20), (0x21, 0x04), (0x21, 0x01), (0x21, mask)),
            *((0xA0, 0x11), (0xA1, 0x28), (0xA1, 0x02), (0xA1, 0x01), (0xA1, mask)),
        ):
            self.bus.write(port, value, 1)

    def route(self, pin: int, low: int) -> None:
        for register, value in ((0x11 + 2 * pin, 0), (0x10 + 2 * pin, low)):
            self.mmio.write(IOAPIC, register, 4)
            self.mmio.write(IOAPIC + 0x10, value, 4)

    def local(self, offset: int, value: int) -> None:
        self.mmio.write(LAPIC + offset, value, 4)

    def pulse(self, line: int) -> None:
        self.devices.set_irq(line, False)
        self.devices.set_irq(line, True)

    def run(self, cycles: int) -> None:
        end = self.cycle + cycles
        while (deadline := self.events.next_deadline()) is not None and deadline <= end:
            self.cycle = deadline
            self.events.run_due(deadline)
        self.cycle = end


@pytest.fixture
def pc() -> Pc:
    return Pc()


@pytest.mark.parametrize("apic", [False, True])
def test_a_guest_that_only_knows_the_8259_is_served(apic: bool) -> None:
    pc = Pc(apic)
    pc.init_pic()
    pc.devices.set_irq(4, True)
    assert pc.intr == [False, True]
    assert pc.devices.interrupts.pending()
    assert pc.devices.acknowledge_interrupt() == 0x24
    assert pc.intr == [False, True, False]
    pc.pulse(6)
    assert pc.intr[-1] is False, "IRQ4 is in service"
    pc.bus.write(0x20, 0x20, 1)
    assert pc.devices.acknowledge_interrupt() == 0x26
    assert pc.intr == [False, True, False, True, False]


def test_without_apics_their_addresses_are_empty() -> None:
    pc = Pc(apic=False)
    assert pc.devices.lapic is None
    assert pc.devices.ioapic is None
    assert pc.mmio.read(LAPIC + reg.ID, 4) == pc.mmio.read(IOAPIC, 4) == 0xFFFFFFFF
    with pytest.raises(ValueError, match="no local APIC"):
        pc.devices.set_apic_base(0xFEE00900)


def test_both_apics_answer_at_their_addresses(pc: Pc) -> None:
    assert pc.mmio.read(LAPIC + reg.VERSION, 4) == 0x50014
    pc.mmio.write(IOAPIC, 1, 4)
    assert pc.mmio.read(IOAPIC + 0x10, 4) == 0x170011


def test_symmetric_mode_takes_isa_interrupts_through_the_io_apic(pc: Pc) -> None:
    """As a kernel for the I/O APIC sets it up: 8259 masked, LINT0 masked, pins routed."""
    pc.init_pic(mask=0xFF)
    pc.local(reg.LVT_LINT0, reg.LVT_MASKED)
    pc.route(2, 0x30)
    pc.route(4, 0x34)
    pc.devices.set_irq(4, True)
    pc.pulse(0)
    taken = []
    while pc.devices.interrupts.pending():
        taken.append(pc.devices.acknowledge_interrupt())
        pc.local(reg.EOI, 0)
    assert taken == [0x34, 0x30]
    assert pc.intr[-1] is False


def test_a_level_interrupt_comes_again_after_eoi_while_the_line_is_asserted(pc: Pc) -> None:
    pc.init_pic(mask=0xFF)
    pc.route(9, 1 << 15 | 0x39)
    pc.bus.write(0xB2, 0xF1, 1)
    pc.bus.write(0x602, 0x0100, 2)
    pc.devices.acpi.press_power_button()
    assert pc.devices.acknowledge_interrupt() == 0x39
    pc.local(reg.EOI, 0)
    assert pc.devices.acknowledge_interrupt() == 0x39
    pc.bus.write(0x600, 0x0100, 2)
    pc.local(reg.EOI, 0)
    assert not pc.devices.interrupts.pending()


def test_the_8259_on_pin_0_interrupts_in_extint_mode(pc: Pc) -> None:
    pc.init_pic()
    pc.local(reg.LVT_LINT0, reg.LVT_MASKED)
    pc.route(0, 0x700)
    pc.devices.set_irq(3, True)
    assert pc.intr[-1] is True
    assert pc.devices.acknowledge_interrupt() == 0x23
    assert pc.intr[-1] is False


def test_a_local_vector_goes_before_the_8259(pc: Pc) -> None:
    pc.init_pic()
    pc.devices.set_irq(3, True)
    assert pc.devices.lapic is not None
    pc.devices.lapic.accept(0x50)
    assert [pc.devices.acknowledge_interrupt() for _ in range(2)] == [0x50, 0x23]
    assert pc.intr == [False, True, False]


def test_an_acknowledge_with_nothing_pending_is_the_spurious_vector(pc: Pc) -> None:
    pc.init_pic()
    assert pc.devices.acknowledge_interrupt() == 0xFF


def test_the_lapic_timer_and_the_pit_run_side_by_side(pc: Pc) -> None:
    pc.init_pic(mask=0xFF)
    pc.route(2, 0x30)
    for port, value in ((0x43, 0x34), (0x40, 0xA9), (0x40, 0x04)):
        pc.bus.write(port, value, 1)
    pc.local(reg.TDCR, 0xB)
    pc.local(reg.LVT_TIMER, reg.LVT_PERIODIC | 0x40)
    pc.local(reg.TICR, 100_000)
    taken: list[int] = []
    for _ in range(1000):
        pc.run(HZ // 100_000)
        while pc.devices.interrupts.pending():
            taken.append(pc.devices.acknowledge_interrupt())
            pc.local(reg.EOI, 0)
    assert taken.count(0x40) == 10
    assert taken.count(0x30) in (10, 11)


def test_the_local_apic_moves_and_goes_with_its_msr(pc: Pc) -> None:
    pc.devices.set_apic_base(0xFED00900)
    assert pc.mmio.read(LAPIC + reg.VERSION, 4) == 0xFFFFFFFF
    assert pc.mmio.read(0xFED00000 + reg.VERSION, 4) == 0x50014
    with pytest.raises(ValueError, match="another device"):
        pc.devices.set_apic_base(0xFEC00900)
    pc.devices.set_apic_base(0xFED00100)
    assert pc.mmio.read(0xFED00000 + reg.VERSION, 4) == 0xFFFFFFFF
    pc.init_pic()
    pc.devices.set_irq(4, True)
    assert pc.devices.acknowledge_interrupt() == 0x24


def test_a_restored_pc_continues_identically(pc: Pc) -> None:
    pc.init_pic()
    pc.devices.set_apic_base(0xFED00900)
    pc.devices.set_apic_base(0xFEE00900)
    pc.route(4, 0x34)
    pc.local(reg.LVT_TIMER, reg.LVT_PERIODIC | 0x40)
    pc.local(reg.TICR, 7777)
    pc.devices.set_irq(4, True)
    pc.run(1_000_000)
    twin = Pc()
    twin.cycle = pc.cycle
    twin.devices.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(pc.devices.state())))
    assert twin.intr[-1] is pc.intr[-1] is True
    for each in (pc, twin):
        each.run(1_000_000)
    for _ in range(5):
        assert pc.devices.acknowledge_interrupt() == twin.devices.acknowledge_interrupt()
    assert pc.devices.state() == twin.devices.state()


def test_soft_off_ends_the_run_with_status_0(pc: Pc) -> None:
    pc.bus.write(0x604, 0x2000, 2)
    assert pc.ended == [0]
