"""The IPC experiment on the real machine: what each mechanism must and must not do to the TLBs."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

import pytest
from distributed import LocalCluster
from msgspec import UNSET

from emulator.bench.errors import BenchError
from emulator.bench.ipc import points
from emulator.bench.ipc.curves import DTLB_CAUSES, ITLB_CAUSES, Curves, misses
from emulator.bench.ipc.mechanisms import MECHANISMS
from emulator.bench.ipc.plot import check_plot, plot
from emulator.bench.ipc.points import Measured, Task, run_point
from emulator.bench.ipc.run import Plan, run_ipc
from emulator.bench.pool import cluster_pool, local_pool
from emulator.bench.result import Result, decode, encode
from emulator.timing.profile import load_profile
from loader.sandbox import Extension

pytestmark = pytest.mark.guest

P4 = "pentium4-willamette-1400"
PLAN = Plan(data_pages=(0, 48), code_pages=(0,), runs=2)
WIDE = ("syscall", "uls-sysexit-invlpg", "uls-sysexit-cr3", "yield", "small-yield")
WIDE_PLAN = Plan(WIDE, (0, 48, 128), (0, 48), 2)
SMALL_PLAN = Plan(("syscall", "yield"), (0, 16), (0,), 2)


def run(executor: Executor, plan: Plan = PLAN) -> Result:
    return run_ipc(load_profile(P4), P4, plan, executor)


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with local_pool(2) as executor:
        yield executor


@pytest.fixture(scope="module")
def result(pool: Executor) -> Result:
    return run(pool)


@pytest.fixture(scope="module")
def wide(pool: Executor) -> Result:
    return run(pool, WIDE_PLAN)


@pytest.fixture(scope="module")
def curves(result: Result) -> Curves:
    return Curves(result.rows)


def test_every_mechanism_is_measured_at_every_size_and_every_ledger_adds_up(result: Result) -> None:
    assert len(result.rows) == 3 * 2 * len(MECHANISMS)
    for row in result.rows:
        assert sum(row.ledger.values()) == row.median, row.name
        assert row.min <= row.median <= row.max


def test_what_a_mechanism_adds_is_the_round_trip_less_the_warm_working_set(curves: Curves) -> None:
    for name in MECHANISMS:
        trip, warm, added = (curves.curve(name, "data", m)[48] for m in ("round_trip", "touch_warm", "added"))
        assert abs(trip.median - warm.median - added.median) <= max(4, trip.max - trip.min)


def test_a_warm_working_set_misses_nothing_within_the_tlb_and_everything_beyond(wide: Result) -> None:
    curves = Curves(wide.rows)
    for name in WIDE:
        warm = curves.curve(name, "data", "touch_warm")
        assert misses(warm[48], DTLB_CAUSES) == 0
        assert misses(warm[128], DTLB_CAUSES) >= 128
        assert misses(curves.curve(name, "code", "touch_warm")[48], ITLB_CAUSES) == 0


@pytest.mark.parametrize(
    "name", ["yield", "pipe", "signal", "uls-sysexit-cr3", "uls-iret-cr3", "tagged-uls-cr3"]
)
def test_a_cr3_write_costs_a_walk_for_each_page_of_the_working_set(curves: Curves, name: str) -> None:
    trips = curves.curve(name, "data", "round_trip")
    assert misses(trips[48], ["dtlb_flush_cr3"]) - misses(trips[0], ["dtlb_flush_cr3"]) == 48


@pytest.mark.parametrize("name", WIDE)
def test_pages_of_code_are_walked_for_as_pages_of_data_are(wide: Result, name: str) -> None:
    trips = Curves(wide.rows).curve(name, "code", "round_trip")
    more = misses(trips[48], ["itlb_flush_cr3"]) - misses(trips[0], ["itlb_flush_cr3"])
    assert more == (48 if name in ("yield", "uls-sysexit-cr3") else 0)


@pytest.mark.parametrize(
    "name",
    [
        "syscall", "thread-yield", "thread-pipe", "small-yield", "small-signal",
        "tagged-yield", "tagged-pipe", "tagged-signal", "uls-sysexit-invlpg", "uls-iret-invlpg",
    ],
)  # fmt: skip
def test_where_no_cr3_is_written_or_tags_keep_entries_the_working_set_stays(
    curves: Curves, name: str
) -> None:
    trip = curves.curve(name, "data", "round_trip")[48]
    assert misses(trip, ["dtlb_flush_cr3", "itlb_flush_cr3"]) == 0
    assert misses(trip, ["dtlb_flush_invlpg"]) == ("uls" in name)


def test_without_global_pages_a_reload_drops_the_kernels_entries_too(curves: Curves) -> None:
    for entry in ("sysexit", "iret"):
        on, off = (
            misses(curves.curve(f"uls-{entry}-cr3{g}", "data", "round_trip")[0], ["dtlb_flush_cr3"])
            for g in ("", "-noglobal")
        )
        assert off > on
        same = [
            curves.curve(f"uls-{entry}-invlpg{g}", "data", "round_trip")[0].misses for g in ("", "-noglobal")
        ]
        assert same[0] == same[1]


def test_the_order_of_the_mechanisms_is_that_of_what_they_do(curves: Curves) -> None:
    cost = {name: curves.curve(name, "data", "round_trip")[48].median for name in MECHANISMS}
    assert cost["syscall"] < cost["uls-sysexit-invlpg"] < cost["uls-iret-invlpg"] < cost["uls-iret-cr3"]
    assert cost["thread-yield"] < cost["small-yield"] < cost["yield"] < cost["pipe"] < cost["signal"]


def test_the_findings_give_the_ratio_of_the_published_claim_and_the_reach_of_the_tlb(wide: Result) -> None:
    notes = "\n".join(wide.notes)
    assert "round trips of uls-sysexit-invlpg : small-yield by data pages 0: 0." in notes
    assert "TLB reach: 48 data pages still hit when touched warm, with 128 they miss" in notes
    assert "uls-sysexit-invlpg, data: level" in notes
    assert "yield, data: rises" in notes


def test_two_processes_two_workers_of_a_cluster_and_a_second_run_give_the_same_bytes(pool: Executor) -> None:
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=40
        ) as cluster,
        cluster_pool(cluster.scheduler_address) as workers,
    ):
        elsewhere = encode(run(workers, SMALL_PLAN))
    here = encode(run(pool, SMALL_PLAN))
    assert here == elsewhere == encode(run(pool, SMALL_PLAN))
    assert encode(decode(here)) == here


def test_a_point_does_not_depend_on_the_others(result: Result) -> None:
    alone = run_point(load_profile(P4), Task("pipe", 48, 0, PLAN.runs, "int80"))
    assert alone.rows == [row for row in result.rows if row.name.startswith("pipe/d48/c0/")]


def test_a_worker_with_other_images_is_refused(pool: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(
        executor: Executor, function: object, tasks: list[tuple[object, Task]], *rest: object
    ) -> object:
        return [Measured(task, "0.0.1", "ab", []) for _, task in tasks]

    monkeypatch.setattr("emulator.bench.ipc.run.run_tasks", other)
    with pytest.raises(BenchError, match=r"a worker with Ringtoll 0\.0\.1 measured another image"):
        run(pool, SMALL_PLAN)


def test_a_guest_that_cannot_measure_says_which_point_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = points._bundle()
    other = points.link_sandbox([Extension("null", bundle["null.o"])], bundle["runtime.o"])
    monkeypatch.setattr(points, "_sandbox", lambda: other.elf)
    with pytest.raises(BenchError, match=r"uls-sysexit-invlpg, 0 data and 0 code pages: .*error -2"):
        run_point(load_profile(P4), Task("uls-sysexit-invlpg", 0, 0, 1, "int80"))


def test_an_unknown_mechanism_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BenchError, match="no such mechanism: telepathy; there are syscall, "):
        Plan(mechanisms=("pipe", "telepathy")).tasks()


def test_tasks_stand_in_the_usual_order_and_once_each() -> None:
    tasks = Plan(("yield", "syscall"), (16, 0, 16), (0, 8)).tasks()
    assert [(task.mechanism, task.data_pages, task.code_pages) for task in tasks] == [
        (name, *size) for name in ("syscall", "yield") for size in ((0, 0), (16, 0), (0, 8))
    ]


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_plot_has_the_same_bytes_every_time(wide: Result, tmp_path: Path, suffix: str) -> None:
    digests = set()
    for name in ("a", "b"):
        path = tmp_path / f"{name}{suffix}"
        plot(wide, path)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_plot_of_another_kind_or_nowhere_is_refused_before_measuring(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"a plot is a \.png or \.svg file"):
        check_plot(tmp_path / "curves.pdf")
    with pytest.raises(BenchError, match="there is no folder"):
        check_plot(tmp_path / "nowhere" / "curves.png")


def test_rows_of_other_benchmarks_have_neither_point_nor_misses(result: Result) -> None:
    assert all(row.point is not UNSET and row.misses is not UNSET for row in result.rows)
