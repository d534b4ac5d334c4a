"""Guest memory with the firmware's tables, read as a kernel reads it."""

from emulator.firmware.tables import firmware_tables

P4 = (0xF0A, 0x3FEBFBFF)
P3 = (0x673, 0x0383FBFF)
MEMORY = 256 << 20


class Memory:
    """The first megabyte."""

    def __init__(self, signature: int = P4[0], features: int = P4[1], size: int = MEMORY, pci: bool = True):
        self.data = bytearray(1 << 20)
        self.tables = firmware_tables(signature, features, size, pci=pci)
        for address, data in self.tables:
            self.data[address : address + len(data)] = data

    def peek(self, address: int, size: int) -> bytes:
        return bytes(self.data[address : address + size])

    def number(self, address: int, size: int) -> int:
        return int.from_bytes(self.peek(address, size), "little")

    def find(self, mark: bytes, start: int, end: int) -> int | None:
        """The first 16-byte boundary where `mark` is."""
        return next((a for a in range(start, end, 16) if self.peek(a, len(mark)) == mark), None)

    def sum(self, address: int, size: int) -> int:
        return sum(self.peek(address, size)) & 0xFF

    def acpi(self) -> dict[str, tuple[int, bytes]]:
        """Every table that the RSDP leads to, checksums verified: signature to (address, bytes)."""
        rsdp = self.find(b"RSD PTR ", 0xE0000, 0x100000)
        assert rsdp is not None
        assert self.sum(rsdp, 20) == 0
        found: dict[str, tuple[int, bytes]] = {}

        def load(address: int, summed: bool = True) -> bytes:
            size = self.number(address + 4, 4)
            assert not summed or self.sum(address, size) == 0
            data = self.peek(address, size)
            found[data[:4].decode()] = (address, data)
            return data

        rsdt = load(self.number(rsdp + 16, 4))
        for i in range(36, len(rsdt), 4):
            table = load(int.from_bytes(rsdt[i : i + 4], "little"))
            if table[:4] == b"FACP":
                load(int.from_bytes(table[36:40], "little"), summed=False)
                load(int.from_bytes(table[40:44], "little"))
        return found
