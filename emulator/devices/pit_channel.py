"""One counter of an 8254 (data sheet: "Mode definitions", "Read operations", "Write operations").

Nothing is simulated tick by tick. The counter runs from one point of interest to the next, and in
between it only counts:

    a count or a trigger waits     the next CLK loads CE from CR
    modes 0, 1                     CE reaches 0: OUT high; CE wraps and counts on
    mode 2                         CE reaches 1: OUT low; the CLK after: CE reloaded, OUT high
    mode 3                         the CLK after CE (by twos) has expired: OUT flips, CE reloaded
    modes 4, 5                     CE reaches 0: OUT low for one CLK
"""

from collections.abc import Callable
from typing import Final

from emulator.devices.device import Stateful

RW_LSB: Final = 1
RW_MSB: Final = 2
RW_BOTH: Final = 3

STATUS_OUT: Final = 0x80
STATUS_NULL: Final = 0x40


def _ignore(level: bool) -> None:
    pass


class PitChannel(Stateful):
    """CR, CE, OL and the control logic of one counter; `tick` is the CLK pulse up to which it has run.

    CE is kept as a number 1..65536 (1..10000 in BCD) or 0. At power-up mode and counts are undefined by
    the data sheet; here OUT is high and nothing counts. A count of 1 is illegal in modes 2 and 3: OUT stays
    high and the counter waits for another count.
    """

    FIELDS = (
        *("control", "mode", "bcd", "rw", "gate", "out", "tick"),
        *("cr", "ce", "period", "written", "null_count", "load", "counting", "armed"),
        *("write_msb", "low_byte", "read_msb", "ol", "status_latch"),
    )

    def __init__(self, on_out: Callable[[bool], None] = _ignore) -> None:
        self._on_out = on_out
        self.control = 0  # the control word's RW, M and BCD bits
        self.mode = self.rw = 0
        self.bcd = False
        self.gate = self.out = True
        self.tick = 0
        self.cr = self.ce = self.period = 0  # period: the count that was last loaded
        self.written = False  # CR has a count since the control word
        self.null_count = True
        self.load = False  # the next CLK loads CE
        self.counting = False  # CE has been loaded since the control word
        self.armed = False  # modes 4, 5: the strobe is still to come
        self.write_msb = self.read_msb = False
        self.low_byte = 0
        self.ol: int | None = None
        self.status_latch: int | None = None

    # --- time ---

    def ticks_to_event(self) -> int | None:
        """CLK pulses from `tick` to the next point of interest, if any; OUT changes at no other."""
        if self.load or (self.mode >= 4 and not self.out):
            return 1
        if self._stopped():
            return None
        if self.mode in (2, 3):
            if self.period == 1:
                return 1 if self.null_count else None
            if self.mode == 2:
                return max(self.ce - 1, 1)
            return (self.ce - self._last()) // 2 + 1
        if self.armed if self.mode >= 4 else not self.out:
            return self.ce or self._modulus()
        return None

    def ticks_to_rise(self) -> int | None:
        """CLK pulses from `tick` through a fall of OUT, which comes first, to the rise after it.

        None if OUT is low, doesn't fall next, or doesn't rise by itself after it.
        """
        if self.mode not in (2, 3) or not self.out or self.load or self._stopped() or self.period == 1:
            return None
        if self.mode == 2:  # the pulse is one CLK long
            return max(self.ce - 1, 1) + 1
        low = (self._decode(self.cr) or self._modulus()) // 2  # the fall loads CR, which may be new
        return (self.ce - self._last()) // 2 + 1 + low if low else None

    def advance(self, tick: int) -> None:
        """Run up to CLK pulse `tick`."""
        while self.tick < tick:
            left = tick - self.tick
            step = self.ticks_to_event()
            if step is None or step > left:
                self._count(left)
                self.tick = tick
                return
            self.tick += step
            if self.load:
                self._load(out=self.mode != 1)
            else:
                self._count(step)
                self._event()
            if self.mode in (2, 3) and self.ce == self._initial() and self.period > 1:
                self.tick += (tick - self.tick) // self.period * self.period  # whole periods change nothing

    def _count(self, ticks: int) -> None:
        if self._stopped():
            return
        if self.mode == 2:
            self.ce = max(self.ce - ticks, 1)
        elif self.mode == 3:
            self.ce = max(self.ce - 2 * ticks, self._last())
        else:
            self.ce = (self.ce - ticks) % self._modulus()

    def _event(self) -> None:
        if self.mode == 2:
            if self.out and self.period > 1:
                self._set_out(False)
            else:
                self._load(out=True)
        elif self.mode == 3:
            self._load(out=not self.out or self.period == 1)
        elif self.mode < 2 or not self.out:
            self._set_out(True)
        else:
            self.armed = False
            self._set_out(False)

    def _load(self, out: bool) -> None:
        """CR to CE; `out` is the level that OUT takes with it."""
        self.load = self.null_count = False
        self.counting = True
        self.period = self._decode(self.cr) or self._modulus()
        self.ce = self._initial()
        self.armed = self.mode >= 4
        if self.mode:
            self._set_out(out or (self.mode == 3 and self.period == 1))

    def _initial(self) -> int:
        return self.period & ~1 if self.mode == 3 else self.period

    def _last(self) -> int:
        """Mode 3: the last CE of this half; an odd count's high half has one CLK more."""
        return 0 if self.period & 1 and self.out else 2

    def _stopped(self) -> bool:
        return not self.counting or not (self.gate or self.mode in (1, 5))

    def _set_out(self, level: bool) -> None:
        if level != self.out:
            self.out = level
            self._on_out(level)

    def _modulus(self) -> int:
        return 10000 if self.bcd else 0x10000

    def _decode(self, raw: int) -> int:
        if not self.bcd:
            return raw
        return sum((raw >> 4 * i & 0xF) * 10**i for i in range(4))

    def _encode(self, value: int) -> int:
        value %= self._modulus()
        return int(str(value), 16) if self.bcd else value

    # --- registers, at the present tick ---

    def write_control(self, word: int) -> None:
        """A control word for this counter (RW not 0): OUT takes the mode's initial level, counting ends."""
        self.control = word & 0x3F
        self.rw = word >> 4 & 3
        mode = word >> 1 & 7
        self.mode = mode & 3 if mode > 5 else mode
        self.bcd = bool(word & 1)
        self.cr = 0
        self.null_count = True
        self.written = self.load = self.counting = self.armed = False
        self.write_msb = self.read_msb = False
        self.ol = self.status_latch = None
        self._set_out(self.mode != 0)

    def write(self, value: int) -> None:
        """A byte of the count, in the order that RW says."""
        if self.rw != RW_BOTH:
            self._write_cr(value if self.rw == RW_LSB else value << 8)
        elif self.write_msb:
            self.write_msb = False
            self._write_cr(value << 8 | self.low_byte)
        else:
            self.write_msb = True
            self.low_byte = value
            if self.mode == 0:  # the first byte disables counting and sets OUT low
                self.counting = self.load = False
                self._set_out(False)

    def _write_cr(self, count: int) -> None:
        self.cr = count
        self.written = self.null_count = True
        if self.mode == 0:
            self._set_out(False)
        if self.mode in (0, 4) or (self.mode in (2, 3) and not self.counting):
            self.load = True

    def read(self) -> int:
        """The latched status, else the next byte of OL or of the running CE."""
        if self.status_latch is not None:
            status, self.status_latch = self.status_latch, None
            return status
        count = self._encode(self.ce) if self.ol is None else self.ol
        if self.rw != RW_BOTH:
            self.ol = None
            return count >> 8 if self.rw == RW_MSB else count & 0xFF
        self.read_msb = not self.read_msb
        if self.read_msb:
            return count & 0xFF
        self.ol = None
        return count >> 8

    def latch_count(self) -> None:
        """Counter latch command: ignored while OL still holds a count."""
        if self.ol is None:
            self.ol = self._encode(self.ce)

    def latch_status(self) -> None:
        """Read-back of the status byte: ignored while one is latched."""
        if self.status_latch is None:
            self.status_latch = STATUS_OUT * self.out | STATUS_NULL * self.null_count | self.control

    def set_gate(self, level: bool) -> None:
        """Drive GATE ("Gate pin operations summary"): a rising edge triggers modes 1, 2, 3 and 5."""
        if level == self.gate:
            return
        self.gate = level
        if self.mode in (0, 4):
            return
        if level and self.written:
            self.load = True
        elif not level and self.mode in (2, 3):
            self._set_out(True)
