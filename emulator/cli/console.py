"""The guest's serial line on the host: where its output goes and where its input comes from.

Output is never held back and never lost: every byte is written to the file descriptor at once.
"""

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

from emulator.cli.errors import CliError

POLL_SECONDS = 0.01  # how often stdin is looked at
CHUNK = 256


class SerialOut:
    """Writes what the guest sends; a failure is kept for later, since the machine is running."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self.error: OSError | None = None
        self.silent = True  # nothing was sent yet
        self.on_error: Callable[[], None] = lambda: None

    def write(self, data: bytes) -> None:
        """Write all of it; after a failure, nothing more."""
        self.silent = False
        if self.error is not None:
            return
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            self.error = error
            self.on_error()

    def check(self) -> None:
        """Raise what went wrong while the machine was running."""
        if self.error is not None:
            raise CliError(f"serial output to {self._name} failed: {self.error.strerror}") from self.error


@contextlib.contextmanager
def open_serial(where: str) -> Iterator[SerialOut]:
    """The serial output to a file, or to stdout if `where` is stdio."""
    if where == "stdio":
        sys.stdout.flush()
        yield SerialOut(sys.stdout.fileno(), "stdout")
        return
    with Path(where).open("wb", buffering=0) as file:
        yield SerialOut(file.fileno(), where)


class SerialIn:
    """Passes stdin on to the guest without ever waiting for it; call `poll` now and then."""

    def __init__(self, descriptor: int, deliver: Callable[[bytes], None]) -> None:
        self._descriptor = descriptor
        self._deliver = deliver
        self._next = 0.0
        self.open = True

    def poll(self) -> None:
        """Deliver what is there."""
        if self.open and (now := monotonic()) >= self._next:
            self._next = now + POLL_SECONDS
            if select.select([self._descriptor], [], [], 0)[0]:
                self._take()

    def _take(self) -> None:
        try:
            data = os.read(self._descriptor, CHUNK)
        except OSError:
            data = b""
        if data:
            self._deliver(data)
        else:
            self.open = False


def _in_foreground(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False


@contextlib.contextmanager
def keyboard(deliver: Callable[[bytes], None]) -> Iterator[SerialIn | None]:
    """Stdin for the guest: a terminal gives each key at once, unechoed, and is put back at the end.

    Ctrl-C stays the host's: it stops the run. A terminal that belongs to another job is left alone.
    """
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError, AttributeError):  # stdin is closed
        yield None
        return
    if not os.isatty(descriptor):
        yield SerialIn(descriptor, deliver)
        return
    if not _in_foreground(descriptor):
        yield None
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        yield SerialIn(descriptor, deliver)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
