"""What a machine costs before and beside its guest: start-up in seconds, memory per guest megabyte.

startup   from the start of the process `ringtoll boot` to the guest's first instruction: its first three
          send a byte to COM1, and the clock stops when that arrives here. Wall time, warm caches.
memory    bytes of host memory that grow with the guest's, for each byte of it: exact, from the allocator
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Final

from keystone import KS_ARCH_X86, KS_MODE_32, Ks

from emulator.bench.errors import BenchError
from emulator.bench.host_run import ENTRY, EXIT, FEED
from emulator.bench.result import Row
from emulator.machine import Machine
from emulator.saved_code import PREFER_NUMBA
from emulator.timing.schema import Profile

STARTUP_UNIT: Final = "s"
MEMORY_UNIT: Final = "MB per guest MB"
GREETING: Final = b"!"
GUEST: Final = f"mov dx, 0x3f8; mov al, {GREETING[0]}; out dx, al; {EXIT}"
SMALL, LARGE = 16 << 20, 48 << 20
LIMIT_SECONDS: Final = 300


def seconds_to_first_instruction(image: Path, profile: str) -> float:
    """Boot an image that greets on COM1 in a process of its own. Raises: BenchError."""
    place = ["--format", "flat", "--address", hex(ENTRY), "--profile", profile, "--feed", FEED]
    command = [sys.executable, "-m", "emulator.cli", "boot", str(image), *place]
    pipe = subprocess.PIPE
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=_environment(image.parent)
    ) as process:
        assert process.stdout is not None
        greeting = process.stdout.read(1)
        taken = time.perf_counter() - start
        try:
            _, said = process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise BenchError(f"the start-up guest did not end within {LIMIT_SECONDS} seconds") from None
    if greeting != GREETING or process.returncode:
        last = (said.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise BenchError(f"the start-up guest ended with status {process.returncode}: {last}")
    return taken


def _environment(folder: Path) -> dict[str, str]:
    """Ours; where Python may not keep its bytecode beside the sources, it is kept in `folder`."""
    environment = dict(os.environ)
    environment.pop(PREFER_NUMBA, None)
    if environment.pop("PYTHONDONTWRITEBYTECODE", None):
        environment["PYTHONPYCACHEPREFIX"] = str(folder)
    return environment


def measure_startup(profile: str, count: int, further: Callable[[], None]) -> Row:
    """Start `count` times, behind one that fills the caches. Raises: BenchError."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "greeting.bin"
        image.write_bytes(Ks(KS_ARCH_X86, KS_MODE_32).asm(GUEST, ENTRY, as_bytes=True)[0])
        for number in range(count + 1):
            seconds = seconds_to_first_instruction(image, profile)
            further()
            if number:
                taken.append(seconds)
    return Row(
        name="startup",
        title="ringtoll boot, to the guest's first instruction",
        unit=STARTUP_UNIT,
        min=round(min(taken), 3),
        median=round(statistics.median_low(taken), 3),
        max=round(max(taken), 3),
        runs=count,
    )


def allocated(profile: Profile, memory_bytes: int) -> int:
    """Bytes that Python and numpy hold for a machine of that size, its guest's memory included."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        machine = Machine(profile, memory_bytes=memory_bytes)
        after, _ = tracemalloc.get_traced_memory()
        del machine
        return after - before
    finally:
        tracemalloc.stop()


def measure_memory(profile: Profile) -> Row:
    """What a megabyte more of guest memory takes beside itself, from machines of two sizes."""
    Machine(profile, memory_bytes=SMALL)  # what is imported and cached once is no part of it
    grown = allocated(profile, LARGE) - allocated(profile, SMALL)
    overhead = round(grown / (LARGE - SMALL) - 1, 3)
    return Row(
        name="memory",
        title="Memory of the model, of which untouched pages take none",
        unit=MEMORY_UNIT,
        min=overhead,
        median=overhead,
        max=overhead,
        runs=1,
    )
