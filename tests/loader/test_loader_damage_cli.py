"""Damaged kernels and disks: `ringtoll images` and a short boot end in a message and the right status."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_loader_damage import FILES

from emulator.cli import main
from emulator.exitstatus import ExitStatus

REFUSED = 120
patches = st.lists(
    st.tuples(st.integers(0, 1 << 12), st.sampled_from((1, 2, 4, 16)), st.integers(0, (1 << 128) - 1)),
    min_size=1,
    max_size=6,
)


def damaged(data: bytes, changes: list[tuple[int, int, int]], end: int) -> bytes:
    result = bytearray(data)
    for at, size, value in changes:
        at %= len(data)
        result[at : at + size] = value.to_bytes(16, "little")[:size]
    return bytes(result[: len(data) - end % len(data)] if end else result)


def ringtoll(*words: str) -> tuple[int, str]:
    out, errors = io.StringIO(), io.StringIO()
    with patch.object(sys, "argv", ["ringtoll", *words]), redirect_stdout(out), redirect_stderr(errors):
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0), errors.getvalue()
    return 0, errors.getvalue()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(FILES)), patches, st.one_of(st.just(0), st.integers(0, 1 << 16)))
def test_a_damaged_kernel_is_described_or_refused_and_runs_or_is_refused(
    tmp_path: Path, name: str, changes: list[tuple[int, int, int]], end: int
) -> None:
    kernel, serial = tmp_path / "kernel", tmp_path / "serial"
    kernel.write_bytes(damaged(FILES[name], changes, end))
    described, said = ringtoll("images", str(kernel))
    assert described in (0, REFUSED)
    assert (described == 0) == (not said)
    assert "internal error" not in said
    assert "Traceback" not in said
    options = ["--memory", "4M", "--max-cycles", "20000", "--serial", str(serial), "--no-summary"]
    status, said = ringtoll("boot", str(kernel), *options)
    assert "internal error" not in said
    assert "Traceback" not in said
    if described == REFUSED:
        assert status == REFUSED
        assert said.startswith("ringtoll: ")


@pytest.mark.parametrize("size", [0, 1, 511, 513, 70000])
def test_a_disk_of_any_size_is_taken_or_refused(tmp_path: Path, size: int) -> None:
    kernel, disk, serial = tmp_path / "kernel", tmp_path / "disk", tmp_path / "serial"
    kernel.write_bytes(FILES["multiboot"])
    disk.write_bytes(b"\xff" * size)
    options = ["--max-cycles", "2e4", "--serial", str(serial), "--no-summary"]
    status, said = ringtoll("boot", str(kernel), "--disk", str(disk), *options)
    assert status == (REFUSED if size == 0 else int(ExitStatus.HALTED))
    assert said.startswith("ringtoll: ")
