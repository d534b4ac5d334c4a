"""Errors on the command line: one message, one status, no traceback."""

import sys

import pytest

from emulator.bench.errors import BenchError
from emulator.bundle import BundleError
from emulator.cli import main
from emulator.cli.errors import CliError, report
from emulator.exitstatus import MEANING, ExitStatus
from loader import ImageError, Rule


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ImageError("a.elf", Rule.EMPTY, "the file is empty"), 120),
        (BundleError("no images"), 120),
        (BenchError("went wrong"), 125),
        (BenchError("limit", ExitStatus.CYCLE_LIMIT), 124),
        (CliError("no", ExitStatus.USAGE), 2),
        (FileNotFoundError(2, "No such file or directory", "out.json"), 125),
        (KeyboardInterrupt(), 130),
    ],
)
def test_a_known_error_has_a_message_and_its_status(
    error: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error) == status
    assert capsys.readouterr().err.startswith("ringtoll: ")


def test_an_unknown_error_asks_to_be_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(ZeroDivisionError("division by zero")) == 125
    said = capsys.readouterr().err
    assert "please report it: ZeroDivisionError: division by zero" in said
    assert "Traceback" not in said


def test_a_traceback_is_there_for_those_who_ask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RINGTOLL_TRACEBACK", "1")
    report(ZeroDivisionError("division by zero"))
    assert "ZeroDivisionError" in capsys.readouterr().err.splitlines()[0]


def test_every_status_has_a_meaning() -> None:
    assert set(MEANING) == set(ExitStatus)


@pytest.mark.parametrize(
    ("words", "about", "where"),
    [
        ("nothing-such", "nothing-such", "ringtoll"),
        ("boot", "IMAGE", "ringtoll boot"),
        ("boot --colour red", "--colour", "ringtoll boot"),
        ("bench ipc --jobs 0", "--jobs", "ringtoll bench ipc"),
        ("bench ipc --pages 1,x", "1,x", "ringtoll bench ipc"),
        ("verify a.o", "--trust", "ringtoll verify"),
        ("profiles show i386", "i386", "ringtoll"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_begins_with_ringtoll(
    words: str, about: str, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ringtoll", *words.split()])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == ExitStatus.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ringtoll: ")
    assert about in line
    assert where in line


def test_a_group_of_commands_alone_prints_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ringtoll", "bench"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert end.value.code == ExitStatus.USAGE
    assert "uls" in said.out + said.err
    assert "ringtoll: " not in said.err
