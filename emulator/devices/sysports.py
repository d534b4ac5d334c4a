"""Two single ports of the PC: the POST code at 0x80 and system control port A at 0x92."""

from collections.abc import Callable
from typing import Final

from emulator.devices.device import PassiveDevice

POST_PORT: Final = 0x80
CONTROL_A_PORT: Final = 0x92

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
