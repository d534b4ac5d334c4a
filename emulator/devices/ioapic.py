"""The I/O APIC: an Intel 82093AA (data sheet 290566), 24 interrupt inputs to messages for local APICs.

pin 0  the 8259's INTR      pin 2  ISA IRQ0 (8254)      pins 1, 3-15  the ISA IRQ of that number
"""

from collections.abc import Callable
from typing import ClassVar, Final

from emulator.devices.device import PassiveDevice
from emulator.devices.lapic_registers import EXTINT, FIXED, LOWEST, NMI

BASE: Final = 0xFEC00000
SIZE: Final = 0x1000
PINS: Final = 24

IOREGSEL: Final = 0x00
IOWIN: Final = 0x10
IOAPICID, IOAPICVER, IOAPICARB, IOREDTBL = 0x00, 0x01, 0x02, 0x10

LOGICAL: Final = 1 << 11
REMOTE_IRR: Final = 1 << 14
LEVEL: Final = 1 << 15
MASKED: Final = 1 << 16
ENTRY_BITS: Final = 0xFF << 56 | 0x1AFFF  # delivery status and remote IRR are read-only

Deliver = Callable[[int, bool, int, int, bool], bool]
"""A message: destination, logical, delivery mode, vector, level; True if somebody accepted it."""


class IoApic(PassiveDevice):
    """IOREGSEL and IOWIN, ID, version, arbitration and the redirection table.

    A pin is driven asserted or not: whoever drives it has applied the polarity, so the polarity
    bit only stores. Messages arrive at once: the delivery status is always idle. An edge on
    a masked pin is lost (data sheet: "Interrupt mask").
    """

    FIELDS: ClassVar[tuple[str, ...]] = ("select", "identity", "arbitration", "lines", "table")

    def __init__(self, deliver: Deliver, identity: int = 1) -> None:
        """`identity`: the ID that the firmware gave it, which its tables tell."""
        self.before_write: Callable[[], None] = lambda: None  # of an entry: lines must be up to date
        self.after_write: Callable[[], None] = lambda: None
        self._deliver = deliver
        self.select = 0
        self.identity = self.arbitration = identity
        self.lines = 0
        self.table = [MASKED] * PINS

    def set_irq(self, line: int, level: bool) -> None:
        """Drive pin `line`."""
        bit = 1 << line
        rises = level and not self.lines & bit
        self.lines = self.lines | bit if level else self.lines & ~bit
        entry = self.table[line]
        if entry & MASKED:
            return
        if self._held(entry):
            self._request(line)
        elif rises:
            self._message(entry)

    def end_of_interrupt(self, vector: int) -> None:
        """The EOI message for a level-triggered vector."""
        for line, entry in enumerate(self.table):
            if entry & REMOTE_IRR and entry & 0xFF == vector:
                self.table[line] = entry & ~REMOTE_IRR
                self._request(line)

    def held(self, line: int) -> bool:
        """Whether pin `line` is level-triggered."""
        return self._held(self.table[line])

    def sends_nmi(self) -> bool:
        """Whether a pin that is not masked becomes an NMI."""
        return any(entry >> 8 & 7 == NMI and not entry & MASKED for entry in self.table)

    def read(self, offset: int, size: int) -> int:
        """A load from IOREGSEL or IOWIN."""
        register, shift = offset & ~3, 8 * (offset & 3)
        value = self.select if register == IOREGSEL else self._read() if register == IOWIN else 0
        return value >> shift & ((1 << 8 * size) - 1)

    def write(self, offset: int, value: int, size: int) -> None:
        """A store to IOREGSEL, of any size, or IOWIN, which takes dwords."""
        if offset == IOREGSEL:
            self.select = value & 0xFF
        elif offset == IOWIN and size == 4:
            self._write(value)

    def _read(self) -> int:
        if self.select == IOAPICID:
            return self.identity << 24
        if self.select == IOAPICVER:
            return PINS - 1 << 16 | 0x11
        if self.select == IOAPICARB:
            return self.arbitration << 24
        line, high = divmod(self.select - IOREDTBL, 2)
        return self.table[line] >> 32 * high & 0xFFFFFFFF if 0 <= line < PINS else 0

    def _write(self, value: int) -> None:
        if self.select == IOAPICID:
            self.identity = self.arbitration = value >> 24 & 0x0F
        line, high = divmod(self.select - IOREDTBL, 2)
        if 0 <= line < PINS:
            self.before_write()
            writable = ENTRY_BITS & 0xFFFFFFFF << 32 * high
            entry = self.table[line] & ~writable | value << 32 * high & writable
            if not entry & LEVEL:
                entry &= ~REMOTE_IRR
            self.table[line] = entry
            self._request(line)
            self.after_write()

    def _request(self, line: int) -> None:
        """A level-triggered pin: one message until its EOI."""
        entry = self.table[line]
        waiting = self.lines >> line & 1 and not entry & (MASKED | REMOTE_IRR)
        if waiting and self._held(entry) and self._message(entry):
            self.table[line] |= REMOTE_IRR

    def _held(self, entry: int) -> bool:
        """Level-triggered: only in fixed and lowest priority mode."""
        return bool(entry & LEVEL) and entry >> 8 & 7 in (FIXED, LOWEST)

    def _message(self, entry: int) -> bool:
        mode = entry >> 8 & 7
        vector = 0 if mode == EXTINT else entry & 0xFF
        return self._deliver(entry >> 56, bool(entry & LOGICAL), mode, vector, self._held(entry))
