"""The ULS benchmark on a machine that only pretends: canned serial text and a matching ledger."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from canned_guest import PUBLISHED, Guest, published_guest

from emulator.bench import uls
from emulator.bench.errors import BenchError
from emulator.bench.result import Result, decode, encode
from emulator.bench.snapshots import Causes
from emulator.bundle import Bundle
from emulator.exitstatus import ExitStatus
from emulator.timing import causes
from loader import EntryState, Image


@dataclass
class Ended:
    kind: str = "exit"
    status: int = 0
    message: str = "the guest ended with status 0"


@dataclass
class PretendedMachine:
    guest: Guest
    text: bytes
    ended: Ended
    serial_out: Callable[[bytes], None] = lambda data: None

    def __call__(self, *, memory_bytes: int, serial_out: Callable[[bytes], None], tsc_log: int) -> Any:
        self.serial_out = serial_out
        return self

    def load(self, image: Image) -> None:
        assert image.name == "kernel.elf"

    def run(self, *, max_cycles: int | None = None) -> Ended:
        self.serial_out(self.text)
        return self.ended

    def tsc_snapshots(self) -> list[tuple[int, Causes]]:
        return self.guest.log


@pytest.fixture(autouse=True)
def _no_image_is_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image("kernel.elf", "ab" * 32, "multiboot", (), EntryState("protected32", 0, None, {}), (), 0)
    monkeypatch.setattr(uls, "compose", lambda bundle, options: image)


def bench(guest: Guest, *, runs: int = 3, profile: str = "pentium4-willamette-1400", **how: Any) -> Result:
    machine = PretendedMachine(guest, how.get("text", guest.text(runs)), how.get("ended", Ended()))
    return uls.run_uls(profile, uls.Options(runs=runs), machine, bundle=Bundle({}))


def test_the_rows_stand_in_the_published_order_whatever_order_the_guest_measures_in() -> None:
    guest = published_guest()
    guest.lines.reverse()
    guest.lines.sort(key=lambda line: int(line.split()[2]))
    assert [row.name for row in bench(guest).rows] == list(PUBLISHED)


def test_a_row_has_minimum_median_maximum_and_ratio() -> None:
    row = bench(published_guest()).row("raw_upcall")
    assert row is not None
    assert (row.min, row.median, row.max, row.runs) == (2490, 2500, 2530, 3)
    assert (row.published, row.ratio) == (2500, 1.0)


def test_the_median_of_an_even_number_of_runs_is_the_lower_one_an_actual_run() -> None:
    row = bench(published_guest((0, 1, 2, 3)), runs=4).row("raw_upcall")
    assert row is not None
    assert row.median == 2501


def test_the_ledger_of_each_row_adds_up_to_its_median() -> None:
    for row in bench(published_guest()).rows:
        assert sum(row.ledger.values()) == row.median


def test_causes_that_cost_nothing_are_left_out() -> None:
    row = bench(published_guest()).row("raw_upcall")
    assert row is not None
    assert row.ledger == {"sysexit": 2500}


def test_rows_without_published_figure_follow_with_none() -> None:
    guest = published_guest()
    guest.row("null_syscall_int80", [900, 900, 900], causes.INTERRUPT)
    guest.row("brand_new", [5, 5, 5])
    rows = bench(guest).rows[5:]
    assert [(row.name, row.published, row.ratio) for row in rows] == [
        ("null_syscall_int80", None, None),
        ("brand_new", None, None),
    ]
    assert rows[1].title == "brand_new"


def test_one_run_whose_ledger_does_not_add_up_spoils_the_result() -> None:
    guest = published_guest()
    guest.log[-1][1][causes.LOCK] += 1
    with pytest.raises(BenchError, match="adds up"):
        bench(guest)


def test_a_missing_published_row_is_an_error_with_the_guests_reason() -> None:
    guest = published_guest()
    guest.lines = [line for line in guest.lines if "different" not in line]
    text = guest.text(3, "BENCH-SKIP signal_different no receiver")
    with pytest.raises(BenchError, match=r"did not measure signal_different\n.*no receiver"):
        bench(guest, text=text)


def test_a_guest_that_fails_is_an_error_with_its_last_words() -> None:
    with pytest.raises(BenchError, match=r"(?s)status 3.*\| panic"):
        bench(published_guest(), text=b"panic: oh\n", ended=Ended(status=3))


def test_an_end_by_the_emulator_keeps_its_message_and_status() -> None:
    with pytest.raises(BenchError, match="triple fault at") as caught:
        bench(published_guest(), ended=Ended("error", ExitStatus.TRIPLE_FAULT, "triple fault at 8:c0100000"))
    assert caught.value.status == ExitStatus.TRIPLE_FAULT


def test_two_runs_give_the_same_bytes_and_reading_them_gives_the_result() -> None:
    first, second = encode(bench(published_guest())), encode(bench(published_guest()))
    assert first == second
    assert decode(first) == bench(published_guest())


def test_the_json_has_its_documented_form() -> None:
    text = encode(bench(published_guest())).decode()
    head = ["schema", "benchmark", "ringtoll", "profile", "image", "options", "rows", "notes"]
    assert [line.split('"')[1] for line in text.splitlines() if line.startswith('  "')] == head
    row = text[text.index('"rows"') :]
    fields = ["name", "title", "unit", "min", "median", "max", "runs", "published", "ratio", "ledger"]
    assert [line.split('"')[1] for line in row.splitlines() if line.startswith('      "')][:10] == fields


def test_a_result_of_another_schema_is_refused() -> None:
    text = encode(bench(published_guest())).replace(b'"schema": 1', b'"schema": 2')
    with pytest.raises(BenchError, match="schema 2"):
        decode(text)
