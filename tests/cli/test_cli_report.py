"""`ringtoll report`: its tables add up to the run, and a file that doesn't is refused."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator.cli import main
from emulator.timing.causes import CAUSES

STATISTICS: dict[str, Any] = {
    "schema": 1,
    "kind": "statistics",
    "ringtoll": "0",
    "profile": "pentium4-willamette-1400",
    "image": {"name": "vmlinuz", "sha256": "00", "memory": 1},
    "outcome": {"kind": "exit", "status": 0, "message": "the guest ended with status 0"},
    "cycles": 10_000,
    "seconds": 10_000 / 1.4e9,
    "instructions": 2_000,
    "statistics": {"dtlb_cold_misses": 20, "itlb_flush_cr3_misses": 4, "dtlb_capacity_misses": 0},
    "ledger": {
        "total": 10_000,
        "by_cause": {"instruction": 7_800, "dtlb_cold": 1_000, "itlb_flush_cr3": 200, "halt": 1_000},
        "by_ring": {"0": 9_000, "1": 0, "2": 0, "3": 1_000},
        "by_ring_and_cause": {
            "0": {"instruction": 7_000, "dtlb_cold": 900, "itlb_flush_cr3": 100, "halt": 1_000},
            "3": {"instruction": 800, "dtlb_cold": 100, "itlb_flush_cr3": 100},
        },
        "by_symbol": {
            "vmlinuz:memset": {"instruction": 5_000, "dtlb_cold": 750},
            "vmlinuz:a|b": {"instruction": 2_800, "dtlb_cold": 250, "itlb_flush_cr3": 200},
            "vmlinuz:idle": {"halt": 1_000},
        },
    },
}


def ringtoll(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ringtoll", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def stats(tmp_path: Path) -> Path:
    path = tmp_path / "stats.json"
    path.write_text(json.dumps(STATISTICS))
    return path


def as_json(
    stats: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> Any:
    assert ringtoll(monkeypatch, "report", str(stats), "--json", *words) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("top", ["1", "2", "20"])
def test_every_table_adds_up(
    stats: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], top: str
) -> None:
    said = as_json(stats, monkeypatch, capsys, "--top", top)
    *causes, everything = said["by_cause"]
    assert everything == {"cause": "all", "cycles": 10_000, "share": 100.0, "ring0": 9_000, "ring3": 1_000}
    for column in ("cycles", "ring0", "ring3"):
        assert sum(row[column] for row in causes) == everything[column]
    assert {row["cause"] for row in causes} <= set(CAUSES)
    assert sum(row["cycles"] for row in said["by_ring"]) == 10_000
    assert sum(row["cycles"] for row in said["by_symbol"]) == 10_000
    *misses, all_misses = said["tlb_misses"]
    assert (all_misses["misses"], all_misses["cycles"]) == (24, 1_200)
    assert sum(row["misses"] for row in misses) == 24
    assert sum(row["cycles"] for row in said["tlb_symbols"]) == 1_200
    assert sum(row["misses"] for row in said["tlb_symbols"]) == 24


def test_misses_have_their_cost_and_symbols_their_share(
    stats: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = as_json(stats, monkeypatch, capsys)
    assert [row["per_miss"] for row in said["tlb_misses"]] == [50.0, 50.0, 50.0]
    assert [row["symbol"] for row in said["by_symbol"]] == ["vmlinuz:memset", "vmlinuz:a|b", "vmlinuz:idle"]
    assert said["by_symbol"][0]["mostly"] == "instruction 87 %, dtlb_cold 13 %"
    first = said["tlb_symbols"][0]
    assert (first["symbol"], first["misses"], first["share"], first["own_share"]) == (
        "vmlinuz:memset",
        15,
        62.5,
        13.0,
    )


def test_markdown_has_a_table_for_each(
    stats: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ringtoll(monkeypatch, "report", str(stats), "--markdown") == 0
    out = capsys.readouterr().out
    assert out.startswith("vmlinuz on pentium4-willamette-1400: 10,000 cycles")
    assert out.count("### ") == 5
    assert "| instruction | 7,800 | 78.0 % | 7,000 | 800 |" in out
    assert "vmlinuz:a\\|b" in out
    for table in out.split("### ")[1:]:
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in rows}) == 1


def test_people_see_the_same_tables(
    stats: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ringtoll(monkeypatch, "report", str(stats)) == 0
    out = capsys.readouterr().out
    for title in ("Cycles by cause", "Cycles by symbol", "TLB misses by reason", "Page walks by symbol"):
        assert title in out
    assert "7,800" in out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cycles": 9_999}, "the cycles of its causes sum to 10000, not to 9999"),
        ({"schema": 2}, "this version reads statistics of schema 1"),
        ({"kind": "report"}, "report of schema 1"),
        ({"ledger": STATISTICS["ledger"] | {"by_symbol": {"x": {"halt": 1}}}}, "its symbols sum to 1"),
        ({"ledger": STATISTICS["ledger"] | {"by_symbol": {"x": {"tea": 10_000}}}}, "no such cause: tea"),
        ({"ledger": 5}, "is not a file of `ringtoll boot --stats`"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    message: str,
) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(STATISTICS | change))
    assert ringtoll(monkeypatch, "report", str(path)) == 125
    assert message in capsys.readouterr().err


def test_any_other_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\xff hello")
    assert ringtoll(monkeypatch, "report", str(path)) == 125
    assert ringtoll(monkeypatch, "report", str(tmp_path / "none")) == 125
    assert "internal error" not in capsys.readouterr().err
