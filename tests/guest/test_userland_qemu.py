"""The guest's own tests under QEMU, an oracle that shares no code with us. Skipped where there is no QEMU."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guest.test_on_ringtoll import EXTENSION_TESTS

GUEST = Path(__file__).parents[2] / "guest"
QEMU = shutil.which("qemu-system-i386")
pytestmark = [pytest.mark.guest, pytest.mark.skipif(QEMU is None, reason="no qemu-system-i386")]


@pytest.fixture(scope="module")
def build() -> Path:
    pytest.importorskip("ziglang")
    if not (GUEST / "Makefile").exists():
        pytest.skip("no kernel in this tree")
    subprocess.run(["make", "-C", GUEST, f"PYTHON={sys.executable}"], check=True, capture_output=True)
    return GUEST / "build"


def boot(build: Path, options: str, *modules: str) -> str:
    """Run until the guest leaves by the debug exit; return what it wrote on the serial line."""
    # exit=unwaited: tests kill their partner and collect its status, which must not become the machine's.
    images = [f"{build}/sandbox.elf sandbox"] + [
        f"{build}/{m}" if ".elf " in m else f"{build}/{m.split()[0]}.elf {m}" for m in modules
    ]
    command = [QEMU or "", "-cpu", "pentium3", "-m", "64", "-kernel", f"{build}/kernel.elf"]
    command += [
        "-initrd",
        ",".join(images),
        "-append",
        f"{options} exit=unwaited",
        "-no-reboot",
        "-display",
        "none",
    ]
    command += ["-monitor", "none", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1, run.stdout  # (status 0 << 1) | 1
    return run.stdout


def judge(output: str, at_least: int) -> None:
    assert re.findall(r"^FAIL .*$", output, re.M) == []
    assert len(re.findall(r"^PASS ", output, re.M)) >= at_least, output


def test_kernel(build: Path) -> None:
    judge(boot(build, "", "test_kernel", "test_kernel spinner"), 55)


def test_loading(build: Path) -> None:
    judge(boot(build, "", "test_loading"), 41)


def test_signals(build: Path) -> None:
    judge(boot(build, "", "test_signals", "test_signals partner"), 27)


def test_files(build: Path) -> None:
    judge(boot(build, "", "test_files"), 49)


def test_fork(build: Path) -> None:
    judge(boot(build, "", "test_fork"), 50)


def test_threads(build: Path) -> None:
    judge(boot(build, "", "test_threads"), 19)


@pytest.mark.parametrize("flush", ["invlpg", "cr3"])
def test_shm(build: Path, flush: str) -> None:
    judge(boot(build, f"flush={flush}", "test_shm"), 59)


@pytest.mark.parametrize("entry", ["sysexit", "iret"])
@pytest.mark.parametrize("flush", ["invlpg", "cr3"])
def test_libc(build: Path, flush: str, entry: str) -> None:
    judge(boot(build, f"flush={flush} entry={entry}", "test_libc"), 205)


def test_ports(build: Path) -> None:
    judge(boot(build, "", "test_ports"), 23)


@pytest.mark.parametrize("entry", ["sysexit", "iret"])
@pytest.mark.parametrize("flush", ["invlpg", "cr3", "none"])
def test_sandbox(build: Path, flush: str, entry: str) -> None:
    out = boot(build, f"flush={flush} entry={entry}", "test_sandbox a", "test_sandbox b")
    judge(out, 61 if flush == "none" else 78)
    assert ("STALE " in out) == (flush == "none")


@pytest.mark.parametrize("entry", ["sysexit", "iret"])
def test_small(build: Path, entry: str) -> None:
    """Bases, switches and the trampoline. Not limits: TCG has none on data and stack accesses."""
    small = "test_small_small.elf test_small"
    modules = [f"{small} small main", f"{small} small peer", "test_small.elf test_small large"]
    judge(boot(build, f"small=on entry={entry}", *modules), 49)


@pytest.mark.parametrize("entry", ["sysexit", "iret"])
@pytest.mark.parametrize("flush", ["invlpg", "cr3"])
@pytest.mark.parametrize("test", EXTENSION_TESTS)
def test_extensions(build: Path, test: str, flush: str, entry: str) -> None:
    judge(boot(build, f"flush={flush} entry={entry}", test), EXTENSION_TESTS[test])


def test_bench_uls_prints_complete_and_ordered_samples(build: Path) -> None:
    out = boot(build, "", "bench_uls runs=10", "bench_uls receiver")
    lines = [line.split() for line in out.splitlines() if line.startswith("BENCH")]
    assert lines[0][:3] == ["BENCH-BEGIN", "uls", "runs=10"]
    assert lines[-1] == ["BENCH-END"]
    # sandbox.elf, as the Makefile links it, has nothing signed
    assert [line[1] for line in lines if line[0] == "BENCH-SKIP"] == ["load_signed"]
    rows: dict[str, list[list[int]]] = {}
    for _, name, *numbers in (line for line in lines if line[0] == "BENCH"):
        rows.setdefault(name, []).append([int(n) for n in numbers])
    assert {"raw_upcall", "tlb_flush_reload", "upcall_flush_reload", "signal_current"} <= set(rows)
    assert {"signal_different", "signal_current_entry", "signal_different_entry"} <= set(rows)
    for name, samples in rows.items():
        assert [s[0] for s in samples] == list(range(10)), name
        for _, t0, t1, *before in samples:
            assert t0 < t1, name
            assert not before or before[0] < before[1] == t0, name
