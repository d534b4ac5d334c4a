"""Single ports of the PC: the POST code at 0x80, system control port A at 0x92, x87 errors at 0xF0."""

from collections.abc import Callable
from typing import Final

from emulator.devices.device import IrqLine, PassiveDevice

POST_PORT: Final = 0x80
CONTROL_A_PORT: Final = 0x92
NUMERIC_ERROR_PORT: Final = 0xF0

FAST_RESET: Final = 0x01
A20: Final = 0x02


class PostCode(PassiveDevice):
    """Port 0x80: remembers the last byte written; Linux and xv6 write it to wait a microsecond."""

    FIELDS = ("code",)

    def __init__(self) -> None:
        self.code = 0

    def read(self, port: int, size: int) -> int:
        """The last code."""
        return self.code

    def write(self, port: int, value: int, size: int) -> None:
        """A new code."""
        self.code = value


class SystemControlA(PassiveDevice):
    """Port 0x92 (PS/2 system control port A): A20 is always on, bit 0 rising resets the machine."""

    FIELDS = ("control",)

    def __init__(self, on_reset: Callable[[], None]) -> None:
        self._on_reset = on_reset
        self.control = A20

    def read(self, port: int, size: int) -> int:
        """What was written, with A20 on."""
        return self.control

    def write(self, port: int, value: int, size: int) -> None:
        """Remember, and reset on a rising bit 0."""
        rising = value & ~self.control & FAST_RESET
        self.control = value | A20
        if rising:
            self._on_reset()


class NumericError(PassiveDevice):
    """Port 0xF0 (PIIX coprocessor error register): FERR# asserts IRQ13, a write takes it back.

    The write also asserts IGNNE#, with which the processor goes on in spite of the error, if FERR# was
    asserted; the processor's own FERR# ends it. (SDM vol. 1, 8.7.2; appendix D.2.1.)
    """

    FIELDS = ("asserted",)

    def __init__(self, irq: IrqLine) -> None:
        self._irq = irq
        self.on_ignore: Callable[[], None] = lambda: None  # IGNNE#
        self.asserted = False

    def report(self) -> None:
        """FERR#."""
        self.asserted = True
        self._irq(True)

    def read(self, port: int, size: int) -> int:
        """Nothing is there to read."""
        return 0xFF

    def write(self, port: int, value: int, size: int) -> None:
        """Any value."""
        if self.asserted:
            self.asserted = False
            self._irq(False)
            self.on_ignore()
