"""Tasks on several processes, here or on a Dask cluster: results in order, and clear errors."""

import os
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pytest

from emulator.bench.errors import BenchError
from emulator.bench.pool import cluster_pool, local_pool, run_tasks
from emulator.exitstatus import ExitStatus


def late_square(number: int) -> int:
    time.sleep(0.02 * (3 - number % 3))  # later tasks are done earlier
    return number * number


def refuse(number: int) -> int:
    raise BenchError(f"no {number}", ExitStatus.TRIPLE_FAULT)


def die(number: int) -> int:
    os._exit(1)


@pytest.fixture
def threads() -> Any:
    with ThreadPoolExecutor(3) as pool:
        yield pool


def test_results_stand_in_the_order_of_the_tasks_whoever_is_done_first(threads: Executor) -> None:
    told: list[int] = []
    results = run_tasks(threads, late_square, [(n,) for n in range(9)], lambda _, done: told.append(done))
    assert results == [n * n for n in range(9)]
    assert told == list(range(1, 10))


def test_a_task_that_fails_ends_the_run_with_its_message_and_status(threads: Executor) -> None:
    with pytest.raises(BenchError, match="no 7") as caught:
        run_tasks(threads, refuse, [(7,)])
    assert caught.value.status == ExitStatus.TRIPLE_FAULT


def test_a_request_to_stop_is_heard_between_two_results(threads: Executor) -> None:
    done: list[int] = []
    with pytest.raises(BenchError, match=r"interrupted after \d+ of 200 points") as caught:
        run_tasks(
            threads,
            late_square,
            [(n,) for n in range(200)],
            lambda index, _: done.append(index),
            lambda: len(done) > 2,
        )
    assert caught.value.status == ExitStatus.INTERRUPTED
    assert len(done) < 200


def test_a_pool_of_processes_gives_the_same_and_carries_errors() -> None:
    with local_pool(2) as pool:
        assert run_tasks(pool, late_square, [(n,) for n in range(5)]) == [0, 1, 4, 9, 16]
        with pytest.raises(BenchError, match="no 1") as caught:
            run_tasks(pool, refuse, [(1,)])
        assert caught.value.status == ExitStatus.TRIPLE_FAULT
        with pytest.raises(BenchError, match="a process of the pool has died"):
            run_tasks(pool, die, [(1,)])


def test_an_address_where_no_scheduler_listens_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.bench.pool.PATIENCE", 1)
    with (
        pytest.raises(BenchError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"),
        cluster_pool("tcp://127.0.0.1:1"),
    ):
        pass
