"""The devices of a PC, wired: who has which ports and which interrupt line.

20-21 A0-A1 4D0-4D1  8259A pair     IRQ0  8254 OUT0
40-43 61             8254, port B   IRQ4  COM1
70-71                RTC, CMOS      IRQ8  RTC
80                   POST code
92                   A20, reset
3F8-3FF              COM1
F4                   debug exit
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

from emulator.devices import debugexit, sysports
from emulator.devices.clock import Clock
from emulator.devices.device import Device, State
from emulator.devices.events import EventQueue
from emulator.devices.pic_pair import PicPair
from emulator.devices.pit8254 import Pit8254
from emulator.devices.rtc146818 import DEFAULT_BASE, Rtc146818
from emulator.devices.uart16550 import Uart16550
from emulator.memory.bus import PortBus

IRQ_PIT: Final = 0
IRQ_COM1: Final = 4
IRQ_RTC: Final = 8


class PcDevices:
    """Builds the devices onto `bus`; INTR, exit, reset and the event queue are the machine's.

    `irq_levels` has a bit for every ISA interrupt line. `on_irq`, when set, also hears every change of
    one: an I/O APIC listens there.
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
    ) -> None:
        self.bus = PortBus()
        self.events = events
        self.on_irq: Callable[[int, bool], None] | None = None
        self.irq_levels = 0
        self.pic = PicPair()
        self.pic.on_intr(on_intr)
        self.pit = Pit8254(clock, events, partial(self.set_irq, IRQ_PIT))
        self.com1 = Uart16550(clock, events, partial(self.set_irq, IRQ_COM1), sink)
        self.rtc = Rtc146818(clock, events, partial(self.set_irq, IRQ_RTC), base_time, ram)
        self.post = sysports.PostCode()
        self.control_a = sysports.SystemControlA(on_reset)
        self.debug_exit = debugexit.DebugExit(on_exit)
        for device in (self.pic, self.pit, self.com1, self.rtc):
            for first, count in device.PORTS:
                self.bus.register(device, first, count)
        self.bus.register(self.post, sysports.POST_PORT)
        self.bus.register(self.control_a, sysports.CONTROL_A_PORT)
        self.bus.register(self.debug_exit, debugexit.PORT)
        self._devices: dict[str, Device] = {
            "pit": self.pit,
            "com1": self.com1,
            "rtc": self.rtc,
            "post": self.post,
            "control_a": self.control_a,
            "debug_exit": self.debug_exit,
            "pic": self.pic,
        }

    def set_irq(self, line: int, level: bool) -> None:
        """Drive ISA interrupt line `line`."""
        if level == bool(self.irq_levels >> line & 1):
            return
        self.irq_levels ^= 1 << line
        self.pic.set_irq(line, level)
        if self.on_irq is not None:
            self.on_irq(line, level)

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
        self.events.restore(state["events"])
