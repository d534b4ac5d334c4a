"""The loop beside Valgrind's cachegrind, the usual tool that counts cache misses: native code, one process.

    loop.c --zig cc--> executable --valgrind--> host CPU seconds for ITERATIONS, less those for none

The same instructions on the same 64 KB, as inline assembly, so that neither side gains by its compiler; the
simulated caches are the profile's. Cachegrind models no TLB, no branches (by default) and no other process.
"""

import importlib.util
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from emulator.bench.errors import BenchError
from emulator.timing.schema import Profile

VALGRIND: Final = "valgrind"
COMPILER: Final = "ziglang"
TARGET: Final = "x86_64-linux-musl"
LIMIT_SECONDS: Final = 300
SMALLEST_LINE: Final = 32  # bytes, that cachegrind accepts

SOURCE: Final = """
static unsigned int data[0x4000];

void _start(void)
{
	unsigned int count = ITERATIONS, index = 0, value, odd = 0;

	__asm__ volatile(
		"1:	mov	(%5,%q1,4), %2\\n"
		"	add	$1, %2\\n"
		"	mov	%2, (%5,%q1,4)\\n"
		"	inc	%1\\n"
		"	and	$0x3fff, %1\\n"
		"	test	$1, %b2\\n"
		"	jz	2f\\n"
		"	add	$3, %3\\n"
		"2:	dec	%0\\n"
		"	jnz	1b\\n"
		: "+r"(count), "+r"(index), "=&q"(value), "+r"(odd), "+m"(data)
		: "r"(data));
	__asm__ volatile("syscall" : : "a"(60), "D"(0));
	__builtin_unreachable();
}
"""


def missing() -> str:
    """What is not there that this comparison needs; empty when all is."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "the host is not Linux on x86-64"
    lacking = [] if shutil.which(VALGRIND) else [f"{VALGRIND} is not installed"]
    if importlib.util.find_spec(COMPILER) is None:
        lacking.append(f"the package {COMPILER}, which compiles the loop, is not installed")
    return " and ".join(lacking)


def _output(command: list[str], what: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{what}: {error}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BenchError(f"{what} failed with status {done.returncode}: {last}")
    return done.stderr


def compile_loop(folder: Path, iterations: int) -> Path:
    """The loop as a static executable without a C library. Raises: BenchError."""
    source, program = folder / "loop.c", folder / f"loop{iterations}"
    source.write_text(SOURCE)
    options = ["-O1", "-static", "-nostdlib", "-ffreestanding", "-fno-sanitize=all", "-fno-stack-protector"]
    command = [sys.executable, "-m", COMPILER, "cc", "-target", TARGET, *options]
    _output([*command, f"-DITERATIONS={iterations}", "-o", str(program), str(source)], "compiling the loop")
    return program


def cache_options(profile: Profile) -> list[str]:
    """The profile's caches as cachegrind's options: bytes, ways, bytes of a line."""
    cache = profile.cache
    line = max(cache.l1i.line_bytes, SMALLEST_LINE)  # a trace cache's line holds few bytes of code
    options = ["--cache-sim=yes"]
    options.append(f"--I1={cache.l1i.lines * cache.l1i.line_bytes},{int(cache.l1i.ways.value)},{line}")
    for name, level in (("D1", cache.l1d), ("LL", cache.l2)):
        size = int(level.kb.value) * 1024
        options.append(f"--{name}={size},{int(level.ways.value)},{int(level.line.value)}")
    return options


def _seconds(program: Path, profile: Profile) -> tuple[float, int]:
    """Host CPU seconds and instructions (cachegrind's `I refs`) of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [VALGRIND, "--tool=cachegrind", "--cachegrind-out-file=/dev/null", *cache_options(profile)]
    said = _output([*command, str(program)], "cachegrind")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    line = next((line for line in said.splitlines() if "I" in line and "refs:" in line), "")
    number = line.rpartition(":")[2].strip().replace(",", "")
    if not number.isdigit():
        raise BenchError("cachegrind did not say how many instructions it ran")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, int(number)


def measure_cachegrind(profile: Profile, iterations: int) -> tuple[float, int]:
    """(host CPU seconds, instructions) of the loop under cachegrind, its start-up taken off.

    Raises: BenchError.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        short, long = (_seconds(compile_loop(folder, n), profile) for n in (1, iterations))
    return long[0] - short[0], long[1] - short[1]
