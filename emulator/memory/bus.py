"""The I/O port space: 64 K byte ports, wider accesses split as an ISA bus splits them."""

from typing import Final, Protocol

PORTS: Final = 0x10000


class PortDevice(Protocol):
    """What answers on a range of ports; `value` and the result are unsigned and `size` bytes wide."""

    def read(self, port: int, size: int) -> int:
        """IN."""
        ...

    def write(self, port: int, value: int, size: int) -> None:
        """OUT."""
        ...


class PortBus:
    """Dispatches IN and OUT to devices (IA-32 manual volume 1, I/O port addressing).

    A device is registered with the widest access it takes. A wider or straddling access is split
    into byte accesses at ascending ports, least significant byte first. Ports with no device read
    all ones and ignore writes.
    """

    def __init__(self) -> None:
        self._devices: dict[int, PortDevice] = {}
        self._widths: dict[int, int] = {}
        self._whole: dict[int, dict[int, PortDevice]] = {2: {}, 4: {}}  # wide accesses that aren't split

    def register(self, device: PortDevice, first: int, count: int = 1, width: int = 1) -> None:
        """Give ports `first` .. `first + count - 1` to `device`; it takes accesses up to `width` bytes."""
        if width not in (1, 2, 4):
            raise ValueError(f"port width {width} is not 1, 2 or 4")
        if count < 1 or first < 0 or first + count > PORTS:
            raise ValueError(f"ports {first:#x}+{count} are outside the port space")
        ports = range(first, first + count)
        for port in ports:
            if port in self._devices:
                raise ValueError(f"port {port:#x} is already taken by {type(self._devices[port]).__name__}")
        for port in ports:
            self._devices[port] = device
            self._widths[port] = width
        for size, whole in self._whole.items():
            for port in ports:
                if width >= size and port + size <= ports.stop:
                    whole[port] = device

    def device_at(self, port: int) -> PortDevice | None:
        """The device that answers at `port`, if any."""
        return self._devices.get(port)

    def read(self, port: int, size: int) -> int:
        """IN of `size` bytes (1, 2 or 4)."""
        if size == 1:
            device = self._devices.get(port)
            return 0xFF if device is None else device.read(port, 1)
        whole = self._whole[size].get(port)
        if whole is not None:
            return whole.read(port, size)
        value = 0
        for i in range(size):
            value |= self.read((port + i) % PORTS, 1) << (8 * i)
        return value

    def write(self, port: int, value: int, size: int) -> None:
        """OUT of `size` bytes (1, 2 or 4)."""
        if size == 1:
            device = self._devices.get(port)
            if device is not None:
                device.write(port, value & 0xFF, 1)
            return
        whole = self._whole[size].get(port)
        if whole is not None:
            whole.write(port, value & ((1 << 8 * size) - 1), size)
        else:
            for i in range(size):
                self.write((port + i) % PORTS, value >> (8 * i) & 0xFF, 1)
