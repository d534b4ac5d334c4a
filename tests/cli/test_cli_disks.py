"""`ringtoll boot --disk` and `--screenshot`."""

import sys
from pathlib import Path

import pytest
import typer

from emulator.cli import main
from emulator.cli.disks import DiskOption, parse_disk, place_disks

FLAT = ["--format", "flat", "--address", "0x100000"]
# 1f2..1f7: one sector, LBA 0, READ SECTORS; wait for DRQ; exit with the first byte of the data
READ = "66baf201 b001 ee 66baf301 b000 ee 66baf401 ee 66baf501 ee 66baf601 b0{head} ee 66baf701 b020 ee"
READ += "ec a808 74fb 66baf001 66ed e6f4 ebfe"
# the same with WRITE SECTORS; fill with 'W', wait for BSY to go, exit with 0
WRITE = "66baf201 b001 ee 66baf301 b000 ee 66baf401 ee 66baf501 ee 66baf601 b0e0 ee 66baf701 b030 ee"
WRITE += "66baf001 b880000000 89c1 b857575757 ef e2fd 66baf701 ec a880 75fb b000 e6f4 ebfe"
HELLO = "66c705 00800b00 4807 66c705 02800b00 6907 b007 e6f4 ebfe"  # "Hi" on the screen, exit 7
HELLO_TWICE = "66baf803 b041 ee" + HELLO  # "A" on COM1 too


def boot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, *options: str) -> int:
    guest = tmp_path / "guest.bin"
    guest.write_bytes(bytes.fromhex(code))
    monkeypatch.setattr(sys, "argv", ["ringtoll", "boot", str(guest), *FLAT, *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("a.img", DiskOption("a.img", False, None)),
        ("a.img,rw", DiskOption("a.img", True, None)),
        ("a.img,index=1", DiskOption("a.img", False, 1)),
        ("a.img,rw,index=3", DiskOption("a.img", True, 3)),
        ("a.img,index=0,rw", DiskOption("a.img", True, 0)),
        ("a,b.img", DiskOption("a,b.img", False, None)),
        ("a,rwx", DiskOption("a,rwx", False, None)),
    ],
)
def test_options_are_at_the_end_of_the_name(text: str, option: DiskOption) -> None:
    assert parse_disk(text) == option


@pytest.mark.parametrize("text", ["", ",rw", "a,index=4", "a,index=", "a,index=one", "a,index=-1"])
def test_what_names_no_file_or_place_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_disk(text)


def test_disks_without_a_place_take_what_is_left() -> None:
    options = [DiskOption(name, False, place) for name, place in (("a", None), ("b", 0), ("c", None))]
    assert [option and option.path for option in place_disks(options)] == ["b", "a", "c", None]
    with pytest.raises(typer.BadParameter, match="index=0"):
        place_disks([DiskOption("a", False, 0), DiskOption("b", False, 0)])
    with pytest.raises(typer.BadParameter, match="4 disks"):
        place_disks([DiskOption(name, False, None) for name in "abcde"])


@pytest.mark.parametrize(("place", "head"), [("", "e0"), (",index=1", "f0")])
def test_a_guest_reads_its_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, head: str
) -> None:
    (tmp_path / "hd.img").write_bytes(b"\x2a" * 512)
    assert (
        boot(monkeypatch, tmp_path, READ.format(head=head), "--disk", f"{tmp_path / 'hd.img'}{place}") == 42
    )


@pytest.mark.parametrize(("mode", "byte"), [("", b"\0"), (",rw", b"W")])
def test_what_a_guest_writes_is_dropped_unless_rw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, byte: bytes
) -> None:
    image = tmp_path / "hd.img"
    image.write_bytes(bytes(1024))
    assert boot(monkeypatch, tmp_path, WRITE, "--disk", f"{image}{mode}", "--max-cycles", "1e8") == 0
    assert image.read_bytes() == byte * 512 + bytes(512)


@pytest.mark.parametrize(
    ("option", "status", "message"),
    [
        ("missing.img", 120, "missing.img: a disk image must be a file that can be read: No such file"),
        (".", 120, ".: a disk image is a regular file"),
        ("a,index=9", 2, "index=9"),
    ],
)
def test_a_disk_that_cannot_be_used_is_one_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    option: str,
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert boot(monkeypatch, tmp_path, HELLO, "--disk", option) == status
    said = capfd.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert not said.out


def test_the_screen_is_shown_when_the_serial_line_was_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert boot(monkeypatch, tmp_path, HELLO) == 7
    assert capfd.readouterr().out == "Hi\n"
    assert boot(monkeypatch, tmp_path, HELLO_TWICE) == 7
    assert capfd.readouterr().out == "A"


def test_a_screenshot_is_written_at_the_end_whatever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "screen.png"
    for code, status in ((HELLO, 7), ("faf4", 123)):
        assert boot(monkeypatch, tmp_path, code, "--screenshot", str(picture)) == status
        data = picture.read_bytes()
        assert data.startswith(b"\x89PNG")
        assert (data[16:20], data[20:24]) == ((720).to_bytes(4, "big"), (400).to_bytes(4, "big"))
    assert boot(monkeypatch, tmp_path, HELLO, "--screenshot", str(tmp_path / "no" / "x.png")) == 125
