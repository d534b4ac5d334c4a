"""The debug exit port: how a guest ends its own run with a status."""

from collections.abc import Callable
from typing import Final

from emulator.devices.device import PassiveDevice

PORT: Final = 0xF4


class DebugExit(PassiveDevice):
    """Port 0xf4: a write ends the run with the low byte as its status, whatever its size."""

    def __init__(self, on_exit: Callable[[int], None]) -> None:
        self._on_exit = on_exit

    def read(self, port: int, size: int) -> int:
        """All ones."""
        return 0xFF

    def write(self, port: int, value: int, size: int) -> None:
        """End the run."""
        self._on_exit(value)
