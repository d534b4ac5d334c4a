"""A host at an ATA channel: what a driver does, by ports."""

from pathlib import Path

from board import Board

from emulator.devices.ide import Disk, IdeChannel

DATA, ERROR, COUNT, SECTOR, LOW, HIGH, HEAD, STATUS = range(0x1F0, 0x1F8)
FEATURES, COMMAND, CONTROL = ERROR, STATUS, 0x3F6
READY, READY_DRQ, FAILED = 0x50, 0x58, 0x51
MASTER_LBA, SLAVE_LBA, MASTER_CHS = 0xE0, 0xF0, 0xA0


def pattern(sectors: int) -> bytes:
    return b"".join(i.to_bytes(4, "little") * 128 for i in range(sectors))


def image(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


class Host:
    """A channel with disks, and a driver that polls."""

    def __init__(self, *disks: Disk | None) -> None:
        self.board = Board()
        self.disks = disks
        self.channel = IdeChannel(self.board.clock, self.board.events, self.board.irq, disks)

    def out(self, port: int, value: int, size: int = 1) -> None:
        self.channel.write(port, value, size)

    def inp(self, port: int, size: int = 1) -> int:
        return self.channel.read(port, size)

    def wait(self) -> int:
        """Until the drive is no longer busy, without touching INTRQ: the alternate status."""
        for _ in range(1000):
            if not self.inp(CONTROL) & 0x80:
                return self.inp(CONTROL)
            left = self.channel.cycles_to_event(self.board.cycle)
            assert left is not None, "busy for ever"
            self.board.run(left)
        raise AssertionError("busy for ever")

    def command(self, code: int, lba: int = 0, count: int = 1, head: int = MASTER_LBA) -> int:
        self.out(HEAD, head | (lba >> 24 if head & 0x40 else 0))
        self.out(COUNT, count & 0xFF)
        self.out(SECTOR, lba & 0xFF)
        self.out(LOW, lba >> 8 & 0xFF)
        self.out(HIGH, lba >> 16 & 0xFF)
        self.out(COMMAND, code)
        return self.wait()

    def take(self, size: int = 512, width: int = 2) -> bytes:
        return b"".join(self.inp(DATA, width).to_bytes(width, "little") for _ in range(size // width))

    def give(self, data: bytes, width: int = 2) -> None:
        for i in range(0, len(data), width):
            self.out(DATA, int.from_bytes(data[i : i + width], "little"), width)

    def words(self, head: int = MASTER_LBA) -> list[int]:
        assert self.command(0xEC, head=head) == READY_DRQ
        data = self.take()
        return [int.from_bytes(data[i : i + 2], "little") for i in range(0, 512, 2)]

    def address(self) -> int:
        low, middle, high, top = (self.inp(port) for port in (SECTOR, LOW, HIGH, HEAD))
        return low | middle << 8 | high << 16 | (top & 0x0F) << 24
