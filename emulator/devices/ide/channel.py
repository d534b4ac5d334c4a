"""One ATA channel: the host's side of a cable with up to two drives.

base  +0 Data          +1 Error / Features   +2 Sector Count  +3 Sector Number (LBA 7:0)
      +4 Cyl Low 15:8  +5 Cyl High 23:16     +6 Device/Head   +7 Status / Command
control                Alternate Status / Device Control
"""

from collections.abc import Sequence
from typing import Final

from emulator.devices.clock import Clock
from emulator.devices.device import IrqLine, State
from emulator.devices.events import EventQueue, cycles_left
from emulator.devices.ide import ata
from emulator.devices.ide.commands import ENABLED_AT_POWER_ON, execute
from emulator.devices.ide.disk import Disk
from emulator.devices.ide.drive import Drive

CHANNELS: Final = ((0x1F0, 0x3F6, 14), (0x170, 0x376, 15))
PULLED_DOWN: Final = (
    0x7F  # nobody drives the cable: DD7 has a pull-down so that BSY reads 0 (ATA/ATAPI-4, 4.2)
)


class IdeChannel:
    """Writes reach both drives, reads come from the selected one (ATA/ATAPI-4, 7.1 and 9.16).

    A device 0 answers for an absent device 1: its Status reads 00h, commands to it are ignored. An absent
    device 0 is answered for by nobody.
    """

    def __init__(
        self,
        clock: Clock,
        events: EventQueue,
        set_irq: IrqLine,
        disks: Sequence[Disk | None],
        number: int = 0,
    ) -> None:
        """`disks`: master and slave; `number`: 0 primary, 1 secondary."""
        self.base, self.control_port, self.irq = CHANNELS[number]
        self.PORTS = ((self.base, 8), (self.control_port, 1))
        self._set_irq = set_irq
        self.control = 0
        self.selected = 0
        self.drives: list[Drive | None] = [
            None if disk is None else self._drive(clock, events, disk, number, i)
            for i, disk in enumerate(disks)
        ]
        self.drives += [None] * (2 - len(self.drives))
        self._active = self.drives[0]
        self._level = False

    def _drive(self, clock: Clock, events: EventQueue, disk: Disk, channel: int, number: int) -> Drive:
        drive = Drive(
            clock,
            events,
            f"ide{channel}.{number}",
            2 * channel + number,
            disk,
            self._update,
            execute,
        )
        drive.enabled = ENABLED_AT_POWER_ON
        return drive

    # --- ports ---

    def read(self, port: int, size: int) -> int:
        """IN; the data port takes 1, 2 and 4 bytes, the others are bytes."""
        if port == self.base:
            active = self._active
            if active is not None:
                return active.read_data(size)
            return (1 << 8 * size) - 1
        value = self._read_register(port)
        for i in range(1, size):
            value |= self._read_register(port + i) << 8 * i
        return value

    def write(self, port: int, value: int, size: int) -> None:
        """OUT; the data port takes 1, 2 and 4 bytes, the others are bytes."""
        if port == self.base:
            if self._active is not None:
                self._active.write_data(value, size)
            return
        for i in range(size):
            self._write_register(port + i, value >> 8 * i & 0xFF)

    def _read_register(self, port: int) -> int:
        active, register = self._active, port & 7
        if port == self.control_port:
            return self._status() if active is None else active.status
        if register == ata.STATUS:
            return self._status() if active is None else active.read_status()
        drive = active or self.drives[0]
        if drive is None:
            return PULLED_DOWN
        if drive.status & ata.BSY:
            return drive.status
        if register == ata.DEVICE_HEAD:
            return drive.head & ~ata.DEV | 0xA0 | ata.DEV * self.selected
        registers = (0xFF, drive.error, drive.count, drive.sector, drive.cylinder_low, drive.cylinder_high)
        return registers[register]

    def _status(self) -> int:
        """Status of the selected drive, which is absent."""
        return PULLED_DOWN if self.drives[0] is None else 0

    def _write_register(self, port: int, value: int) -> None:
        register = port & 7
        if port == self.control_port:
            self._write_control(value)
        elif register == ata.COMMAND:
            if value == ata.EXECUTE_DIAGNOSTIC:
                self._diagnose()
            elif self._active is not None:
                self._active.start(value)
        elif self._active is None or not self._active.status & (ata.BSY | ata.DRQ):
            for drive in self.drives:
                if drive is not None:
                    _write_task_file(drive, register, value)
            if register == ata.DEVICE_HEAD:
                self._select(int(bool(value & ata.DEV)))

    def _select(self, number: int) -> None:
        self.selected = number
        self._active = self.drives[number]
        self._update()

    def _write_control(self, value: int) -> None:
        """Device Control: both drives reset while SRST is set; nIEN lets go of the interrupt line."""
        rising, falling = value & ~self.control, self.control & ~value
        self.control = value & (ata.SRST | ata.NIEN)
        if (rising | falling) & ata.SRST:
            for drive in self.drives:
                if drive is not None:
                    (drive.hold_reset if rising & ata.SRST else drive.reset)()
            self._select(0)
        self._update()

    def _diagnose(self) -> None:
        """EXECUTE DEVICE DIAGNOSTIC is for both drives, whichever is selected (8.9)."""
        if self._active is not None and self._active.status & (ata.BSY | ata.DRQ):
            return
        for drive in self.drives:
            if drive is not None:
                drive.reset(ata.EXECUTE_DIAGNOSTIC)
        self._select(0)

    def _update(self) -> None:
        """INTRQ of the selected drive is the line, unless nIEN is set."""
        active = self._active
        level = active is not None and active.intrq and not self.control & ata.NIEN
        if level != self._level:
            self._level = level
            self._set_irq(level)

    # --- the house ---

    def cycles_to_event(self, now: int) -> int | None:
        """Until a drive is no longer busy."""
        return cycles_left(now, *(drive._event for drive in self.drives if drive is not None))

    def state(self) -> State:
        """Both drives, with what was written beside their images."""
        drives = [drive and {"drive": drive.state(), "disk": drive.disk.state()} for drive in self.drives]
        return {"control": self.control, "selected": self.selected, "level": self._level, "drives": drives}

    def restore(self, state: State) -> None:
        """Put it back; the drives must be where they were. The event queue is restored by its owner."""
        if [saved is None for saved in state["drives"]] != [drive is None for drive in self.drives]:
            raise ValueError("this is a state with drives in other places")
        for drive, saved in zip(self.drives, state["drives"], strict=True):
            if drive is not None:
                drive.disk.restore(saved["disk"])
                drive.restore(saved["drive"])
        self.control, self._level = state["control"], state["level"]
        self.selected = state["selected"]
        self._active = self.drives[self.selected]


def _write_task_file(drive: Drive, register: int, value: int) -> None:
    if register == ata.FEATURES:
        drive.features = value
    elif register == ata.SECTOR_COUNT:
        drive.count = value
    elif register == ata.SECTOR_NUMBER:
        drive.sector = value
    elif register == ata.CYLINDER_LOW:
        drive.cylinder_low = value
    elif register == ata.CYLINDER_HIGH:
        drive.cylinder_high = value
    elif register == ata.DEVICE_HEAD:
        drive.head = value
