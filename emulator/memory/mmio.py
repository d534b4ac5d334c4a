"""Memory-mapped devices: physical address ranges that are answered by a device, not by RAM."""

from typing import Protocol


class MmioDevice(Protocol):
    """What answers on a range of addresses; `value` and the result are unsigned and `size` bytes wide."""

    def read(self, offset: int, size: int) -> int:
        """A load, `offset` bytes into the device's range."""
        ...

    def write(self, offset: int, value: int, size: int) -> None:
        """A store, `offset` bytes into the device's range."""
        ...


class MmioBus:
    """Dispatches loads and stores to devices. Where nobody answers, loads are all ones and stores are lost.

    An access goes whole to the device that has all of its bytes; one that straddles the edge of a range
    is split into bytes, least significant first.
    """

    def __init__(self) -> None:
        self._regions: list[tuple[int, int, MmioDevice]] = []

    def register(self, device: MmioDevice, base: int, size: int) -> None:
        """Give `size` bytes from physical address `base` to `device`."""
        if size < 1 or base < 0 or base + size > 1 << 32:
            raise ValueError(f"addresses {base:#x}+{size:#x} are outside the address space")
        for start, end, other in self._regions:
            if base < end and start < base + size:
                name = type(other).__name__
                raise ValueError(f"addresses {base:#x}+{size:#x} overlap those of {name} at {start:#x}")
        self._regions.append((base, base + size, device))

    def remove(self, device: MmioDevice) -> None:
        """Take away all ranges of `device`."""
        self._regions = [region for region in self._regions if region[2] is not device]

    def regions(self) -> list[tuple[int, int, MmioDevice]]:
        """(base, size, device) of every range, by address."""
        return sorted(
            ((start, end - start, device) for start, end, device in self._regions), key=lambda r: r[0]
        )

    def device_at(self, address: int) -> MmioDevice | None:
        """The device that answers at `address`, if any."""
        found = self._find(address)
        return None if found is None else found[2]

    def read(self, address: int, size: int) -> int:
        """A load of `size` bytes (1, 2 or 4)."""
        region = self._find(address)
        if region is not None and address + size <= region[1]:
            return region[2].read(address - region[0], size)
        if size == 1:
            return 0xFF
        return sum(self.read(address + i, 1) << 8 * i for i in range(size))

    def write(self, address: int, value: int, size: int) -> None:
        """A store of `size` bytes (1, 2 or 4)."""
        region = self._find(address)
        if region is not None and address + size <= region[1]:
            region[2].write(address - region[0], value & ((1 << 8 * size) - 1), size)
        elif size > 1:
            for i in range(size):
                self.write(address + i, value >> 8 * i & 0xFF, 1)

    def _find(self, address: int) -> tuple[int, int, MmioDevice] | None:
        return next((region for region in self._regions if region[0] <= address < region[1]), None)
