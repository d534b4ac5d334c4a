"""A disk image: a file of 512-byte sectors, with what the guest writes kept beside it or put into it.

        read                      write
overlay[sector], else file        overlay[sector]              (the default: dropped at the end)
file                              file, never beyond its end   (writable=True)
"""

import fcntl
import os
import stat
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

from emulator.devices.device import State

SECTOR: Final = 512
MOST_SECTORS: Final = 0x0FFF_FFFF  # IDENTIFY DEVICE words 60-61 of a drive with 28-bit addresses


class DiskError(Exception):
    """An image that can't be used; the message names the file and the rule."""


class Disk:
    """An open image. All access is by sector number below `sectors`, so nothing else can be reached.

    A last sector that the file does not fill reads as zeros behind the file's end. The file never grows:
    what the guest writes into that padding lives in the overlay.
    """

    def __init__(self, descriptor: int, name: str, size: int, *, writable: bool) -> None:
        self.name = name
        self.size = size
        self.sectors = -(-size // SECTOR)
        self.writable = writable
        self._file = descriptor
        self._overlay: dict[int, bytes] = {}
        self._close = weakref.finalize(self, os.close, descriptor)

    @classmethod
    def open(cls, path: str | os.PathLike[str], writable: bool = False) -> "Disk":
        """Open an image; a writer has it alone, readers share it.

        Raises: DiskError.
        """
        name = os.fspath(path)
        try:
            if not stat.S_ISREG(Path(name).stat().st_mode):
                raise DiskError(f"{name}: a disk image is a regular file, and this is none")
            descriptor = os.open(
                name, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK
            )
        except (OSError, ValueError) as error:
            wish = "read and written" if writable else "read"
            reason = error.strerror if isinstance(error, OSError) else error
            raise DiskError(f"{name}: a disk image must be a file that can be {wish}: {reason}") from None
        disk = cls(descriptor, name, os.fstat(descriptor).st_size, writable=writable)
        try:
            disk._check()
        except DiskError:
            disk.close()
            raise
        return disk

    def _check(self) -> None:
        if not self.size:
            raise DiskError(f"{self.name}: a disk image has at least one sector, and this file is empty")
        if self.sectors > MOST_SECTORS:
            raise DiskError(
                f"{self.name}: a drive with 28-bit addresses has at most {MOST_SECTORS} sectors, "
                f"and this file has {self.sectors}"
            )
        lock = fcntl.LOCK_EX if self.writable else fcntl.LOCK_SH
        try:
            with suppress(PermissionError):
                fcntl.flock(self._file, lock | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DiskError(
                f"{self.name}: in use; an image that is written to (,rw) can have one user only"
            ) from None
        except OSError:
            pass  # a file system without locks

    def close(self) -> None:
        """Let go of the file, and of what was written beside it."""
        self._close()
        self._overlay.clear()

    def __enter__(self) -> "Disk":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def read(self, sector: int, count: int = 1) -> bytes:
        """`count` sectors.

        Raises: ValueError outside the disk, DiskError when the host cannot read them.
        """
        self._inside(sector, count)
        at, size = sector * SECTOR, count * SECTOR
        wanted = min(size, self.size - at)
        try:
            data = os.pread(self._file, wanted, at)
        except OSError as error:
            raise DiskError(f"{self.name}: cannot be read at {at:#x}: {error.strerror}") from None
        if len(data) < wanted:
            raise DiskError(f"{self.name}: a disk image keeps its size while in use; it lost its end")
        data += bytes(size - wanted)
        overlay = self._overlay
        if not overlay:
            return data
        return b"".join(overlay.get(sector + i) or data[i * SECTOR : (i + 1) * SECTOR] for i in range(count))

    def write(self, sector: int, data: bytes) -> None:
        """Whole sectors.

        Raises: ValueError outside the disk, DiskError when the host cannot write them.
        """
        count = len(data) // SECTOR
        if count * SECTOR != len(data):
            raise ValueError(f"{len(data)} bytes are no whole sectors")
        self._inside(sector, count)
        if self.writable:
            self._write_through(sector * SECTOR, data)
            count, first = int((sector + count) * SECTOR > self.size), sector + count - 1
        else:
            first = sector
        for i in range(first, first + count):
            at = (i - sector) * SECTOR
            self._overlay[i] = bytes(data[at : at + SECTOR])

    def _write_through(self, at: int, data: bytes) -> None:
        view = memoryview(data)[: self.size - at]
        try:
            while view:
                written = os.pwrite(self._file, view, at)
                view, at = view[written:], at + written
        except OSError as error:
            raise DiskError(f"{self.name}: cannot be written at {at:#x}: {error.strerror}") from None

    def flush(self) -> None:
        """What was written through is on the host's disk.

        Raises: DiskError.
        """
        if self.writable:
            try:
                os.fsync(self._file)
            except OSError as error:
                raise DiskError(f"{self.name}: cannot be flushed: {error.strerror}") from None

    def _inside(self, sector: int, count: int) -> None:
        if sector < 0 or count < 1 or sector + count > self.sectors:
            raise ValueError(f"sectors {sector}+{count} are outside a disk of {self.sectors}")

    def state(self) -> State:
        """The size and the overlay. What was written through is in the file, and in no state."""
        return {"size": self.size, "overlay": [[i, data] for i, data in sorted(self._overlay.items())]}

    def restore(self, state: State) -> None:
        """Put the overlay back; an image of another size is refused."""
        if state["size"] != self.size:
            raise ValueError(
                f"this is the state of an image of {state['size']} bytes, {self.name} has {self.size}"
            )
        self._overlay = {i: bytes(data) for i, data in state["overlay"]}
