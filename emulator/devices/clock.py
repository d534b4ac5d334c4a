"""Modelled time: CPU cycles, and the ticks of a device's crystal counted in them without drift."""

from collections.abc import Callable
from math import gcd


class Clock:
    """The machine's time base: `now()` in CPU cycles since power-on, `hz` cycles to a second."""

    def __init__(self, now: Callable[[], int], hz: int) -> None:
        if hz <= 0:
            raise ValueError(f"a clock of {hz} Hz does not tick")
        self.now = now
        self.hz = hz

    def rate(self, hz: int) -> "Rate":
        """The ticks of a crystal of `hz`, in phase with power-on."""
        return Rate(self, hz)


class Rate:
    """A crystal beside the CPU clock: tick `t` happens at real time `t / hz`.

    Both directions divide the whole distance from power-on, in integers, so nothing accumulates:
    `cycle_of(t)` is the first CPU cycle at which `ticks_at(cycle) >= t`.
    """

    __slots__ = ("_clock", "_cycles", "_ticks", "hz")

    def __init__(self, clock: Clock, hz: int) -> None:
        if hz <= 0:
            raise ValueError(f"a crystal of {hz} Hz does not tick")
        common = gcd(hz, clock.hz)
        self._clock = clock
        self._ticks = hz // common
        self._cycles = clock.hz // common
        self.hz = hz

    def now(self) -> int:
        """Ticks that have happened by now."""
        return self._clock.now() * self._ticks // self._cycles

    def ticks_at(self, cycle: int) -> int:
        """Ticks that have happened at `cycle`."""
        return cycle * self._ticks // self._cycles

    def cycle_of(self, tick: int) -> int:
        """The first cycle at which `tick` ticks have happened."""
        return -(-tick * self._cycles // self._ticks)
