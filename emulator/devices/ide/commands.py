"""What the drive does for each command code (ATA/ATAPI-4, clause 8). Codes that are not here are aborted."""

from collections.abc import Callable

from emulator.devices.ide import ata
from emulator.devices.ide.disk import SECTOR
from emulator.devices.ide.drive import Drive
from emulator.devices.ide.identify import (
    LOOK_AHEAD,
    MOST_PER_BLOCK,
    WRITE_CACHE,
    Geometry,
    identify,
    translation,
)

ENABLED_AT_POWER_ON = LOOK_AHEAD | WRITE_CACHE
IDLE_MODE, STANDBY_MODE = 0xFF, 0x00


def execute(drive: Drive, command: int) -> None:
    """Do a command, or abort it; a transfer goes on by itself."""
    if command in ata.READS or command in ata.WRITES:
        _transfer(drive, command)
        return
    if command & 0xF0 in (ata.RECALIBRATE, ata.SEEK):
        command &= 0xF0
    _COMMANDS.get(command, _abort)(drive)


def _abort(drive: Drive) -> None:
    drive.fail(ata.ABRT)


def _done(drive: Drive) -> None:
    drive.done()


def _transfer(drive: Drive, command: int) -> None:
    """READ and WRITE SECTORS move one sector per DRQ, READ and WRITE MULTIPLE what SET MULTIPLE said."""
    drive.standby = False
    if command not in ata.MULTIPLES:
        drive.begin(1)
    elif drive.multiple:
        drive.begin(drive.multiple)
    else:
        drive.fail(ata.ABRT)


def _identify(drive: Drive) -> None:
    geometry = Geometry(drive.cylinders, drive.heads, drive.per_track)
    serial = f"RT{drive.number:08d}"
    drive.send(identify(drive.disk.sectors, geometry, drive.multiple, drive.enabled, serial))


def _verify(drive: Drive) -> None:
    """READ VERIFY SECTORS: all there, or the first that is not."""
    lba = drive.address()
    if lba is None:
        drive.fail(ata.IDNF)
        return
    count = drive.count or 256
    there = min(count, drive.disk.sectors - lba)
    drive.count = (count - there) & 0xFF
    if there == count:
        drive.set_address(lba + count - 1)
        drive.done()
    else:
        drive.set_address(lba + there)
        drive.fail(ata.IDNF)


def _seek(drive: Drive) -> None:
    if drive.address() is None:
        drive.fail(ata.IDNF)
    else:
        drive.done()


def _diagnostic(drive: Drive) -> None:
    drive.signature()
    drive.done()


def _initialize_parameters(drive: Drive) -> None:
    heads, per_track = (drive.head & 0x0F) + 1, drive.count
    sectors = drive.disk.sectors
    if not per_track or heads * per_track > sectors:
        drive.fail(ata.ABRT)
        return
    geometry = translation(sectors, heads, per_track)
    drive.cylinders, drive.heads, drive.per_track = geometry.cylinders, heads, per_track
    drive.done()


def _set_multiple(drive: Drive) -> None:
    count = drive.count
    if count > MOST_PER_BLOCK or count & (count - 1):
        drive.multiple = 0
        drive.fail(ata.ABRT)
    else:
        drive.multiple = count  # 0 turns READ and WRITE MULTIPLE off
        drive.done()


def _read_buffer(drive: Drive) -> None:
    drive.send(bytes(drive.sector_buffer))


def _write_buffer(drive: Drive) -> None:
    """Runs twice: at once, to ask for the data, and when they are there."""
    if drive.status & ata.BSY:
        drive.sector_buffer[:] = drive.buffer
        drive.done()
    else:
        drive.ask(SECTOR)


def _flush(drive: Drive) -> None:
    drive.disk.flush()
    drive.done()


def _set_features(drive: Drive) -> None:
    feature, mode = drive.features, drive.count
    if feature == ata.SET_TRANSFER_MODE:
        # PIO default with or without IORDY, PIO flow control modes 0 to 4; there is no DMA
        if mode in (0x00, 0x01) or 0x08 <= mode <= 0x0C:
            drive.done()
        else:
            drive.fail(ata.ABRT)
        return
    if feature in (ata.WRITE_CACHE_ON, ata.WRITE_CACHE_OFF):
        _enable(drive, WRITE_CACHE, feature == ata.WRITE_CACHE_ON)
    elif feature in (ata.LOOK_AHEAD_ON, ata.LOOK_AHEAD_OFF):
        _enable(drive, LOOK_AHEAD, feature == ata.LOOK_AHEAD_ON)
    elif feature not in (ata.DEFAULTS_KEPT, ata.DEFAULTS_REVERTED):
        drive.fail(ata.ABRT)
        return
    drive.done()


def _enable(drive: Drive, what: int, on: bool) -> None:
    drive.enabled = drive.enabled | what if on else drive.enabled & ~what


def _stand_by(drive: Drive) -> None:
    drive.standby = True
    drive.done()


def _idle(drive: Drive) -> None:
    drive.standby = False
    drive.done()


def _check_power_mode(drive: Drive) -> None:
    drive.count = STANDBY_MODE if drive.standby else IDLE_MODE
    drive.done()


def _sleep(drive: Drive) -> None:
    """Until a reset nothing is done any more."""
    drive.done()
    drive.standby = drive.asleep = True


_COMMANDS: dict[int, Callable[[Drive], None]] = {
    ata.NOP: _abort,  # by definition (8.21)
    ata.IDENTIFY: _identify,
    ata.READ_VERIFY: _verify,
    ata.READ_VERIFY_NO_RETRY: _verify,
    ata.RECALIBRATE: _done,
    ata.SEEK: _seek,
    ata.EXECUTE_DIAGNOSTIC: _diagnostic,
    ata.INITIALIZE_PARAMETERS: _initialize_parameters,
    ata.SET_MULTIPLE: _set_multiple,
    ata.READ_BUFFER: _read_buffer,
    ata.WRITE_BUFFER: _write_buffer,
    ata.FLUSH_CACHE: _flush,
    ata.SET_FEATURES: _set_features,
    **dict.fromkeys((*ata.STANDBY, *ata.STANDBY_IMMEDIATE), _stand_by),
    **dict.fromkeys((*ata.IDLE, *ata.IDLE_IMMEDIATE), _idle),
    **dict.fromkeys(ata.CHECK_POWER_MODE, _check_power_mode),
    **dict.fromkeys(ata.SLEEP, _sleep),
}
