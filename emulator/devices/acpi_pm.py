"""ACPI fixed hardware: PM1a blocks and PM timer (ACPI 1.0b, 4.7 "ACPI hardware specification").

    600 PM1_STS   602 PM1_EN   604 PM1_CNT   608 PM_TMR   B2 SMI_CMD   B3 its data

The ports are those of an 82371AB (PIIX4) with its base at 0x600. There is no firmware behind
SMI_CMD: ACPI_ENABLE and ACPI_DISABLE set and clear SCI_EN.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from emulator.devices.clock import Clock
from emulator.devices.device import IrqLine, Stateful
from emulator.devices.events import EventQueue, cycles_left

HZ: Final = 3579545
BASE: Final = 0x600
SIZE: Final = 0x0C
PM1_STS, PM1_EN, PM1_CNT, PM_TMR = 0, 2, 4, 8
SMI_CMD: Final = 0xB2
ACPI_ENABLE: Final = 0xF1
ACPI_DISABLE: Final = 0xF0

TMR: Final = 1 << 0
GBL: Final = 1 << 5
PWRBTN: Final = 1 << 8
RTC: Final = 1 << 10
WAK: Final = 1 << 15
STATUS_BITS: Final = TMR | 1 << 4 | GBL | PWRBTN | RTC | WAK
ENABLE_BITS: Final = TMR | GBL | PWRBTN | RTC
SCI_EN: Final = 1 << 0
CONTROL_BITS: Final = 0x1C03  # SLP_TYP, BM_RLD, SCI_EN
SLP_EN: Final = 1 << 13
SLP_TYP_S5: Final = 0


class AcpiPm(Stateful):
    """PM1_STS, PM1_EN, PM1_CNT and PM_TMR; SCI is a level, asserted while an enabled status bit is set."""

    FIELDS: ClassVar[tuple[str, ...]] = ("status", "enable", "control", "smi", "half")

    def __init__(
        self,
        clock: Clock,
        events: EventQueue,
        set_irq: IrqLine,
        on_power_off: Callable[[], None],
        timer_bits: int = 24,
    ) -> None:
        """`timer_bits`: 24, or 32 if the FADT says TMR_VAL_EXT."""
        self._rate = clock.rate(HZ)
        self._events = events
        self._set_irq = set_irq
        self._on_power_off = on_power_off
        self._timer_bits = timer_bits
        self._carry = events.handle("acpi.timer", self._run)
        self.status = self.enable = self.control = 0
        self.smi = 0  # the last command, and its data above
        self.half = 0  # how often the timer's highest bit had changed when TMR_STS was last looked at

    def press_power_button(self) -> None:
        """The fixed-feature power button."""
        self.status |= PWRBTN
        self._update()

    def read(self, port: int, size: int) -> int:
        """IN from the PM block or the SMI ports."""
        mask = (1 << 8 * size) - 1
        if port < BASE:
            return self.smi >> 8 * (port - SMI_CMD) & mask
        self._look()
        ticks = self._rate.now() & (1 << self._timer_bits) - 1
        block = self.status | self.enable << 16 | self.control << 32 | ticks << 8 * PM_TMR
        return block >> 8 * (port - BASE) & mask

    def write(self, port: int, value: int, size: int) -> None:
        """OUT to them, byte by byte."""
        self._look()
        for i in range(size):
            self._write(port + i, value >> 8 * i & 0xFF)
        self._update()

    def cycles_to_event(self, now: int) -> int | None:
        """The next change of the timer's highest bit, while that interrupts."""
        return cycles_left(now, self._carry)

    def _write(self, port: int, byte: int) -> None:
        if port < BASE:
            shift = 8 * (port - SMI_CMD)
            self.smi = self.smi & ~(0xFF << shift) | byte << shift
            if port == SMI_CMD and byte in (ACPI_ENABLE, ACPI_DISABLE):
                self.control = self.control & ~SCI_EN | (SCI_EN if byte == ACPI_ENABLE else 0)
            return
        register, shift = port - BASE & ~1, 8 * (port & 1)
        bits, mask = byte << shift, 0xFF << shift
        if register == PM1_STS:
            self.status &= ~bits
        elif register == PM1_EN:
            self.enable = (self.enable & ~mask | bits) & ENABLE_BITS
        elif register == PM1_CNT:
            self.control = (self.control & ~mask | bits) & CONTROL_BITS
            if bits & SLP_EN and self.control >> 10 & 7 == SLP_TYP_S5:
                self._on_power_off()

    def _look(self) -> None:
        """TMR_STS is set by every change of the timer's highest bit."""
        half = self._rate.now() >> self._timer_bits - 1
        if half != self.half:
            self.half = half
            self.status |= TMR

    def _run(self, deadline: int) -> None:
        self._look()
        self._update()

    def _update(self) -> None:
        self._set_irq(bool(self.control & SCI_EN and self.status & self.enable))
        if self.enable & TMR and not self.status & TMR:
            self._events.schedule(self._carry, self._rate.cycle_of(self.half + 1 << self._timer_bits - 1))
        else:
            self._events.cancel(self._carry)
