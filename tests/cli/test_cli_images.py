"""`ringtoll images`: what it says of a file, of whatever kind; and kernels started in each new format."""

import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.cli import main

MIB = 1 << 20
EXIT = "e6f4 ebfe"  # out f4, al; jmp .
# cmp esi, 90000; jne bad; mov ax, ss; cmp ax, 18; jne bad; jmp 10:100018; mov ds, ax
# mov ebx, [esi+218]; mov al, [ebx]; out f4, al; jmp .; bad: mov al, 1; out f4, al; jmp .
LINUX = (
    "81fe00000900 751c 668cd0 6683f818 7513 ea180010001000 90 8ed8 8b9e18020000 8a03" + EXIT + "b001" + EXIT
)
MULTIBOOT2 = "3d8962d736 7504 8a4308" + EXIT + "b063" + EXIT  # cmp eax, 36d76289; al = [ebx+8], a tag's type


def linux(code: str = LINUX, **fields: int) -> bytes:
    """A bzImage of protocol 2.12 that runs where it is loaded."""
    data = bytearray(0x600) + bytes.fromhex(code)
    data += bytes(-len(data) % 16)
    for offset, format, value in (
        (0x1F1, "B", 2),
        (0x1F4, "I", (len(data) - 0x600) // 16),
        (0x201, "B", 0x66),
        (0x202, "I", 0x53726448),
        (0x206, "H", 0x20C),
        (0x20E, "H", 0x200),
        (0x211, "B", 1),
        (0x214, "I", MIB),
        (0x22C, "I", 0x7FFFFFFF),
        (0x236, "H", fields.get("xloadflags", 0)),
        (0x238, "I", 255),
        (0x258, "Q", MIB),
        (0x260, "I", fields.get("init_size", 0x10000)),
    ):
        struct.pack_into(f"<{format}", data, offset, value)
    data[0x400:0x406] = b"1.2.3\0"
    return bytes(data)


def multiboot2() -> bytes:
    """Not ELF: address and entry tags; its code stands behind the header."""
    length = 16 + 24 + 16 + 8
    header = struct.pack("<4I", 0xE85250D6, 0, length, -(0xE85250D6 + length) & 0xFFFFFFFF)
    tags = struct.pack("<HHI4I", 2, 0, 24, MIB, MIB, 0, 0) + struct.pack("<HHII4x", 3, 0, 12, MIB + length)
    return header + tags + struct.pack("<HHI", 0, 0, 8) + bytes.fromhex(MULTIBOOT2)


def ringtoll(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ringtoll", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_a_linux_kernel_is_described(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(linux())
    monkeypatch.setenv("COLUMNS", "160")
    assert ringtoll(monkeypatch, "images", str(file)) == 0
    said = capsys.readouterr().out
    for words in (
        "bzimage",
        "1.2.3",
        "0010:100000",
        "--memory of at least 1088K",
        "--append, --initrd",
        "boot_params",
    ):
        assert words in said


def as_json(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, dict[str, Any]]:
    status = ringtoll(monkeypatch, "images", str(file), "--json", *options)
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return status, found


def test_the_same_as_json(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(linux())
    status, found = as_json(file, monkeypatch, capsys)
    assert (status, found["format"], found["refused"]) == (0, "bzimage", None)
    assert found["needs"] == {"memory": MIB + 0x10000, "takes": ["--append", "--initrd"]}
    assert found["facts"]["kernel version"] == "1.2.3"
    assert (found["entry"]["cs"], found["entry"]["ds"], found["entry"]["eip"]) == (0x10, 0x18, MIB)


@pytest.mark.parametrize(
    ("data", "rule", "hint"),
    [
        (b"", "empty", ""),
        (b"070701".ljust(600, b"0"), "unknown_format", "--initrd"),
        (b"\x1f\x8b\x08", "unknown_format", "gzip"),
        (bytes(0x8001) + b"CD001", "unknown_format", "CD"),
        (linux(xloadflags=1), "linux_64bit", ""),
        (linux(init_size=0xFFFFFFFF), "no_room", ""),
        (b"\x7fELF\2\1\1".ljust(64), "elf_class", ""),
        (b"MZ" + linux(xloadflags=1)[2:], "linux_64bit", ""),
    ],
)
def test_a_file_that_is_no_image_is_said_to_be_none(
    data: bytes,
    rule: str,
    hint: str,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file.write_bytes(data)
    status, found = as_json(file, monkeypatch, capsys)
    assert (status, found["format"], found["refused"]["rule"]) == (120, None, rule)
    assert hint in found["refused"]["hint"]
    assert bool(hint) == bool(found["refused"]["hint"])
    assert found["file"]["size"] == len(data)
    assert ringtoll(monkeypatch, "images", str(file)) == 120
    said = capsys.readouterr()
    assert "none that can be started" in said.out
    assert said.err.startswith("ringtoll: file: ")
    assert "Traceback" not in said.err


def test_a_file_that_cannot_be_read_has_one_message(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (file, file.parent, Path("/")):
        assert ringtoll(monkeypatch, "images", str(path)) == 120
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)


def test_raw_code_is_described_when_its_place_is_given(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(b"\xf4")
    status, found = as_json(file, monkeypatch, capsys, "--format", "flat", "--address", "0x7000")
    assert (status, found["format"], found["needs"]) == (0, "flat", {"memory": MIB, "takes": []})


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2048), st.sampled_from(["", "multiboot2", "linux"]), st.integers(0, 0x300))
def test_any_file_is_examined_without_internal_error(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    data: bytes,
    kind: str,
    at: int,
) -> None:
    whole = bytearray({"": b"", "multiboot2": multiboot2(), "linux": linux()}[kind])
    whole[at : at + len(data)] = data
    file.write_bytes(bytes(whole))
    for options in ((), ("--json",)):
        assert ringtoll(monkeypatch, "images", str(file), *options) in (0, 120)
    assert "internal error" not in capsys.readouterr().err


def test_linux_starts_with_its_gdt_and_finds_its_initrd(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_bytes(linux())
    (file.parent / "disk").write_bytes(b"\x2a")
    assert ringtoll(monkeypatch, "boot", str(file), "--initrd", str(file.parent / "disk")) == 42


def test_a_multiboot_2_kernel_starts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_bytes(multiboot2())
    assert ringtoll(monkeypatch, "boot", str(file)) == 1  # the first tag: command line


def test_an_initrd_for_a_kernel_that_takes_none_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(multiboot2())
    assert ringtoll(monkeypatch, "boot", str(file), "--initrd", str(file)) == 120
    assert "say --module" in capsys.readouterr().err
