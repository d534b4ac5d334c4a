"""One ATA drive: its registers, its transfers, and its image.

   command --BSY--> [delay] --+--> done                      INTRQ
                              +--> DRQ, block in the buffer  INTRQ   host reads it --BSY--> next block
   write command ---DRQ, empty buffer-- host fills it --BSY--> [delay] --> next DRQ or done  INTRQ

The first block of a write is asked for at once: drivers that do not wait for DRQ there exist (xv6).
"""

from collections.abc import Callable
from typing import Final

from emulator.devices.clock import Clock
from emulator.devices.device import State, Stateful
from emulator.devices.events import EventQueue
from emulator.devices.ide import ata
from emulator.devices.ide.disk import SECTOR, Disk
from emulator.devices.ide.identify import default_geometry

COMMAND_US: Final = 20  # a drive whose buffer holds what is asked for: nothing turns and nothing seeks
BLOCK_US: Final = 10
RESET_US: Final = 500


class Drive(Stateful):
    """The registers of clause 7 and the PIO protocols of 9.5 to 9.7 of ATA/ATAPI-4."""

    FIELDS = (
        *("error", "features", "count", "sector", "cylinder_low", "cylinder_high", "head", "status", "intrq"),
        *("command", "left", "lba", "per_block", "buffer", "position", "reading", "filling", "sector_buffer"),
        *("cylinders", "heads", "per_track", "multiple", "enabled", "standby", "asleep"),
    )

    def __init__(
        self,
        clock: Clock,
        events: EventQueue,
        name: str,
        number: int,
        disk: Disk,
        on_intrq: Callable[[], None],
        execute: Callable[["Drive", int], None],
    ) -> None:
        """`execute(drive, command)` does a command when its delay has passed."""
        self._clock = clock
        self._events = events
        self._event = events.handle(name, self._run)
        self._on_intrq = on_intrq
        self._execute = execute
        self.number = number
        self.disk = disk
        self.features = 0
        self.status = ata.READY
        self.intrq = False
        self.command = -1  # what BSY is about, -1 for a reset
        self.left = self.lba = 0  # of a transfer: sectors to go, and the next one
        self.per_block = 1
        self.position = 0
        self._set_buffer(b"")
        self.reading = self.filling = False  # the host takes from, or fills, the buffer
        self.sector_buffer = bytearray(SECTOR)  # READ BUFFER and WRITE BUFFER
        self.multiple = 0
        self.enabled = 0
        self.standby = self.asleep = False
        geometry = default_geometry(disk.sectors)
        self.cylinders, self.heads, self.per_track = geometry.cylinders, geometry.heads, geometry.sectors
        self.signature()

    # --- commands ---

    def start(self, command: int) -> None:
        """A write to the Command register (7.4)."""
        if self.status & (ata.BSY | ata.DRQ) or self.asleep:
            return
        self.error = 0
        self.command = command
        self._interrupt(False)
        if command in ata.WRITES or command == ata.WRITE_BUFFER:
            self._execute(self, command)
        else:
            self.busy(COMMAND_US)

    def hold_reset(self) -> None:
        """SRST is set, or a diagnostic begins: everything stops (9.3)."""
        self.stop_transfer()
        self._events.cancel(self._event)
        self._interrupt(False)
        self.asleep = False
        self.status = ata.BSY

    def reset(self, command: int = -1) -> None:
        """SRST is cleared, or EXECUTE DEVICE DIAGNOSTIC."""
        self.hold_reset()
        self.command = command
        self.busy(RESET_US)

    def signature(self) -> None:
        """What a reset leaves in the registers (9.1), with the diagnostic code."""
        self.error = ata.PASSED
        self.count = self.sector = 1
        self.cylinder_low = self.cylinder_high = self.head = 0

    def busy(self, microseconds: int) -> None:
        """BSY for a while; then what was begun goes on."""
        self.status = ata.BSY | ata.READY
        clock = self._clock
        self._events.schedule(self._event, clock.now() + max(1, clock.hz * microseconds // 1_000_000))

    def done(self) -> None:
        """The command ends without an error."""
        self._end(ata.READY)

    def fail(self, error: int) -> None:
        """The command ends with an error."""
        self.error = error
        self._end(ata.READY | ata.ERR)

    def _end(self, status: int) -> None:
        self.stop_transfer()
        self.status = status
        self._interrupt(True)

    def _run(self, _deadline: int) -> None:
        if self.left:
            if self.command in ata.WRITES:
                self._take_block()
            else:
                self.send_block()
        elif self.command < 0:
            self.signature()
            self.status = ata.READY
        else:
            self._execute(self, self.command)

    def read_status(self) -> int:
        """The Status register; reading it takes INTRQ back."""
        if self.intrq:
            self._interrupt(False)
        return self.status

    def _interrupt(self, level: bool) -> None:
        if level != self.intrq:
            self.intrq = level
            self._on_intrq()

    # --- the data port: the path of every REP INSW ---

    def read_data(self, size: int) -> int:
        """The next bytes of the buffer; all ones without DRQ. A byte access takes a whole word."""
        if not self.reading:
            return (1 << 8 * size) - 1
        at = self.position
        self.position = end = at + (size if size > 1 else 2)
        if at & (size - 1):
            value = int.from_bytes(self.buffer[at:end], "little")
        elif size == 4:
            value = self._dwords[at >> 2]
        else:
            value = self._words[at >> 1] & ((1 << 8 * size) - 1)
        if end >= self._size:
            self._read_out()
        return value

    def write_data(self, value: int, size: int) -> None:
        """The next bytes of the buffer; without DRQ they are lost."""
        if not self.filling:
            return
        at = self.position
        self.position = end = at + (size if size > 1 else 2)
        if at & (size - 1):
            end = min(end, self._size)
            self.buffer[at:end] = value.to_bytes(4, "little")[: end - at]
        elif size == 4:
            self._dwords[at >> 2] = value
        else:
            self._words[at >> 1] = value
        if end >= self._size:
            self.reading = self.filling = False
            self.busy(BLOCK_US)

    def _set_buffer(self, data: bytes) -> None:
        """A new buffer, seen as the words and double words of the data port."""
        self.buffer = bytearray(data)
        self.position = 0
        self._size: int = len(data)
        self._words: memoryview[int] = memoryview(self.buffer).cast("H")
        self._dwords: memoryview[int] = memoryview(self.buffer).cast("I")

    def restore(self, state: State) -> None:
        """Put `state()` back."""
        super().restore(state)
        self._set_buffer(state["buffer"])
        self.position = state["position"]

    # --- transfers ---

    def send(self, data: bytes) -> None:
        """A block for the host."""
        self._set_buffer(data)
        self.reading = True
        self.status = ata.READY | ata.DRQ
        self._interrupt(True)

    def ask(self, size: int) -> None:
        """A block from the host. INTRQ is the caller's: the first block of a command comes without."""
        self._set_buffer(bytes(size))
        self.filling = True
        self.status = ata.READY | ata.DRQ

    def stop_transfer(self) -> None:
        """Nothing is left to be transferred."""
        self.left = 0
        self.reading = self.filling = False

    def begin(self, per_block: int) -> None:
        """Read or write `count` sectors from the address in the registers."""
        self.per_block = per_block
        lba = self.address()
        self.left = self.count or 256
        if lba is None:
            self.fail(ata.IDNF)
            return
        self.lba = lba
        if self.command in ata.WRITES:
            self._ask_block()
        else:
            self.send_block()

    def send_block(self) -> None:
        """The next sectors of a read; past the last sector of the disk there is no ID to be found."""
        if size := self._block():
            self.send(self.disk.read(self.lba, size))

    def _read_out(self) -> None:
        """The host has taken the block."""
        self.reading = False
        self.status = ata.READY
        if self.left:
            self._advance()
            if self.left:
                self.busy(BLOCK_US)

    def _ask_block(self) -> bool:
        size = self._block()
        if size:
            self.ask(size * SECTOR)
        return bool(size)

    def _take_block(self) -> None:
        """The host has filled the block: write it, and ask for the next one."""
        self.disk.write(self.lba, bytes(self.buffer))
        self._advance()
        if not self.left:
            self.done()
        elif self._ask_block():
            self._interrupt(True)

    def _block(self) -> int:
        """Sectors of the next block; 0 when the command has failed for lack of any."""
        size = min(self.left, self.per_block, self.disk.sectors - self.lba)
        if size > 0:
            return size
        self.set_address(self.lba)
        self.fail(ata.IDNF)
        return 0

    def _advance(self) -> None:
        """A block is done: the registers show its last sector and how many are left."""
        size = len(self.buffer) // SECTOR
        self.lba += size
        self.left -= size
        self.count = self.left & 0xFF
        self.set_address(self.lba - 1)

    # --- addresses (6.2) ---

    def address(self) -> int | None:
        """The sector that the registers name, None if there is no such one."""
        cylinder = self.cylinder_high << 8 | self.cylinder_low
        if self.head & ata.LBA:
            lba = (self.head & 0x0F) << 24 | cylinder << 8 | self.sector
        else:
            head = self.head & 0x0F
            if not 1 <= self.sector <= self.per_track or head >= self.heads or cylinder >= self.cylinders:
                return None
            lba = (cylinder * self.heads + head) * self.per_track + self.sector - 1
        return lba if lba < self.disk.sectors else None

    def set_address(self, lba: int) -> None:
        """Name a sector in the registers."""
        if self.head & ata.LBA:
            self.sector, cylinder, head = lba & 0xFF, lba >> 8 & 0xFFFF, lba >> 24
        else:
            track, sector = divmod(lba, self.per_track)
            cylinder, head = divmod(track, self.heads)
            self.sector = sector + 1
        self.cylinder_low, self.cylinder_high = cylinder & 0xFF, cylinder >> 8 & 0xFF
        self.head = self.head & 0xF0 | head & 0x0F
