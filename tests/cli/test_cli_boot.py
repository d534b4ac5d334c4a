"""`ringtoll boot`: what users see at each end of a run, and with which status."""

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from emulator.cli import main

SAY_A = "66baf803 b041 ee"  # mov dx,3f8; mov al,'A'; out dx,al
EXIT_7 = "b007 e6f4 ebfe"  # mov al,7; out f4,al; jmp .
FOREVER = "ebfe"
ECHO_ONE_KEY = "66bafd03 ec a801 74fb 66baf803 ec ee e6f4 ebfe"  # wait for a byte, send it back, exit with it
FLAT = ["--format", "flat", "--address", "0x100000"]


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    return tmp_path / "guest.bin"


def command(guest: Path, code: str, *options: str) -> list[str]:
    guest.write_bytes(bytes.fromhex(code))
    return ["boot", str(guest), *FLAT, *options]


def ringtoll(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ringtoll", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def start(guest: Path, code: str, *options: str, stdin: int, stdout: int = subprocess.PIPE) -> "Process":
    words = [sys.executable, "-m", "emulator.cli", *command(guest, code, *options)]
    return subprocess.Popen(words, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)


Process = subprocess.Popen[bytes]


def test_the_exit_status_is_the_guests_and_nothing_is_added_to_its_words(
    guest: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ringtoll(monkeypatch, *command(guest, SAY_A + EXIT_7)) == 7
    assert capfd.readouterr() == ("A", "")


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("fa f4", 123, "HLT with interrupts off"),
        ("b800000050 ffe0", 122, "unmapped"),
        ("cd03", 121, "triple fault"),
        (FOREVER, 124, "limit"),
    ],
)
def test_an_end_by_the_emulator_has_its_own_status_one_message_and_a_summary(
    guest: Path,
    code: str,
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert ringtoll(monkeypatch, *command(guest, code, "--max-cycles", "1e6")) == status
    said = capfd.readouterr().err
    assert said.startswith("ringtoll: ")
    assert message in said.splitlines()[0]
    assert "Traceback" not in said
    assert "Cycles by cause" in said


def test_serial_output_goes_to_a_file_whatever_the_end(guest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = guest.with_suffix(".log")
    words = command(guest, SAY_A + "faf4", "--serial", str(log))
    assert ringtoll(monkeypatch, *words) == 123
    assert log.read_bytes() == b"A"


def test_statistics_say_how_it_ended_and_add_up(guest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stats = guest.with_suffix(".json")
    assert ringtoll(monkeypatch, *command(guest, EXIT_7, "--stats", str(stats))) == 7
    said = json.loads(stats.read_bytes())
    assert said["outcome"]["kind"] == "exit"
    assert said["outcome"]["status"] == 7
    assert said["cycles"] == said["ledger"]["total"] == sum(said["ledger"]["by_cause"].values())


def test_two_runs_give_the_same_statistics_file(guest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [guest.with_suffix(f".{i}") for i in range(2)]
    for file in files:
        words = command(guest, FOREVER, "--max-cycles", "1e5", "--stats", str(file))
        assert ringtoll(monkeypatch, *words) == 124
    assert files[0].read_bytes() == files[1].read_bytes()


def test_statistics_on_stdout_need_the_serial_line_elsewhere(
    guest: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ringtoll(monkeypatch, *command(guest, EXIT_7, "--stats", "-")) == 2
    assert "--serial" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["boot", "nowhere.elf"], 120, "No such file"),
        (["boot", "pyproject.toml"], 120, "not an ELF file"),
        (["boot", sys.executable, "--profile", "nope"], 2, "no such profile"),
        (["boot", sys.executable, "--memory", "7"], 2, "memory is a multiple of 4K"),
        (["boot", sys.executable, "--memory", "lots"], 2, "not a size of memory"),
        (["boot", sys.executable, "--max-cycles", "0"], 2, "more than 0"),
        (["boot"], 2, "Missing argument"),
        (["bench", "uls", "--runs", "0"], 2, "--runs"),
        (["bench", "uls", "--profile", "nope"], 2, "no such profile"),
        (["fly"], 2, "fly"),
    ],
)
def test_a_wrong_command_line_ends_in_a_message_and_a_status(
    words: list[str],
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert ringtoll(monkeypatch, *words) == status
    said = capfd.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_serial_output_that_cannot_be_written_is_said(
    guest: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ringtoll(monkeypatch, *command(guest, SAY_A + EXIT_7, "--serial", "/dev/full")) == 125
    assert "serial output to /dev/full failed: No space left" in capfd.readouterr().err
    assert ringtoll(monkeypatch, *command(guest, SAY_A + EXIT_7, "--serial", "/nowhere/log")) == 125


def test_stdin_reaches_the_guests_serial_port(guest: Path) -> None:
    process = start(guest, ECHO_ONE_KEY, stdin=subprocess.PIPE)
    assert process.communicate(b"Q", timeout=120)[0] == b"Q"
    assert process.returncode == ord("Q")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_run_with_a_summary_and_a_whole_statistics_file(
    guest: Path, number: signal.Signals, status: int
) -> None:
    stats = guest.with_suffix(".json")
    process = start(guest, SAY_A + FOREVER, "--stats", str(stats), stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.read(1) == b"A"
    process.send_signal(number)
    said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == status
    assert "stopped at" in said
    assert "Cycles by cause" in said
    assert json.loads(stats.read_bytes())["outcome"]["kind"] == "interrupted"


def test_a_terminal_gives_each_key_at_once_and_is_put_back_afterwards(guest: Path) -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    words = [sys.executable, "-m", "emulator.cli", *command(guest, "b03e 66baf803 ee" + ECHO_ONE_KEY)]
    process = subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL, *words], stdin=theirs, stdout=theirs, stderr=subprocess.STDOUT
    )
    shown = b""
    while b">" not in shown:
        shown += os.read(ours, 100)
    os.write(ours, b"x")  # no newline
    assert process.wait(timeout=120) == ord("x")
    assert shown + os.read(ours, 100) == b">x"  # once: not echoed by the terminal as well
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


# Gives the command a session of its own with stdin as its terminal, as a terminal emulator would.
OWN_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
