"""From an exception to one message on stderr and an exit status (`emulator/exitstatus.py`)."""

import contextlib
import os
import sys
import traceback
from typing import Any

from emulator.exitstatus import ExitStatus

# Errors of rooms that must not be imported for their names alone (start-up time): module and class.
KNOWN: dict[tuple[str, str], ExitStatus] = {
    ("loader.image", "ImageError"): ExitStatus.IMAGE_REFUSED,
    ("loader.sandbox_object", "SandboxError"): ExitStatus.IMAGE_REFUSED,
    ("loader.signature", "BadKey"): ExitStatus.USAGE,
    ("emulator.timing.profile", "ProfileError"): ExitStatus.USAGE,
    ("emulator.devices.ide.disk", "DiskError"): ExitStatus.ERROR,
    ("emulator.machine", "MachineError"): ExitStatus.ERROR,
}
TRACEBACK = "RINGTOLL_TRACEBACK"


class CliError(Exception):
    """A request that cannot be fulfilled, said in full."""

    def __init__(self, message: str, status: int = ExitStatus.ERROR) -> None:
        super().__init__(message)
        self.status = status


def say(message: str) -> None:
    """A message on stderr, marked as ours; a broken stderr is nobody's error."""
    with contextlib.suppress(OSError):
        print(f"ringtoll: {message}", file=sys.stderr, flush=True)


def report(error: BaseException) -> int:
    """Say what went wrong and give the status to exit with."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        say("interrupted")
        return ExitStatus.INTERRUPTED
    if hasattr(error, "format_message"):
        return _usage(error)
    if (status := _status(error)) is not None:
        say(str(error))
        return status
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        say(f"{where}{error.strerror or error}")
        if isinstance(error, BrokenPipeError):
            _forget_stdout()
        return ExitStatus.ERROR
    say(
        f"internal error, please report it: {type(error).__name__}: {error}\n"
        f"(set {TRACEBACK}=1 to see where it comes from)"
    )
    return ExitStatus.ERROR


def _usage(error: Any) -> int:
    """An error of the command line as Typer raises it, said with the command whose help names the options."""
    if type(error).__name__ != "NoArgsIsHelpError":  # whose message is the help, and that has been printed
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "ringtoll"
        say(f"{error.format_message().rstrip('.')} (see `{command} --help`)")
    return ExitStatus.USAGE


def _status(error: BaseException) -> int | None:
    for kind in type(error).__mro__:
        if (status := KNOWN.get((kind.__module__, kind.__name__))) is not None:
            # An error of the machine may know better how the run ended.
            own: Any = getattr(error, "status", status)
            return own if isinstance(own, int) else status
    if type(error).__module__.split(".")[0] == "emulator":
        own = getattr(error, "status", None)
        return own if isinstance(own, int) else None
    return None


def _forget_stdout() -> None:
    """Nobody reads stdout any more: the interpreter's last flush must not complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
