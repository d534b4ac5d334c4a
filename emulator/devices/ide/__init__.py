"""The two ATA channels of a PC, programmed I/O only, and the disk images behind them."""

from emulator.devices.ide.channel import CHANNELS, IdeChannel
from emulator.devices.ide.disk import SECTOR, Disk, DiskError

__all__ = ["CHANNELS", "SECTOR", "Disk", "DiskError", "IdeChannel"]
