"""The real-time clock and CMOS RAM: an MC146818 at ports 70 and 71, running on modelled time.

One second of the divider chain, in ticks of 32768 Hz (data sheet: "Update cycle"):

    0 ............................................. 32695 ..................... 32768
    registers stand still, UIP clear                UIP set (244 us + 1984 us)  registers change, UF, AF
"""

from datetime import datetime, timedelta
from typing import Final

from emulator.devices.clock import Clock
from emulator.devices.device import IrqLine, Stateful
from emulator.devices.events import EventQueue, cycles_left

HZ: Final = 32768
INDEX: Final = 0x70
DATA: Final = 0x71
NMI_DISABLE: Final = 0x80

SECONDS, MINUTES, HOURS = 0, 2, 4
ALARMS: Final = ((0, 1), (2, 3), (4, 5))  # a time register and its alarm
WEEKDAY, DAY, MONTH, YEAR, CENTURY = 6, 7, 8, 9, 0x32
A, B, C, D = 0x0A, 0x0B, 0x0C, 0x0D

UIP: Final = 0x80
B_24H: Final = 0x02
B_BINARY: Final = 0x04
B_UIE: Final = 0x10
B_AIE: Final = 0x20
B_PIE: Final = 0x40
B_SET: Final = 0x80
IRQF: Final = 0x80
VRT: Final = 0x80
PM: Final = 0x80
DONT_CARE: Final = 0xC0
UPDATE_TICKS: Final = 73

DEFAULT_BASE: Final = datetime(2003, 6, 1)


class Rtc146818(Stateful):
    """Time, calendar and alarm registers, registers A to D, and 114 bytes of RAM.

    `cmos` holds what the guest wrote, in the format of its time; changing DM or 24/12 converts nothing. A
    date that does not exist stands still. The year at 9 goes with the century at 0x32.
    """

    PORTS = ((INDEX, 2),)
    FIELDS = ("cmos", "index", "nmi_disabled", "tick", "origin")

    def __init__(
        self, clock: Clock, events: EventQueue, set_irq: IrqLine, base: datetime = DEFAULT_BASE, ram: int = 0
    ) -> None:
        self._rate = clock.rate(HZ)
        self._events = events
        self._set_irq = set_irq
        self._wake = events.handle("rtc", self._run)
        self.index = 0
        self.nmi_disabled = False
        self.tick = self.origin = self._rate.now()  # seconds begin at origin + n * 32768
        self.cmos = bytearray(128)
        self.cmos[A] = 0x26  # the 32768 Hz crystal, 1024 Hz periodic rate
        self.cmos[B] = B_24H
        self.cmos[D] = VRT
        self.cmos[0x14] = 0x02  # equipment: a coprocessor
        self._set_memory(ram)
        self._store(base)
        self.cmos[WEEKDAY] = base.isoweekday() % 7 + 1

    # --- ports ---

    def read(self, port: int, size: int) -> int:
        """IN from the data port; the index port is write-only."""
        if port != DATA:
            return 0xFF
        self._advance(self._rate.now())
        value = self.cmos[self.index]
        if self.index == A and self._updating():
            value |= UIP
        elif self.index == C:
            self.cmos[C] = 0
            self._finish()
        return value

    def write(self, port: int, value: int, size: int) -> None:
        """OUT: an index with the NMI mask in bit 7, or a register."""
        if port != DATA:
            self.index = value & 0x7F
            self.nmi_disabled = bool(value & NMI_DISABLE)
            return
        self._advance(self._rate.now())
        if self.index == A:
            self._write_a(value)
        elif self.index == B:
            self.cmos[B] = value & ~B_UIE if value & B_SET else value
        elif self.index not in (C, D):
            self.cmos[self.index] = value
        self._finish()

    def cycles_to_event(self, now: int) -> int | None:
        """The next interrupt that may come."""
        return cycles_left(now, self._wake)

    def _write_a(self, value: int) -> None:
        ran = self._running()
        self.cmos[A] = value & ~UIP
        if self._running() and not ran:  # "the first update occurs 500 ms after the divider reset is removed"
            self.origin = self.tick - HZ // 2

    # --- time ---

    def _running(self) -> bool:
        return self.cmos[A] >> 4 & 7 == 2

    def _updating(self) -> bool:
        phase = (self.tick - self.origin) % HZ
        return self._running() and not self.cmos[B] & B_SET and phase >= HZ - UPDATE_TICKS

    def _period(self) -> int:
        """Ticks between periodic interrupts ("Periodic interrupt rate" table), 0 for none."""
        rs = self.cmos[A] & 0x0F
        return 1 << (rs + 6 if rs < 3 else rs - 1) if rs and self._running() else 0

    def _advance(self, tick: int) -> None:
        """Bring time and the flags of register C up to `tick`."""
        before, after = self.tick - self.origin, tick - self.origin
        if after <= before:
            return
        self.tick = tick
        period = self._period()
        if period and before // period != after // period:
            self.cmos[C] |= B_PIE
        seconds = after // HZ - before // HZ
        if seconds and self._running() and not self.cmos[B] & B_SET:
            self._update(seconds)
        self._set_irqf()

    def _update(self, seconds: int) -> None:
        self.cmos[C] |= B_UIE
        start = self._load()
        if start is None or start.year >= 9999:
            return
        if not self.cmos[C] & B_AIE:
            for second in range(max(1, seconds - 86399), seconds + 1):
                self._store(start + timedelta(seconds=second))
                if all(self._matches(*pair) for pair in ALARMS):
                    self.cmos[C] |= B_AIE
                    break
        end = start + timedelta(seconds=seconds)
        self._store(end)
        self.cmos[WEEKDAY] = (self.cmos[WEEKDAY] - 1 + (end.date() - start.date()).days) % 7 + 1

    def _matches(self, register: int, alarm: int) -> bool:
        wanted = self.cmos[alarm]
        return wanted & DONT_CARE == DONT_CARE or wanted == self.cmos[register]

    def _run(self, deadline: int) -> None:
        self._advance(self._rate.ticks_at(deadline))
        self._finish()

    def _finish(self) -> None:
        """Drive IRQ8 and arm the next event that an enabled interrupt needs."""
        self._set_irqf()
        since = self.tick - self.origin
        enabled = self.cmos[B] & ~self.cmos[C]
        due = []
        period = self._period()
        if period and enabled & B_PIE:
            due.append((since // period + 1) * period)
        if self._running() and not self.cmos[B] & B_SET and enabled & (B_UIE | B_AIE):
            due.append((since // HZ + 1) * HZ)
        if due:
            self._events.schedule(self._wake, self._rate.cycle_of(self.origin + min(due)))
        else:
            self._events.cancel(self._wake)

    def _set_irqf(self) -> None:
        flags = self.cmos[C] & 0x70
        level = bool(flags & self.cmos[B])
        self.cmos[C] = flags | IRQF * level
        self._set_irq(level)

    # --- formats ---

    def _get(self, register: int) -> int:
        value = self.cmos[register]
        return value if self.cmos[B] & B_BINARY else (value >> 4) * 10 + (value & 0xF)

    def _put(self, register: int, value: int) -> None:
        self.cmos[register] = value if self.cmos[B] & B_BINARY else value // 10 << 4 | value % 10

    def _load(self) -> datetime | None:
        hour = self._get(HOURS)
        if not self.cmos[B] & B_24H:
            pm = self.cmos[HOURS] & PM
            raw = self.cmos[HOURS] & ~PM
            hour = (raw if self.cmos[B] & B_BINARY else (raw >> 4) * 10 + (raw & 0xF)) % 12 + 12 * bool(pm)
        try:
            return datetime(
                self._get(CENTURY) * 100 + self._get(YEAR),
                self._get(MONTH),
                self._get(DAY),
                hour,
                self._get(MINUTES),
                self._get(SECONDS),
            )
        except ValueError:
            return None

    def _store(self, time: datetime) -> None:
        self._put(SECONDS, time.second)
        self._put(MINUTES, time.minute)
        if self.cmos[B] & B_24H:
            self._put(HOURS, time.hour)
        else:
            self._put(HOURS, time.hour % 12 or 12)
            self.cmos[HOURS] |= PM * (time.hour >= 12)
        self._put(DAY, time.day)
        self._put(MONTH, time.month)
        self._put(YEAR, time.year % 100)
        self._put(CENTURY, time.year // 100)

    def _set_memory(self, ram: int) -> None:
        """The memory sizes that a BIOS leaves: KB below 1 MB, KB above, 64 KB blocks above 16 MB."""
        extended = min(max(ram - 0x100000, 0) >> 10, 0xFFFF)
        above = min(max(ram - 0x1000000, 0) >> 16, 0xFFFF)
        for low, high, size in ((0x15, 0x16, 640), (0x17, 0x18, extended), (0x30, 0x31, extended)):
            self.cmos[low], self.cmos[high] = size & 0xFF, size >> 8
        self.cmos[0x34], self.cmos[0x35] = above & 0xFF, above >> 8
