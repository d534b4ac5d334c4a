"""The progress line on a terminal: a real one, the slave of a pseudo-terminal."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from rich.console import Console

from emulator.cli import progress as module
from emulator.cli.progress import progress


@dataclass
class AtOnce:
    """A timer whose time has come when it is started."""

    delay: float
    function: Callable[[], None]
    daemon: bool = False

    def start(self) -> None:
        self.function()

    def cancel(self) -> None:
        pass


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Stderr is a terminal of 120 columns; calling it closes that and gives what was written, as words."""
    master, slave = os.openpty()
    error = os.fdopen(slave, "w")
    monkeypatch.setattr(module, "Console", lambda **_: Console(file=error))  # pytest owns sys.stderr
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(module.threading, "Timer", AtOnce)
    said: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(master, 4096):
                said.append(data)
        except OSError:  # EIO: the other end is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()

    def words() -> str:
        error.close()
        reader.join()
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", b"".join(said).decode())

    yield words
    error.close()
    reader.join()
    os.close(master)


def test_with_a_limit_there_is_a_bar_and_an_eta(terminal: Callable[[], str]) -> None:
    with progress("running vmlinuz", 100) as advance:
        advance(50, "1.500 s 44 M/s memset")
    said = terminal()
    assert "running vmlinuz" in said
    assert "ETA" in said
    assert "1.500 s 44 M/s memset" in said


def test_without_a_limit_there_is_no_end_in_sight(terminal: Callable[[], str]) -> None:
    with progress("running vmlinuz", None) as advance:
        advance(50, "1.500 s 44 M/s memset")
    said = terminal()
    assert "ETA" not in said
    assert "1.500 s 44 M/s memset" in said


def test_a_file_gets_no_progress(capfd: pytest.CaptureFixture[str]) -> None:
    with progress("running vmlinuz", 100) as advance:
        advance(50, "1.500 s")
    assert capfd.readouterr().err == ""
