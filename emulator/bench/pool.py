"""Tasks of a benchmark on several processes: a pool of this host, or the workers of a Dask cluster.

Both are `concurrent.futures` executors. What a task gives depends on its arguments alone, and results are put
into the order of the tasks, so that neither the pool nor its size can be seen in them.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context, resource_tracker
from typing import Any, TypeVar

from emulator.bench.errors import BenchError
from emulator.exitstatus import ExitStatus

T = TypeVar("T")

LOOK_UP = 0.2  # seconds between two looks at the request to stop
PATIENCE = 10  # seconds for the scheduler and its first worker


@contextlib.contextmanager
def local_pool(jobs: int) -> Iterator[Executor]:
    """Processes of this host. Not forked: the parent has threads (its progress bar).

    Ctrl-C goes to every process of a terminal, and only the parent shall answer: the others are started with
    the signal blocked, which they inherit, and all of them at once (a submitted task starts one).
    """
    resource_tracker.ensure_running()  # would unblock it
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for _ in range(jobs):
                pool.submit(int)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield pool


@contextlib.contextmanager
def cluster_pool(address: str) -> Iterator[Executor]:
    """The workers of the Dask scheduler at `address`; a BenchError if there are none, or no `distributed`."""
    try:
        from distributed import Client
    except ImportError:
        raise BenchError("--cluster needs the package distributed: pip install 'ringtoll[cluster]'") from None
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BenchError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except (OSError, TimeoutError):
            raise BenchError(f"the Dask scheduler at {address} has no worker") from None
        yield client.get_executor(pure=False)


def run_tasks(
    executor: Executor,
    function: Callable[..., T],
    tasks: Sequence[tuple[Any, ...]],
    on_done: Callable[[int, int], None] = lambda index, done: None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[T]:
    """`function` of every tuple of arguments, in their order; `on_done(index, how many are done)` in any.

    Raises: BenchError of a task, or when a process dies or `stopped()` becomes true; nothing is begun then.
    """
    futures: dict[Future[T], int] = {}
    results: dict[int, T] = {}
    try:
        for index, task in enumerate(tasks):
            futures[executor.submit(function, *task)] = index
        pending = set(futures)
        while pending:
            if stopped():
                raise BenchError(
                    f"interrupted after {len(results)} of {len(tasks)} points", ExitStatus.INTERRUPTED
                )
            ready, pending = wait(pending, timeout=LOOK_UP, return_when=FIRST_COMPLETED)
            for future in ready:
                results[futures[future]] = _result(future)
                on_done(futures[future], len(results))
    finally:
        for future in futures:
            future.cancel()
    return [results[index] for index in range(len(tasks))]


def _result(future: Future[T]) -> T:
    try:
        return future.result()
    except BenchError:
        raise
    except BrokenExecutor as error:
        raise BenchError("a process of the pool has died (was there enough memory?)") from error
    except Exception as error:  # whatever a worker on another host says
        raise BenchError(f"a worker failed: {type(error).__name__}: {error}") from error
