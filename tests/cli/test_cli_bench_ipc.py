"""`ringtoll bench ipc` on the command line."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]


def ringtoll(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emulator.cli", "bench", "ipc", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.guest
def test_it_prints_tables_and_writes_json_and_plots(tmp_path: Path) -> None:
    json, svg = tmp_path / "ipc.json", tmp_path / "ipc.svg"
    done = ringtoll(
        "--mechanisms", "syscall, yield", "--pages", "0,48", "--code-pages", "0", "--runs", "2",
        "--jobs", "1", "--json", str(json), "--plot", str(svg),
    )  # fmt: skip
    assert (done.stderr, done.returncode) == ("", 0)
    assert "round trip, cycles, by data pages of 4 KB" in done.stdout
    assert "yield, data: rises" in done.stdout
    rows = msgspec.json.decode(json.read_bytes())["rows"]
    assert [row["name"] for row in rows][:3] == [
        f"syscall/d0/c0/{measure}" for measure in ("round_trip", "touch_warm", "added")
    ]
    assert svg.read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mechanisms", "telepathy"), "no such mechanism: telepathy"),
        (("--pages", "many"), "is not a list of numbers"),
        (("--pages", "513"), "0 to 512 pages"),
        (("--code-pages", "257"), "0 to 256 pages"),
        (("--plot", "curves.pdf"), "a plot is a .png or .svg file"),
    ],
)
def test_what_cannot_be_measured_or_drawn_is_refused_at_once(words: tuple[str, ...], said: str) -> None:
    done = ringtoll(*words)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
