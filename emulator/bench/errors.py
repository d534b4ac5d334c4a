"""The one error that benchmarks raise."""

from emulator.exitstatus import ExitStatus


class BenchError(Exception):
    """A benchmark could not be run or its output can't be trusted; carries the exit status."""

    def __init__(self, message: str, status: int = ExitStatus.ERROR) -> None:
        super().__init__(message)
        self.status = status
