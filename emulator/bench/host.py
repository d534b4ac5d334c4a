"""The benchmark `host`: how fast this host runs the model, as a ratio to running without it, in the same run.

    (a) loop   two memory accesses in 8.5 instructions    beside Unicorn alone, its own MMU, no hooks
    (b) uls    boot of the mini kernel and its benchmark  beside the same machine with all accounting off

Pairs alternate and host CPU time is taken, so that other work on the host disturbs the ratio little.
Host times aren't deterministic: this is the one benchmark whose two runs differ.
"""

import statistics
import time
from collections.abc import Callable, Sequence

from keystone import KS_ARCH_X86, KS_MODE_32, Ks
from rich.console import Console
from rich.table import Table

import emulator
from emulator.bench.result import ImageInfo, Result, Row
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


def run_host(profile_name: str, advance: Callable[[int, str], None] = lambda _done, _what: None) -> Result:
    """Measure. `advance(done, what)` is told of each of the 2 * (PAIRS + 1) steps."""
    profile = load_profile(profile_name)
    loop, end = _loop_image()
    uls = compose(load_bundle(), Options(runs=50))
    loop_pairs: list[tuple[float, float]] = []
    uls_pairs: list[tuple[float, float]] = []
    instructions = 0
    for step in range(PAIRS + 1):  # the first pair warms the host's caches up
        bare = run_bare(loop, LOOP_MEMORY, end)
        loop_pairs.append((_run(profile, loop, LOOP_MEMORY, accounting=True)[0], bare))
        advance(2 * step + 1, "loop")
        model, instructions = _run(profile, uls, MEMORY_BYTES, accounting=True)
        plain, _ = _run(profile, uls, MEMORY_BYTES, accounting=False)
        uls_pairs.append((model, plain))
        advance(2 * step + 2, "boot and ULS benchmark")
    rows = [
        _row("loop", "Loop with two memory accesses", ITERATIONS * INSTRUCTIONS, loop_pairs[1:]),
        _row("uls", "Boot of the mini kernel and its ULS benchmark", instructions, uls_pairs[1:]),
    ]
    return Result(
        benchmark=BENCHMARK,
        ringtoll=emulator.__version__,
        profile=profile.name,
        image=ImageInfo(uls.name, uls.sha256),
        options={"iterations": ITERATIONS, "pairs": PAIRS},
        rows=rows,
        notes=[
            "bare: the loop on Unicorn alone (its own MMU, no hooks); the boot with accounting off.",
            "ratio: the median over pairs of bare time to modelled time, in host CPU time, which varies.",
            "The boot is dominated by few instructions that do much (REP STOS of pages, port output). A REP "
            "counts as one instruction, so its speed in instructions is low by nature; see its ratio.",
        ],
    )


def show_host(result: Result, console: Console) -> None:
    """The table."""
    table = Table(title=f"host speed, whole model on, profile {result.profile}", title_justify="left")
    table.add_column("workload")
    for heading in ("M instructions/s", "bare", "ratio"):
        table.add_column(heading, justify="right")
    for row in result.rows:
        table.add_row(row.title, f"{row.median:.1f}", f"{row.bare:.1f}", f"{row.ratio:.2f}")
    console.print(table)
    for note in result.notes:
        console.print(f"- {note}")
