"""The two DMA controllers and their page registers: a memory for what is written, no transfers.

00-0F  8237 no. 1, channels 0 to 3     81 82 83 87  pages of channels 2 3 1 0
C0-DF  8237 no. 2, every other port    89 8A 8B 8F  pages of channels 6 7 5, refresh
"""

from typing import Final

from emulator.devices.device import PassiveDevice, State

FIRST: Final = 0x00
SECOND: Final = 0xC0
PAGES: Final = 0x81
PAGE_COUNT: Final = 15

COMMAND, REQUEST, MASK_ONE, MODE, CLEAR_FLIP_FLOP, MASTER_CLEAR, CLEAR_MASK, MASK_ALL = range(8, 16)


class Dma8237(PassiveDevice):
    """Intel 8237A ("Register description", "Software commands"), with nobody who requests."""

    FIELDS = ("counts", "high_byte", "command", "mask")

    def __init__(self, base: int, spacing: int) -> None:
        self.PORTS = ((base, 16 * spacing),)
        self._base = base
        self._spacing = spacing
        self.counts = [0] * 8  # address and count of each channel
        self._master_clear()

    def _master_clear(self) -> None:
        self.high_byte = False
        self.command = 0
        self.mask = 0x0F

    def read(self, port: int, size: int) -> int:
        """An address or a count, a byte at a time; the status: nothing requested, nothing done."""
        register = (port - self._base) // self._spacing
        if register < 8:
            value = self.counts[register] >> 8 * self.high_byte & 0xFF
            self.high_byte = not self.high_byte
            return value
        return 0xF0 | self.mask if register == MASK_ALL else 0

    def write(self, port: int, value: int, size: int) -> None:
        """An address or a count, a byte at a time, or a command."""
        register = (port - self._base) // self._spacing
        if register < 8:
            shift = 8 * self.high_byte
            self.counts[register] = self.counts[register] & ~(0xFF << shift) | value << shift
            self.high_byte = not self.high_byte
        elif register == COMMAND:
            self.command = value
        elif register == MASK_ONE:
            bit = 1 << (value & 3)
            self.mask = self.mask | bit if value & 4 else self.mask & ~bit
        elif register == CLEAR_FLIP_FLOP:
            self.high_byte = False
        elif register == MASTER_CLEAR:
            self._master_clear()
        elif register == CLEAR_MASK:
            self.mask = 0
        elif register == MASK_ALL:
            self.mask = value & 0x0F


class PageRegisters(PassiveDevice):
    """Ports 81 to 8F (the AT's 74LS612); those without a channel are scratch, and written to wait."""

    PORTS = ((PAGES, PAGE_COUNT),)
    FIELDS = ("pages",)

    def __init__(self) -> None:
        self.pages = bytearray(PAGE_COUNT)

    def read(self, port: int, size: int) -> int:
        """What was written."""
        return self.pages[port - PAGES]

    def write(self, port: int, value: int, size: int) -> None:
        """Remember."""
        self.pages[port - PAGES] = value


class DmaControllers(PassiveDevice):
    """Both controllers and the pages, as one device of the board."""

    def __init__(self) -> None:
        self.first = Dma8237(FIRST, 1)
        self.second = Dma8237(SECOND, 2)
        self.pages = PageRegisters()
        self.parts = {"first": self.first, "second": self.second, "pages": self.pages}
        self.PORTS = (*self.first.PORTS, *self.second.PORTS, *self.pages.PORTS)

    def read(self, port: int, size: int) -> int:
        """IN."""
        return self._part(port).read(port, size)

    def write(self, port: int, value: int, size: int) -> None:
        """OUT."""
        self._part(port).write(port, value, size)

    def _part(self, port: int) -> Dma8237 | PageRegisters:
        if port < PAGES:
            return self.first
        return self.second if port >= SECOND else self.pages

    def state(self) -> State:
        """All three."""
        return {name: part.state() for name, part in self.parts.items()}

    def restore(self, state: State) -> None:
        """Put all three back."""
        for name, part in self.parts.items():
            part.restore(state[name])
