"""A modelled clock and an event queue to put devices on."""

from emulator.devices.clock import Clock
from emulator.devices.events import EventQueue


class Board:
    """Time passes by `run`, stopping at every deadline as the machine does."""

    def __init__(self, hz: int = 100_000_000) -> None:
        self.cycle = 0
        self.clock = Clock(lambda: self.cycle, hz)
        self.events = EventQueue()
        self.irqs: list[tuple[int, bool]] = []
        self.level = False

    def irq(self, level: bool) -> None:
        if level != self.level:
            self.irqs.append((self.cycle, level))
        self.level = level

    def run(self, cycles: int) -> None:
        self.run_to(self.cycle + cycles)

    def run_to(self, end: int) -> None:
        while (deadline := self.events.next_deadline()) is not None and deadline <= end:
            self.cycle = max(self.cycle, deadline)
            self.events.run_due(self.cycle)
        self.cycle = end
