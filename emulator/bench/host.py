"""The benchmark `host`: how fast this host runs the model, as a ratio to running without it, in the same run.

    loop             two memory accesses in 9.5 instructions    beside Unicorn alone, its own MMU, no hooks
    loop_cachegrind  the same                                   beside cachegrind       (host_cachegrind.py)
    chase, memcpy ...                                           beside Unicorn alone    (host_workloads.py)
    uls              boot of the mini kernel, its benchmark     beside the machine with all accounting off
    linux, xv6       boots of kernels that are given            beside QEMU             (host_boots.py)
    startup, memory  seconds to the first instruction; megabytes for a guest's          (host_startup.py)
    page_fault ...   what an event costs, in microseconds                               (host_events.py)

Our side runs in planned mode; each row has its ratio to reference mode as well, from a run of its own.
Pairs alternate and host CPU time is taken, so that other work on the host disturbs the ratio little.
Host times aren't deterministic: this is the one benchmark whose two runs differ.
"""

import functools
import hashlib
import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

import emulator
from emulator.bench.host_boots import Boot, measure_boot, qemu_installed
from emulator.bench.host_boots import supported as supported_boot
from emulator.bench.host_cachegrind import measure_cachegrind, missing
from emulator.bench.host_events import measure_events
from emulator.bench.host_events import supported as supported_events
from emulator.bench.host_run import FEED, REFERENCE, BareGuest, Timed, run_image, significant, speed_row
from emulator.bench.host_startup import measure_memory, measure_startup
from emulator.bench.host_workloads import WORKLOADS, measure_workload
from emulator.bench.result import ImageInfo, Result, Row
from emulator.bench.serial_line import QEMU
from emulator.bench.uls import MEMORY_BYTES, Options, compose
from emulator.bundle import load_bundle
from emulator.cpu.layout import choose
from emulator.timing.profile import load_profile
from emulator.timing.schema import Profile
from loader import Image

BENCHMARK = "host"
ITERATIONS = 8_000_000
LOOP_MEMORY = 16 << 20
PAGE_DIRECTORY = 0x110000
PAIRS = 3

NOTES = (
    f"Our side: whole model on, data accesses by plans (--feed {FEED}), in every row.",
    "beside: the loop and the workloads on Unicorn alone (its own MMU, no hooks; its memory may be read, "
    "written and executed, so that it looks at each store whether it changes code); the mini kernel with "
    "accounting off; other kernels on QEMU (-icount shift=0,sleep=off), as our instructions by its host CPU "
    "seconds; cachegrind with the profile's caches, as its own instructions by its host CPU seconds.",
    "ratio: the median over pairs of that time to ours, in host CPU time, which varies.",
    f"to reference: the time of one run in reference mode (--feed {REFERENCE}), whose cycles are the same, "
    "to ours. A boot has the plans that the one before it, without any, has kept.",
    "A REP counts as one instruction, so copies, fills and boots, which clear pages, are slow in "
    "instructions by nature; see their ratios.",
    "Start-up is wall time on warm caches, so other work on the host is in it.",
)


def loop_guest(iterations: int = ITERATIONS) -> BareGuest:
    """A load and a store in 9.5 instructions: nine, and `add edx, 3` every other time."""
    source = f"""
            mov dword ptr [{PAGE_DIRECTORY}], 0x83
            mov dword ptr [{PAGE_DIRECTORY + 0x400}], 0x83
            mov eax, {PAGE_DIRECTORY}; mov cr3, eax
            mov eax, cr4; or eax, 0x10; mov cr4, eax
            mov eax, cr0; or eax, 0x80000000; mov cr0, eax
            mov ecx, {iterations}; mov esi, 0x40200000; xor eax, eax
    again:
            mov ebx, [esi+eax*4]; add ebx, 1; mov [esi+eax*4], ebx
            inc eax; and eax, 0x3fff; test bl, 1; jz skip; add edx, 3
    skip:
            dec ecx; jnz again
    """
    return BareGuest.assembled("loop", source, LOOP_MEMORY)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure beside the loop and the mini kernel. `missing` says what was left out, and why."""

    boots: tuple[Boot, ...] = ()
    events: bool = True
    missing: tuple[str, ...] = ()

    def steps(self, profile: Profile) -> int:
        """How often `run_host` will say that it is further."""
        events = len(supported_events(profile)) if self.events else 0
        compared = len(WORKLOADS) + 2  # the loop and the mini kernel
        startup = PAIRS + 1  # the first warms the host's caches up
        return compared * (PAIRS + 2) + startup + len(self.boots) + events


def run_host(
    profile_name: str, plan: Plan, advance: Callable[[int, str], None] = lambda _done, _what: None
) -> Result:
    """Measure. `advance(done, what)` is told of each of the plan's steps. Raises: BenchError."""
    profile = load_profile(profile_name)
    steps = itertools.count(1)

    def further(what: str) -> None:
        advance(next(steps), what)

    uls = compose(load_bundle(), Options(runs=50))
    rows, notes = _loop_rows(profile, further)
    notes = [*NOTES, layout_note(), *plan.missing, *notes]
    for workload in WORKLOADS:
        rows.append(measure_workload(profile, workload, PAIRS, functools.partial(further, workload.title)))
    rows.append(_uls_row(profile, uls, further))
    for boot in plan.boots:
        if not supported_boot(boot, profile_name):
            notes.append(f"Left out: {boot.title}; {profile.name} has no local APIC, which it needs.")
            continue
        rows += measure_boot(boot, profile_name)
        further(boot.title)
    if plan.boots and not qemu_installed():
        notes.append(f"Nothing beside the boots: {QEMU} is not installed.")
    rows.append(measure_startup(profile_name, PAIRS, lambda: further("start-up")))
    rows.append(measure_memory(profile))
    if plan.events:
        rows += measure_events(profile, PAIRS, further)
    return Result(
        benchmark=BENCHMARK,
        ringtoll=emulator.__version__,
        profile=profile.name,
        image=ImageInfo(uls.name, uls.sha256),
        options={"iterations": ITERATIONS, "pairs": PAIRS, "feed": FEED, **_digests(plan.boots)},
        rows=rows,
        notes=notes,
    )


def layout_note() -> str:
    """How this host's Unicorn is used."""
    offsets, why = choose()
    if offsets is None:
        return f"Unicorn's registers are used by its public API, which is about ten times slower: {why}."
    return f"Unicorn's registers are used in place (env at {offsets.env:#x} of its CPU state)."


def _digests(boots: Sequence[Boot]) -> dict[str, str | int]:
    return {boot.name: hashlib.sha256(boot.guest.kernel.read_bytes()).hexdigest() for boot in boots}


def _loop_rows(profile: Profile, further: Callable[[str], None]) -> tuple[list[Row], list[str]]:
    """The loop beside Unicorn alone and, where it can be, beside cachegrind; notes on what could not be."""
    pairs, reference = loop_guest().measured(profile, PAIRS, lambda: further("loop"))
    rows = [speed_row("loop", "Loop with two memory accesses", pairs, reference)]
    if lacking := missing():
        return rows, [f"Nothing beside the loop by cachegrind: {lacking}."]
    theirs = [measure_cachegrind(profile, ITERATIONS) for _ in pairs]
    speeds = [instructions / seconds / 1e6 for seconds, instructions in theirs]
    ratios = [seconds / ours.seconds for (seconds, _), (ours, _) in zip(theirs, pairs, strict=True)]
    row = msgspec.structs.replace(
        rows[0],
        name="loop_cachegrind",
        title="The same, beside cachegrind",
        bare=significant(statistics.median_low(speeds)),
        ratio=round(statistics.median_low(ratios), 3),
        reference=msgspec.UNSET,
    )
    return [*rows, row], []


def _uls_row(profile: Profile, uls: Image, further: Callable[[str], None]) -> Row:
    what = "boot and ULS benchmark"
    pairs: list[tuple[Timed, float]] = []
    for _ in range(PAIRS + 1):  # the first pair warms the host's caches up
        model = run_image(profile, uls, MEMORY_BYTES, feed=FEED)
        pairs.append((model, run_image(profile, uls, MEMORY_BYTES, accounting=False).seconds))
        further(what)
    reference = run_image(profile, uls, MEMORY_BYTES, feed=REFERENCE)
    further(what)
    return speed_row("uls", "Boot of the mini kernel and its ULS benchmark", pairs[1:], reference)
