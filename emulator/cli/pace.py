"""How fast a run goes and where it is, in words for a progress line: looked at four times a second."""

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from emulator.cli.progress import Advance
from emulator.cli.summary import modelled_time

INTERVAL = 0.25  # host seconds between two looks
WINDOW = 2.0  # host seconds that a speed is averaged over
SYMBOL_WIDTH = 32


class Located(Protocol):
    """Something that knows where it executes."""

    def where(self) -> str:
        """`cs:eip (file:symbol+offset)`."""


class Running(Protocol):
    """What is asked of a machine that runs."""

    @property
    def processor(self) -> Located:
        """Its processor."""

    @property
    def cycles(self) -> int:
        """Modelled time."""

    @property
    def instructions(self) -> int:
        """Instructions so far."""


class Pace:
    """Tells a progress line of modelled time, million instructions a second and the current symbol."""

    def __init__(
        self, machine: Running, mhz: float, advance: Advance, clock: Callable[[], float] = monotonic
    ) -> None:
        self._machine, self._mhz, self._advance, self._clock = machine, mhz, advance, clock
        self._next = 0.0
        self._then = (clock(), machine.instructions)
        self._speed = 0.0

    def poll(self) -> None:
        """Called whenever the run looks up; cheap if nothing is due."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + INTERVAL
        before, instructions = self._then
        if now > before:
            self._speed = (self._machine.instructions - instructions) / (now - before) / 1e6
        if now - before >= WINDOW:
            self._then = (now, self._machine.instructions)
        cycles = self._machine.cycles
        self._advance(
            cycles, f"{modelled_time(cycles / (self._mhz * 1e6))} {self._speed:.0f} M/s {self._place()}"
        )

    def _place(self) -> str:
        """The symbol without file and offset, else the address."""
        where = self._machine.processor.where()
        address, found, symbol = where.partition(" (")
        if not found:
            return address
        return symbol.removesuffix(")").partition(":")[2].partition("+")[0][:SYMBOL_WIDTH]
