"""The benchmark `uls`: the costs of User-Level Sandboxing, measured inside the guest by RDTSC.

::

    bundle: kernel.elf + sandbox (extensions, linked) + bench program      compose()
                 |
            Machine.run, serial line ----> ConsoleLog: runs of each row    measure()
                 |
            TSC snapshots ---------------> Snapshots: the ledger of a run
                 v
            Result: min, median, max, published, ratio, ledger             evaluate()
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import emulator
from emulator.bench.compare import compare
from emulator.bench.console_log import ConsoleLog, Run
from emulator.bench.errors import BenchError
from emulator.bench.published import Published, load_published
from emulator.bench.result import ImageInfo, Result, Row
from emulator.bench.rows import figures
from emulator.bench.snapshots import Causes, Snapshots
from emulator.bundle import KERNEL, RUNTIME, Bundle, load_bundle
from loader import Image, Module, load_image
from loader.authorisation import Candidate, authorise, policy
from loader.sandbox import Extension, link_sandbox
from loader.signature import sign

BENCHMARK = "uls"
PROGRAM = "bench_uls"
MEMORY_BYTES = 64 << 20
DEFAULT_RUNS = 100
MOST_RUNS = 2000  # as the guest program
READINGS_PER_RUN = 200  # RDTSCs logged per run: all rows and pairs, warm-up, and the scheduler's own
CYCLES = 10_000_000_000  # a benchmark that isn't over by then is wedged
CYCLES_PER_RUN = 50_000_000

Flush = Literal["invlpg", "cr3"]
Entry = Literal["sysexit", "iret"]


class RunOutcome(Protocol):
    """What the end of a run says."""

    @property
    def kind(self) -> str:
        """How it ended; `exit` if the guest ended it."""

    @property
    def status(self) -> int:
        """The exit status."""

    @property
    def message(self) -> str:
        """What happened, where, and which rule it broke."""


class BenchMachine(Protocol):
    """The part of a machine that benchmarks use."""

    def load(self, image: Image) -> None:
        """Put the image into memory."""

    def run(self, *, max_cycles: int | None = None) -> RunOutcome:
        """Run to the end or the limit."""

    def tsc_snapshots(self) -> Sequence[tuple[int, Causes]]:
        """The ledger by cause at every RDTSC."""


class MakeMachine(Protocol):
    """Makes the machine to measure on."""

    def __call__(
        self, *, memory_bytes: int, serial_out: Callable[[bytes], None], tsc_log: int
    ) -> BenchMachine:
        """Make it."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user may vary."""

    flush: Flush = "invlpg"
    entry: Entry = "sysexit"
    runs: int = DEFAULT_RUNS

    @property
    def readings(self) -> int:
        """How many RDTSCs the machine should log."""
        return max(1 << 15, READINGS_PER_RUN * self.runs)


def compose(bundle: Bundle, options: Options) -> Image:
    """Link the sandbox and put kernel, sandbox and benchmark program together."""
    sandbox = link_sandbox([*_trusted(bundle), _signed(bundle)], bundle[RUNTIME], bundle.libc)
    modules = [
        Module("sandbox", sandbox.elf),
        Module(f"{PROGRAM} runs={options.runs}", bundle[f"{PROGRAM}.elf"]),
        Module(f"{PROGRAM} receiver", bundle[f"{PROGRAM}.elf"]),  # the other process, for signal_different
    ]
    append = f"flush={options.flush} entry={options.entry} {sandbox.options}"
    return load_image(bundle[KERNEL], name=KERNEL, memory_bytes=MEMORY_BYTES, append=append, modules=modules)


def _trusted(bundle: Bundle) -> list[Extension]:
    authorities = policy({}, bundle.extensions)
    found = [(name, bundle[f"{name}.o"]) for name in bundle.extensions]
    return [
        Extension(name, data, authorisation=authorise(Candidate(name, f"{name}.o", data), authorities))
        for name, data in found
    ]


def _signed(bundle: Bundle) -> Extension:
    """`null` once more, signed as a developer does it; the key is the benchmark's own, and no secret."""
    data, seed = bundle["null.o"], hashlib.sha256(b"ringtoll bench uls").digest()
    signature = sign(seed, data)
    candidate = Candidate("null_signed", "null.o", data, signature.text().encode())
    by = authorise(candidate, policy({signature.key: "the benchmark's key"}, ()))
    return Extension(candidate.name, data, file=candidate.file, authorisation=by)


def measure(
    image: Image, options: Options, make_machine: MakeMachine, on_run: Callable[[Run], None]
) -> tuple[ConsoleLog, Snapshots]:
    """Boot the image and collect what the guest says and what the machine logged."""
    log = ConsoleLog(BENCHMARK, on_run)
    machine = make_machine(memory_bytes=MEMORY_BYTES, serial_out=log.feed, tsc_log=options.readings)
    machine.load(image)
    outcome = machine.run(max_cycles=CYCLES + CYCLES_PER_RUN * options.runs)
    if outcome.kind != "exit":
        raise BenchError(outcome.message, outcome.status)
    if outcome.status != 0:
        said = "".join(f"\n  | {line}" for line in log.talk)
        raise BenchError(f"the guest ended the benchmark with status {outcome.status}{said}")
    return log, Snapshots(machine.tsc_snapshots(), options.readings)


def evaluate(log: ConsoleLog, snapshots: Snapshots, published: Published) -> list[Row]:
    """A row for each operation: the published ones first, in the published order, then the others."""
    measured = log.rows()
    known = [row.name for row in published.row]
    if missing := [row.name for row in published.row if row.published and row.name not in measured]:
        why = "".join(f"\n  {skipped}" for skipped in log.skipped)
        raise BenchError(f"the guest did not measure {', '.join(missing)}{why}")
    order = [name for name in known if name in measured] + [name for name in measured if name not in known]
    return [_row(measured[name], snapshots, published) for name in order]


def _row(runs: list[Run], snapshots: Snapshots, published: Published) -> Row:
    found = figures(runs, snapshots)
    reference = published.find(found.median.row)
    median = found.median.value
    return Row(
        name=found.median.row,
        title=reference.title,
        min=found.min,
        median=median,
        max=found.max,
        runs=found.runs,
        published=reference.published,
        ratio=round(median / reference.published, 4) if reference.published else None,
        ledger=found.ledger,
    )


def run_uls(
    profile: str,
    options: Options,
    make_machine: MakeMachine,
    *,
    bundle: Bundle | None = None,
    on_run: Callable[[Run], None] = lambda run: None,
) -> Result:
    """Run the whole benchmark on a machine of the named profile."""
    published = load_published(BENCHMARK)
    image = compose(bundle or load_bundle(), options)
    log, snapshots = measure(image, options, make_machine, on_run)
    rows = evaluate(log, snapshots, published)
    return Result(
        benchmark=BENCHMARK,
        ringtoll=emulator.__version__,
        profile=profile,
        image=ImageInfo(image.name, image.sha256),
        options={"flush": options.flush, "entry": options.entry, "runs": options.runs},
        rows=rows,
        notes=compare(rows, published, profile, log.conditions) + log.notes + log.skipped,
    )
