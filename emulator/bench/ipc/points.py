"""One point of the experiment: a mechanism and a working set, measured on a machine of its own.

A point needs nothing but its arguments and the images of the installed package, so it can be run in another
process or on another host, and gives the same result there.
"""

from functools import cache
from typing import Final

from msgspec import Struct

import emulator
from emulator.bench.console_log import ConsoleLog, Run
from emulator.bench.errors import BenchError
from emulator.bench.ipc import BENCHMARK
from emulator.bench.ipc.mechanisms import MECHANISMS, Mechanism
from emulator.bench.result import Point, Row
from emulator.bench.rows import figures
from emulator.bench.snapshots import MissCounts, Snapshots
from emulator.bundle import KERNEL, RUNTIME, Bundle, load_bundle
from emulator.machine import Machine
from emulator.timing.profile import Profile, apply_what_if
from loader import Image, Module, load_image
from loader.sandbox import Extension, link_sandbox

MEMORY_BYTES: Final = 64 << 20
CYCLES: Final = 10_000_000_000  # a point that isn't over by then is wedged
READINGS_PER_RUN: Final = 40  # RDTSCs logged: three of the client, the others the scheduler's own
WARM_UP: Final = 8  # as the guest program
MEASURES: Final = {
    "round_trip": "round trip",
    "touch_warm": "working set, warm",
    "added": "added by the mechanism",
}
MOST_DATA_PAGES: Final = 512  # as the guest program
MOST_CODE_PAGES: Final = 256
MOST_RUNS: Final = 2000


class Task(Struct, frozen=True):
    """What to measure."""

    mechanism: str
    data_pages: int
    code_pages: int
    runs: int
    syscall: str

    def __str__(self) -> str:
        return f"{self.mechanism}, {self.data_pages} data and {self.code_pages} code pages"


class Measured(Struct, frozen=True):
    """What came out, and from what."""

    task: Task
    ringtoll: str
    image: str  # SHA-256
    rows: list[Row]


@cache
def _bundle() -> Bundle:
    return load_bundle()


@cache
def _sandbox() -> bytes:
    bundle = _bundle()
    return link_sandbox([Extension("echo", bundle["echo.o"])], bundle[RUNTIME]).elf


def compose(task: Task) -> Image:
    """Kernel, sandbox, client and server."""
    how = MECHANISMS[task.mechanism]
    program = _bundle()[f"{how.program}.elf"]
    start = f"{how.program} small" if how.small else how.program
    client = f"{start} {how.guest} runs={task.runs} dpages={task.data_pages} cpages={task.code_pages}"
    modules = [Module("sandbox", _sandbox()), Module(f"{client} syscall={task.syscall}", program)]
    if how.server:
        modules.append(Module(f"{start} {how.guest} server syscall={task.syscall}", program))
    return load_image(
        _bundle()[KERNEL], name=KERNEL, memory_bytes=MEMORY_BYTES, append=how.options, modules=modules
    )


def run_point(profile: Profile, task: Task) -> Measured:
    """Boot, measure, and check that every ledger adds up; a BenchError names the point if anything fails."""
    how = MECHANISMS[task.mechanism]
    if how.what_if:
        profile = apply_what_if(profile, how.what_if, profile.name)
    log = ConsoleLog(BENCHMARK)
    readings = max(4096, READINGS_PER_RUN * (task.runs + WARM_UP))
    machine = Machine(profile, memory_bytes=MEMORY_BYTES, serial_out=log.feed, tsc_log=readings)
    image = compose(task)
    machine.load(image)
    outcome = machine.run(max_cycles=CYCLES)
    try:
        if log.skipped:
            raise BenchError(log.skipped[0])
        if outcome.kind != "exit" or outcome.status != 0:
            said = "".join(f"\n  | {line}" for line in log.talk)
            raise BenchError(f"{outcome.message}{said}", outcome.status)
        rows = log.rows()
        if list(rows) != ["touch_warm", "round_trip", "added"]:
            raise BenchError(f"the guest measured {', '.join(rows)}")
        snapshots = Snapshots(machine.tsc_snapshots(), readings)
        misses = MissCounts(machine.tsc_misses())
        return Measured(
            task,
            emulator.__version__,
            image.sha256,
            [_row(how, task, rows[measure], snapshots, misses) for measure in MEASURES],
        )
    except BenchError as error:
        raise BenchError(f"{task}: {error}", error.status) from error


def _row(how: Mechanism, task: Task, runs: list[Run], snapshots: Snapshots, misses: MissCounts) -> Row:
    found = figures(runs, snapshots)
    measure = found.median.row
    return Row(
        name=f"{task.mechanism}/d{task.data_pages}/c{task.code_pages}/{measure}",
        title=f"{how.title}, {task.data_pages} data and {task.code_pages} code pages: {MEASURES[measure]}",
        min=found.min,
        median=found.median.value,
        max=found.max,
        runs=found.runs,
        ledger=found.ledger,
        misses=misses.during(found.median),
        point=Point(task.mechanism, task.data_pages, task.code_pages, measure),
    )
