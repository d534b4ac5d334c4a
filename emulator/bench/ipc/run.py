"""The whole experiment: every mechanism at every size, and what the curves say."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import emulator
from emulator.bench.errors import BenchError
from emulator.bench.ipc import BENCHMARK
from emulator.bench.ipc.findings import findings
from emulator.bench.ipc.mechanisms import MECHANISMS
from emulator.bench.ipc.points import Measured, Task, compose, run_point
from emulator.bench.pool import run_tasks
from emulator.bench.result import ImageInfo, Result
from emulator.bundle import KERNEL
from emulator.exitstatus import ExitStatus
from emulator.timing.profile import Profile

DATA_PAGES: Final = (0, 8, 16, 24, 32, 40, 48, 56, 60, 64, 80, 96, 128, 192, 256, 384, 512)
CODE_PAGES: Final = (0, 16, 32, 48, 56, 64, 96, 128, 192, 256)
QUICK: Final = (0, 48, 128)
DEFAULT_RUNS: Final = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: the data pages with no code pages, and the other way round."""

    mechanisms: Sequence[str] = tuple(MECHANISMS)
    data_pages: Sequence[int] = DATA_PAGES
    code_pages: Sequence[int] = CODE_PAGES
    runs: int = DEFAULT_RUNS
    syscall: str = "int80"

    def tasks(self) -> list[Task]:
        """The points, by mechanism, then data pages, then code pages. Raises: BenchError."""
        if unknown := [name for name in self.mechanisms if name not in MECHANISMS]:
            raise BenchError(
                f"no such mechanism: {', '.join(unknown)}; there are {', '.join(MECHANISMS)}",
                ExitStatus.USAGE,
            )
        wanted = [name for name in MECHANISMS if name in self.mechanisms]
        return [Task(name, *size, self.runs, self.syscall) for name in wanted for size in self._sizes()]

    def _sizes(self) -> Iterator[tuple[int, int]]:
        yield from ((pages, 0) for pages in sorted(set(self.data_pages)))
        yield from ((0, pages) for pages in sorted(set(self.code_pages)) if pages or 0 not in self.data_pages)


def run_ipc(
    profile: Profile,
    label: str,
    plan: Plan,
    executor: Executor,
    *,
    on_done: Callable[[Task, int], None] = lambda task, done: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Result:
    """Measure all points on the executor. Raises: BenchError."""
    tasks = plan.tasks()
    measured = run_tasks(
        executor,
        run_point,
        [(profile, task) for task in tasks],
        lambda index, done: on_done(tasks[index], done),
        stopped,
    )
    rows = [row for one in measured for row in one.rows]
    return Result(
        benchmark=BENCHMARK,
        ringtoll=emulator.__version__,
        profile=label,
        image=ImageInfo(KERNEL, _same_images(measured)),
        options={"runs": plan.runs, "syscall": plan.syscall, "points": len(tasks)},
        rows=rows,
        notes=findings(rows),
    )


def _same_images(measured: Sequence[Measured]) -> str:
    """The SHA-256 of all images' SHA-256s; a BenchError if a worker had others than this installation."""
    for one in measured:
        ours = (emulator.__version__, compose(one.task).sha256)
        if (one.ringtoll, one.image) != ours:
            raise BenchError(
                f"{one.task}: a worker with Ringtoll {one.ringtoll} measured another image than Ringtoll "
                f"{ours[0]} here would; install the same one on all workers"
            )
    return hashlib.sha256("".join(one.image for one in measured).encode()).hexdigest()
