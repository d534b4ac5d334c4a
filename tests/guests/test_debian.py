"""How what was fetched is passed on."""

import shlex
from pathlib import Path

import debian
import pytest
from debian import Guests, Unavailable


def test_what_was_fetched_is_told_as_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = Path("/a folder")
    got = Guests(where / "vmlinuz", where / "busybox", where / "memtest", where / "initramfs.cpio")
    monkeypatch.setattr(debian, "fetch", lambda _where=None: got)
    debian.main(["--options"])
    assert shlex.split(capsys.readouterr().out) == [
        "--linux",
        "/a folder/vmlinuz",
        "--initrd",
        "/a folder/initramfs.cpio",
    ]


def test_what_cannot_be_had_is_said_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(_where: Path | None = None) -> Guests:
        raise Unavailable("no network")

    monkeypatch.setattr(debian, "fetch", fetch)
    with pytest.raises(SystemExit, match="no Linux kernel: no network"):
        debian.main(["--options"])
