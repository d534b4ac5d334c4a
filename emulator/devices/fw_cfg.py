"""The configuration device of QEMU: where test suites ask for the memory size and the number of processors.

510   selector, write only, 16 bits: which item; its bytes are read from the first on
511   data, 8 bits: the item's next byte; 0 behind its end, and for an item that isn't there

Bit 15 of a selector marks items of the architecture, bit 14 writing, which does nothing (QEMU, "Firmware
Configuration (fw_cfg) Device").
"""

from typing import Final

from emulator.devices.device import PassiveDevice

SELECTOR: Final = 0x510
DATA: Final = 0x511

WRITE_CHANNEL: Final = 0x4000
SIGNATURE: Final = 0x00
ID: Final = 0x01
RAM_SIZE: Final = 0x03
NOGRAPHIC: Final = 0x04
NB_CPUS: Final = 0x05
MAX_CPUS: Final = 0x0F
FILE_DIR: Final = 0x19

TRADITIONAL: Final = 0x01  # of the ID: the two ports, no DMA


class FwCfg(PassiveDevice):
    """Ports 510 and 511. The directory of files is empty."""

    PORTS = ((SELECTOR, 2),)
    FIELDS = ("selector", "offset")

    def __init__(self, ram: int) -> None:
        """`ram`: memory in bytes."""
        self.selector = SIGNATURE
        self.offset = 0
        self._items = {
            SIGNATURE: b"QEMU",
            ID: _number(TRADITIONAL, 4),
            RAM_SIZE: _number(ram, 8),
            NOGRAPHIC: _number(0, 2),
            NB_CPUS: _number(1, 2),
            MAX_CPUS: _number(1, 2),
            FILE_DIR: _number(0, 4),
        }

    def read(self, port: int, size: int) -> int:
        """The next byte of the item; a selector reads 0."""
        if port == SELECTOR or size != 1:
            return 0
        item = self._items.get(self.selector, b"")
        value = item[self.offset] if self.offset < len(item) else 0
        self.offset = min(self.offset + 1, len(item))
        return value

    def write(self, port: int, value: int, size: int) -> None:
        """A word to 510 selects an item; all else is ignored."""
        if port == SELECTOR and size == 2:
            self.selector = value & 0xFFFF & ~WRITE_CHANNEL
            self.offset = 0


def _number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")
