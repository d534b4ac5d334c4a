"""The devices of a PC, wired: who has which ports and which interrupt line.

20-21 A0-A1 4D0-4D1  8259A pair     IRQ0  8254 OUT0
40-43 61             8254, port B   IRQ4  COM1
70-71                RTC, CMOS      IRQ8  RTC
80                   POST code      IRQ9  ACPI SCI
92                   A20, reset
B2-B3 600-60B        ACPI PM
3F8-3FF              COM1           FEC00000  I/O APIC
F0                   x87 errors     IRQ13 x87 errors
F4                   debug exit     FEE00000  local APIC
510-511              fw_cfg
and what peripherals.py lists
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from emulator.devices import acpi_pm, debugexit, fw_cfg, ioapic, sysports
from emulator.devices.clock import Clock
from emulator.devices.device import Device, State
from emulator.devices.events import EventQueue
from emulator.devices.ide import Disk
from emulator.devices.interrupts import InterruptControllers
from emulator.devices.lapic import Lapic
from emulator.devices.lapic_registers import BASE_ADDRESS, PAGE
from emulator.devices.peripherals import Peripherals
from emulator.devices.pic_pair import PicPair
from emulator.devices.pit8254 import Pit8254
from emulator.devices.rtc146818 import DEFAULT_BASE, Rtc146818
from emulator.devices.uart16550 import Uart16550
from emulator.memory.bus import PortBus
from emulator.memory.mmio import MmioBus

IRQ_PIT: Final = 0
IRQ_COM1: Final = 4
IRQ_RTC: Final = 8
IRQ_SCI: Final = 9
IRQ_NUMERIC_ERROR: Final = 13


# SeaBIOS's choices: counters 0 and 1, then ICW1 to ICW4 and OCW1 of both chips
FIRMWARE_WRITES: Final = (
    *((0x43, 0x34), (0x40, 0), (0x40, 0), (0x43, 0x54), (0x41, 18)),
    *((0x20, 0x11), (0x21, 0x08), (0x21, 0x04), (0x21, 0x01), (0x21, 0xB8)),
    *((0xA0, 0x11), (0xA1, 0x70), (0xA1, 0x02), (0xA1, 0x01), (0xA1, 0x8E)),
)


class PcDevices:
    """Builds the devices onto `bus` and `mmio`; INTR, exit, reset and the event queue are the machine's.

    With `apic` there are a local APIC (`lapic`) and an I/O APIC (`ioapic`), in the virtual wire mode that
    firmware leaves; else these are None. `irq_levels` has a bit for every ISA interrupt line; the
    timer's falls late, unless that matters (`Pit8254`). `on_irq`, when set, also hears every change of one.
    """

    def __init__(
        self,
        clock: Clock,
        events: EventQueue,
        sink: Callable[[bytes], None],
        on_intr: Callable[[bool], None],
        on_exit: Callable[[int], None],
        on_reset: Callable[[], None],
        *,
        ram: int = 0,
        base_time: datetime = DEFAULT_BASE,
        apic: bool = False,
        xapic: bool = True,
        bus_hz: int = 100_000_000,
        on_power_off: Callable[[], None] | None = None,
        disks: Sequence[Disk | None] = (),
    ) -> None:
        """`apic`: CPUID offers it; `xapic`: a Pentium 4's, not a P6's; `bus_hz`: the clock of its timer.

        `on_power_off`: ACPI soft-off; unless given it is `on_exit(0)`. `disks`: see `Peripherals`.
        """
        self.bus = PortBus()
        self.mmio = MmioBus()
        self.events = events
        self.on_irq: Callable[[int, bool], None] | None = None
        self.irq_levels = 0
        self.pic = PicPair()
        self.lapic = Lapic(clock, events, xapic=xapic, bus_hz=bus_hz) if apic else None
        self.interrupts = InterruptControllers(self.pic, self.lapic, on_intr)
        self.ioapic = self.interrupts.ioapic
        self.pit = Pit8254(clock, events, partial(self.set_irq, IRQ_PIT), self.interrupts.irq0_fall_matters)
        self.pic.before_access, self.pic.after_access = self.pit.catch_up, self.pit.reconsider
        if self.ioapic is not None:
            self.ioapic.before_write, self.ioapic.after_write = self.pit.catch_up, self.pit.reconsider
        self.com1 = Uart16550(clock, events, partial(self.set_irq, IRQ_COM1), sink)
        self.rtc = Rtc146818(clock, events, partial(self.set_irq, IRQ_RTC), base_time, ram)
        self.post = sysports.PostCode()
        self.control_a = sysports.SystemControlA(on_reset)
        self.numeric_error = sysports.NumericError(partial(self.set_irq, IRQ_NUMERIC_ERROR))
        self.debug_exit = debugexit.DebugExit(on_exit)
        self.fw_cfg = fw_cfg.FwCfg(ram)
        power_off = on_power_off or partial(on_exit, 0)
        self.acpi = acpi_pm.AcpiPm(clock, events, partial(self.set_irq, IRQ_SCI), power_off)
        for device in (self.pic, self.pit, self.com1, self.rtc):
            for first, count in device.PORTS:
                self.bus.register(device, first, count)
        self.bus.register(self.post, sysports.POST_PORT)
        self.bus.register(self.control_a, sysports.CONTROL_A_PORT)
        self.bus.register(self.numeric_error, sysports.NUMERIC_ERROR_PORT)
        self.bus.register(self.debug_exit, debugexit.PORT)
        self.bus.register(self.fw_cfg, fw_cfg.SELECTOR, 2, width=2)
        self.bus.register(self.acpi, acpi_pm.BASE, acpi_pm.SIZE, width=4)
        self.bus.register(self.acpi, acpi_pm.SMI_CMD, 2)
        self.peripherals = Peripherals(clock, events, self.bus, self.set_irq, on_reset, disks)
        self.keyboard, self.vga = self.peripherals.keyboard, self.peripherals.vga
        self._devices: dict[str, Device] = {
            **self.peripherals.devices,
            "pit": self.pit,
            "com1": self.com1,
            "rtc": self.rtc,
            "post": self.post,
            "control_a": self.control_a,
            "numeric_error": self.numeric_error,
            "debug_exit": self.debug_exit,
            "fw_cfg": self.fw_cfg,
            "acpi": self.acpi,
            "pic": self.pic,
        }
        if self.lapic is not None and self.ioapic is not None:
            self._place_lapic()
            self.mmio.register(self.ioapic, ioapic.BASE, ioapic.SIZE)
            self._devices |= {"ioapic": self.ioapic, "lapic": self.lapic}  # after what drives them

    def as_firmware_leaves(self) -> None:
        """The state in which a BIOS hands over: the 8254 counts 18.2 times a second, the 8259As are set up.

        IRQ0 is vector 8, IRQ8 vector 70; open are the timer, the keyboard, the RTC and what a BIOS serves. A
        kernel gets its first IRQ0 when it sets IF, as on a PC.
        """
        for port, value in FIRMWARE_WRITES:
            self.bus.write(port, value, 1)

    def set_irq(self, line: int, level: bool) -> None:
        """Drive ISA interrupt line `line`."""
        if level == bool(self.irq_levels >> line & 1):
            return
        self.irq_levels ^= 1 << line
        self.interrupts.set_irq(line, level)
        if self.on_irq is not None:
            self.on_irq(line, level)

    def acknowledge_interrupt(self) -> int:
        """The processor takes an interrupt: the vector, of whichever controller asked."""
        return self.interrupts.acknowledge()

    def apic_base(self) -> int:
        """IA32_APIC_BASE; 0 without a local APIC."""
        return 0 if self.lapic is None else self.lapic.base_msr

    def set_apic_base(self, value: int) -> None:
        """WRMSR of IA32_APIC_BASE: the local APIC comes, goes or moves.

        Raises: ValueError for reserved bits, a place that is taken, or without an APIC.
        """
        if self.lapic is None:
            raise ValueError("there is no local APIC")
        if self.mmio.device_at(value & BASE_ADDRESS) not in (None, self.lapic):
            raise ValueError(f"another device is at {value & BASE_ADDRESS:#x}")
        self.lapic.set_base_msr(value)
        self._place_lapic()

    def _place_lapic(self) -> None:
        if self.lapic is not None:
            self.mmio.remove(self.lapic)
            if self.lapic.enabled:
                self.mmio.register(self.lapic, self.lapic.base, PAGE)

    def cycles_to_event(self, now: int) -> int | None:
        """Cycles to the next event of any device on the queue."""
        deadline = self.events.next_deadline()
        return None if deadline is None else max(0, deadline - now)

    def state(self) -> State:
        """All devices, the interrupt lines and the whole event queue, as plain data."""
        devices = {name: device.state() for name, device in self._devices.items()}
        return {"devices": devices, "levels": self.irq_levels, "events": self.events.state()}

    def restore(self, state: State) -> None:
        """Put all back; INTR is told to the machine again, and the next deadline if it changed."""
        if state["devices"].keys() != self._devices.keys():
            raise ValueError("this is a state of other devices")
        for name, device in self._devices.items():
            device.restore(state["devices"][name])
        self.irq_levels = state["levels"]
        self._place_lapic()
        self.events.restore(state["events"])
