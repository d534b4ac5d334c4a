"""Ctrl-C and SIGTERM: ask the machine to stop, so that the run ends with its summary and its files whole."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from emulator.exitstatus import ExitStatus

STATUS = {signal.SIGINT: ExitStatus.INTERRUPTED, signal.SIGTERM: ExitStatus.TERMINATED}


class StopRequest:
    """Which signal, if any, asked for the end of the run."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    @property
    def status(self) -> ExitStatus:
        """The exit status that tells of the signal."""
        return STATUS.get(self.signal or signal.SIGINT, ExitStatus.INTERRUPTED)


@contextlib.contextmanager
def stopping(request_stop: Callable[[], None]) -> Iterator[StopRequest]:
    """While this is open, the first signal asks the machine to stop; a second Ctrl-C breaks off."""
    request = StopRequest()

    def handler(number: int, frame: FrameType | None) -> None:
        if request.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal = signal.Signals(number)
        request_stop()

    before = {number: signal.signal(number, handler) for number in STATUS}
    try:
        yield request
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
