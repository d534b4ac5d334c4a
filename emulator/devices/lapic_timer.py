"""The timer of a local APIC (SDM vol. 3A, "APIC timer", in chapter 8 or 10 by edition).

The count is not simulated: it follows from the bus clocks since it was loaded.

    count loaded at `start`            expires                      expires again (periodic)
    |---------- count * divide --------|-------- initial * divide --|----
    TCCR = count, count-1, ... 1       one-shot: 0 from here on
                                       periodic: initial, initial-1, ...
"""

from collections.abc import Callable
from typing import Final

from emulator.devices.clock import Clock
from emulator.devices.device import Stateful
from emulator.devices.events import EventQueue, cycles_left

DIVISORS: Final = (2, 4, 8, 16, 32, 64, 128, 1)
"""By bits 3, 1 and 0 of the divide configuration register."""


class LapicTimer(Stateful):
    """TICR, TCCR and TDCR, clocked by the bus; `on_expire` is only called while the LVT entry is unmasked.

    Changing the mode or the divisor keeps the current count; only a write of TICR starts the timer.
    """

    FIELDS = ("initial", "tdcr", "periodic", "masked", "count", "start")

    def __init__(self, clock: Clock, events: EventQueue, hz: int, on_expire: Callable[[], None]) -> None:
        self._rate = clock.rate(hz)
        self._events = events
        self._on_expire = on_expire
        self._expiry = events.handle("lapic.timer", self._run)
        self.initial = 0
        self.tdcr = 0
        self.periodic = False
        self.masked = True
        self.count = 0  # TCCR at bus clock `start`
        self.start = 0

    @property
    def divide(self) -> int:
        """Bus clocks for one count."""
        return DIVISORS[self.tdcr >> 1 & 4 | self.tdcr & 3]

    def current(self) -> int:
        """TCCR."""
        return self._count_at(self._rate.now())

    def write_initial(self, value: int) -> None:
        """TICR: start from `value`, or stop when it is 0."""
        self.initial = self.count = value
        self.start = self._rate.now()
        self._arm()

    def write_divide(self, value: int) -> None:
        """TDCR."""
        if value & 0xB != self.tdcr:
            tick = self._rate.now()
            self.count, self.start = self._count_at(tick), tick
            self.tdcr = value & 0xB
            self._arm()

    def set_mode(self, *, periodic: bool, masked: bool) -> None:
        """The mode and mask bits of the timer's LVT entry."""
        if periodic != self.periodic:
            tick = self._rate.now()
            self.count = self._count_at(tick)
            self.start = tick - (tick - self.start) % self.divide  # the divider runs on
            self.periodic = periodic
        self.masked = masked
        self._arm()

    def reset(self) -> None:
        """Power-up: stopped, divide by 2, one-shot, masked."""
        self.initial = self.tdcr = self.count = self.start = 0
        self.periodic = False
        self.masked = True
        self._arm()

    def cycles_to_event(self, now: int) -> int | None:
        """The next expiry that interrupts."""
        return cycles_left(now, self._expiry)

    def _count_at(self, tick: int) -> int:
        elapsed = (tick - self.start) // self.divide
        if elapsed < self.count:
            return self.count - elapsed
        if not self.periodic or not self.count:
            return 0
        return self.initial - (elapsed - self.count) % self.initial

    def _next_expiry(self, after: int) -> int | None:
        """The first bus clock later than `after` at which the count runs out."""
        if not self.count:
            return None
        expiry = self.start + self.count * self.divide
        if expiry > after:
            return expiry
        if not self.periodic:
            return None
        period = self.initial * self.divide
        return expiry + ((after - expiry) // period + 1) * period

    def _run(self, deadline: int) -> None:
        self._on_expire()
        self._arm()

    def _arm(self) -> None:
        """Expiries that are missed between two looks at the agenda are one interrupt, as in IRR."""
        expiry = None if self.masked else self._next_expiry(self._rate.now())
        if expiry is None:
            self._events.cancel(self._expiry)
        else:
            self._events.schedule(self._expiry, self._rate.cycle_of(expiry))
