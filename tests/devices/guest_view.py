"""A guest that reads the local APIC's page as RAM, and the engine's part of the contract."""

from emulator.devices.lapic import Lapic


class GuestView:
    """`write` before the store lands, the store itself, `refresh` before loads of VOLATILE dwords only."""

    def __init__(self, lapic: Lapic) -> None:
        self.lapic = lapic
        self.refreshes = 0

    def load(self, offset: int) -> int:
        if offset in Lapic.VOLATILE:
            self.lapic.refresh(offset)
            self.refreshes += 1
        return int.from_bytes(self.lapic.page[offset : offset + 4].tobytes(), "little")

    def store(self, offset: int, value: int, size: int = 4) -> None:
        self.lapic.write(offset, value, size)
        for i in range(size):
            self.lapic.page[offset + i] = value >> 8 * i & 0xFF
