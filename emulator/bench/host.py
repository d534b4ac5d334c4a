"""The benchmark `host`: how fast this host runs the model, as a ratio to running without it, in the same run.

    (a) loop   two memory accesses in 8.5 instructions    beside Unicorn alone, its own MMU, no hooks
    (b) uls    boot of the mini kernel and its benchmark  beside the same machine with all accounting off
    (c) linux, xv6     boots of kernels that are given    beside QEMU             (host_boots.py)
    (d) page_fault ... what an event costs, in microseconds                       (host_events.py)

Pairs alternate and host CPU time is taken, so that other work on the host disturbs the ratio little.
Host times aren't deterministic: this is the one benchmark whose two runs differ.
"""

import hashlib
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keystone import KS_ARCH_X86, KS_MODE_32, Ks
from msgspec import UNSET
from rich.console import Console
from rich.table import Table

import emulator
from emulator.bench.host_boots import Boot, measure_boot, qemu_installed
from emulator.bench.host_boots import supported as supported_boot
from emulator.bench.host_events import UNIT as EVENT_UNIT
from emulator.bench.host_events import measure_events
from emulator.bench.host_events import supported as supported_events
from emulator.bench.result import ImageInfo, Result, Row
from emulator.bench.serial_line import QEMU
from emulator.bench.uls import CYCLES, MEMORY_BYTES, Options, compose
from emulator.bundle import load_bundle
from emulator.cpu.bare import run_bare
from emulator.machine import Machine
from emulator.timing.profile import load_profile
from emulator.timing.schema import Profile
from loader import Image, load_image

BENCHMARK = "host"
ITERATIONS = 8_000_000
INSTRUCTIONS = 9.5  # an iteration, on average: nine, and `add edx, 3` every other time
LOOP_MEMORY = 16 << 20
ENTRY = 0x100000
PAGE_DIRECTORY = 0x110000
PAIRS = 3
OUT_LENGTH = 5  # mov al, 0; out 0xf4, al; hlt

NOTES = (
    "beside: the loop on Unicorn alone (its own MMU, no hooks); the mini kernel with accounting off; other "
    "kernels on QEMU (-icount shift=0,sleep=off), as our instructions by its host CPU seconds.",
    "ratio: the median over pairs of that time to ours, in host CPU time, which varies.",
    "The boot is dominated by few instructions that do much (REP STOS of pages, port output). A REP "
    "counts as one instruction, so its speed in instructions is low by nature; see its ratio.",
)

LOOP = f"""
    mov dword ptr [{PAGE_DIRECTORY}], 0x83
    mov dword ptr [{PAGE_DIRECTORY + 0x400}], 0x83
    mov eax, {PAGE_DIRECTORY}; mov cr3, eax
    mov eax, cr4; or eax, 0x10; mov cr4, eax
    mov eax, cr0; or eax, 0x80000000; mov cr0, eax
    mov ecx, {ITERATIONS}; mov esi, 0x40200000; xor eax, eax
again:
    mov ebx, [esi+eax*4]; add ebx, 1; mov [esi+eax*4], ebx
    inc eax; and eax, 0x3fff; test bl, 1; jz skip; add edx, 3
skip:
    dec ecx; jnz again
    mov al, 0; out 0xf4, al; hlt
"""


def _loop_image() -> tuple[Image, int]:
    code = bytes(Ks(KS_ARCH_X86, KS_MODE_32).asm(LOOP, ENTRY)[0])
    image = load_image(code, name="loop", memory_bytes=LOOP_MEMORY, format="flat", address=ENTRY)
    return image, ENTRY + len(code) - OUT_LENGTH


def _run(profile: Profile, image: Image, memory: int, *, accounting: bool) -> tuple[float, int]:
    """(host CPU seconds, guest instructions)."""
    machine = Machine(profile, memory_bytes=memory, accounting=accounting)
    machine.load(image)
    start = time.thread_time()
    machine.run(max_cycles=CYCLES)
    return time.thread_time() - start, machine.instructions


def _row(name: str, title: str, instructions: float, pairs: Sequence[tuple[float, float]]) -> Row:
    speeds = [instructions / model / 1e6 for model, _ in pairs]
    return Row(
        name=name,
        title=title,
        unit="million instructions/s",
        min=round(min(speeds), 1),
        median=round(statistics.median_low(speeds), 1),
        max=round(max(speeds), 1),
        runs=len(pairs),
        bare=round(statistics.median_low([instructions / bare / 1e6 for _, bare in pairs]), 1),
        ratio=round(statistics.median_low([bare / model for model, bare in pairs]), 3),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure beside the loop and the mini kernel. `missing` says what was left out, and why."""

    boots: tuple[Boot, ...] = ()
    events: bool = True
    missing: tuple[str, ...] = ()

    def steps(self, profile: Profile) -> int:
        """How often `run_host` will say that it is further."""
        events = len(supported_events(profile)) if self.events else 0
        return 2 * (PAIRS + 1) + len(self.boots) + events


def run_host(
    profile_name: str, plan: Plan, advance: Callable[[int, str], None] = lambda _done, _what: None
) -> Result:
    """Measure. `advance(done, what)` is told of each of the plan's steps. Raises: BenchError."""
    profile = load_profile(profile_name)
    steps = itertools.count(1)

    def further(what: str) -> None:
        advance(next(steps), what)

    uls = compose(load_bundle(), Options(runs=50))
    rows = _pairs(profile, uls, further)
    notes = [*NOTES, *plan.missing]
    for boot in plan.boots:
        if not supported_boot(boot, profile_name):
            notes.append(f"Left out: {boot.title}; {profile.name} has no local APIC, which it needs.")
            continue
        rows.append(measure_boot(boot, profile_name))
        further(boot.title)
    if plan.boots and not qemu_installed():
        notes.append(f"Nothing beside the boots: {QEMU} is not installed.")
    if plan.events:
        rows += measure_events(profile, PAIRS, further)
    return Result(
        benchmark=BENCHMARK,
        ringtoll=emulator.__version__,
        profile=profile.name,
        image=ImageInfo(uls.name, uls.sha256),
        options={"iterations": ITERATIONS, "pairs": PAIRS, **_digests(plan.boots)},
        rows=rows,
        notes=notes,
    )


def _digests(boots: Sequence[Boot]) -> dict[str, str | int]:
    return {boot.name: hashlib.sha256(boot.guest.kernel.read_bytes()).hexdigest() for boot in boots}


def _pairs(profile: Profile, uls: Image, further: Callable[[str], None]) -> list[Row]:
    loop, end = _loop_image()
    loop_pairs: list[tuple[float, float]] = []
    uls_pairs: list[tuple[float, float]] = []
    instructions = 0
    for _ in range(PAIRS + 1):  # the first pair warms the host's caches up
        bare = run_bare(loop, LOOP_MEMORY, end)
        loop_pairs.append((_run(profile, loop, LOOP_MEMORY, accounting=True)[0], bare))
        further("loop")
        model, instructions = _run(profile, uls, MEMORY_BYTES, accounting=True)
        plain, _ = _run(profile, uls, MEMORY_BYTES, accounting=False)
        uls_pairs.append((model, plain))
        further("boot and ULS benchmark")
    return [
        _row("loop", "Loop with two memory accesses", ITERATIONS * INSTRUCTIONS, loop_pairs[1:]),
        _row("uls", "Boot of the mini kernel and its ULS benchmark", instructions, uls_pairs[1:]),
    ]


def show_host(result: Result, console: Console) -> None:
    """The two tables and the notes."""
    table = Table(title=f"host speed, whole model on, profile {result.profile}", title_justify="left")
    table.add_column("workload")
    for heading in ("M instructions/s", "beside", "ratio"):
        table.add_column(heading, justify="right")
    for row in result.rows:
        if row.unit != EVENT_UNIT:
            bare = "" if row.bare is UNSET else f"{row.bare:.1f}"
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            table.add_row(row.title, f"{row.median:.1f}", bare, ratio)
    console.print(table)
    events = [row for row in result.rows if row.unit == EVENT_UNIT]
    if events:
        console.print(_event_table(events))
    for note in result.notes:
        console.print(f"- {note}", markup=False, highlight=False)


def _event_table(rows: Sequence[Row]) -> Table:
    table = Table(title="host cost of events (microseconds)", title_justify="left")
    table.add_column("event")
    for heading in ("min", "median", "max"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(row.title, f"{row.min:.2f}", f"{row.median:.2f}", f"{row.max:.2f}")
    return table
