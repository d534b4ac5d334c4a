"""Physical RAM: one numpy array, which the engine executes from and the model reads in place."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PAGE: Final = 4096


class PhysicalMemory:
    """`size` bytes of RAM from physical address 0."""

    def __init__(self, size: int) -> None:
        """`size`: bytes, a multiple of 4 KB.

        Raises: ValueError for sizes that no PC of the time has.
        """
        if size % PAGE or not (1 << 20) <= size <= (3 << 30):
            raise ValueError(f"memory of {size} bytes: a multiple of 4096 from 1M to 3G is needed")
        self.bytes: NDArray[Any] = np.zeros(size, dtype=np.uint8)
        self.size = size

    @property
    def address(self) -> int:
        """Host address of byte 0."""
        return int(self.bytes.ctypes.data)

    def read(self, address: int, size: int) -> bytes:
        """Bytes at a physical address; memory that isn't there reads as ones."""
        data = self.bytes[address : address + size].tobytes() if address < self.size else b""
        return data + b"\xff" * (size - len(data))

    def write(self, address: int, data: bytes) -> None:
        """Write bytes; what lies outside is dropped, as on a bus without a target."""
        room = max(0, min(len(data), self.size - address))
        self.bytes[address : address + room] = np.frombuffer(data[:room], dtype=np.uint8)
