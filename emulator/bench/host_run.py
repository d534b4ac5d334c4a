"""One guest run for its host time: with the model, in either mode, and on Unicorn alone.

    ours       planned mode, whole model on
    reference  reference mode (memory hooks), whole model on: the same cycles and counts
    bare       Unicorn alone: its own MMU, memory that may be read, written and executed, no hooks

Every row of `bench host` that compares speeds goes through `run_image` for our side, so that an option of
the machine is measured by passing it here.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from keystone import KS_ARCH_X86, KS_MODE_32, Ks

from emulator.bench.errors import BenchError
from emulator.bench.result import Row
from emulator.cpu.bare import run_bare
from emulator.machine import Feed, Machine
from emulator.timing.schema import Profile
from loader import Image, load_image

SPEED: Final = "million instructions/s"
FEED: Final[Feed] = "planned"  # of every row
REFERENCE: Final[Feed] = "hooks"  # what a row's `reference` is the ratio to
ENTRY: Final = 0x100000
CYCLES: Final = 50_000_000_000
EXIT: Final = "mov al, 0; out 0xf4, al; hlt"
EXIT_LENGTH: Final = 5


@dataclass(frozen=True, slots=True)
class Timed:
    """Host CPU seconds of a run, and the guest instructions that it began."""

    seconds: float
    instructions: int


def run_image(profile: Profile, image: Image, memory_bytes: int, **options: Any) -> Timed:
    """Run an image until it ends; `options` are the machine's. Raises: BenchError if it ends badly."""
    machine = Machine(profile, memory_bytes=memory_bytes, **options)
    machine.load(image)
    start = time.thread_time()
    outcome = machine.run(max_cycles=CYCLES)
    seconds = time.thread_time() - start
    if (outcome.kind, outcome.status) != ("exit", 0):
        raise BenchError(f"the guest of {image.name} did not end well: {outcome.message}")
    return Timed(seconds, machine.instructions)


@dataclass(frozen=True, slots=True)
class BareGuest:
    """A flat image that Unicorn alone can run, too: it needs no device but the exit port at its end."""

    image: Image
    memory_bytes: int
    end: int  # linear address of the exit, where Unicorn alone is stopped

    @classmethod
    def assembled(
        cls, name: str, source: str, memory_bytes: int, data: Sequence[tuple[int, bytes]] = ()
    ) -> "BareGuest":
        """Assemble `source`, which falls into the exit; `data` are (address, bytes) behind the code."""
        code = bytes(Ks(KS_ARCH_X86, KS_MODE_32).asm(f"{source}\n{EXIT}", ENTRY, as_bytes=True)[0])
        blob = bytearray(code)
        for address, content in sorted(data):
            blob += bytes(address - ENTRY - len(blob)) + content
        image = load_image(bytes(blob), name=name, memory_bytes=memory_bytes, format="flat", address=ENTRY)
        return cls(image, memory_bytes, ENTRY + len(code) - EXIT_LENGTH)

    def pair(self, profile: Profile, **options: Any) -> tuple[Timed, float]:
        """Run once each: with the model, and (host CPU seconds) on Unicorn alone."""
        bare = run_bare(self.image, self.memory_bytes, self.end)
        return run_image(profile, self.image, self.memory_bytes, **options), bare

    def pairs(
        self, profile: Profile, count: int, further: Callable[[], None], **options: Any
    ) -> Iterator[tuple[Timed, float]]:
        """`count` pairs, behind one that warms the host's caches up; `further()` is called after each."""
        for number in range(count + 1):
            pair = self.pair(profile, **options)
            further()
            if number:
                yield pair

    def measured(
        self, profile: Profile, count: int, further: Callable[[], None]
    ) -> tuple[list[tuple[Timed, float]], Timed]:
        """`count` pairs in planned mode, and a run in reference mode; `further()` is called after each.

        Raises: BenchError.
        """
        pairs = list(self.pairs(profile, count, further, feed=FEED))
        reference = run_image(profile, self.image, self.memory_bytes, feed=REFERENCE)
        further()
        return pairs, reference


def speed_row(name: str, title: str, pairs: Sequence[tuple[Timed, float]], reference: Timed) -> Row:
    """Million guest instructions a second with the model (min, median, max) and beside it (`bare`).

    `reference`: the same in reference mode, as a ratio of times.
    """
    speeds = [timed.instructions / timed.seconds / 1e6 for timed, _ in pairs]
    beside = [timed.instructions / bare / 1e6 for timed, bare in pairs]
    return Row(
        name=name,
        title=title,
        unit=SPEED,
        min=significant(min(speeds)),
        median=significant(statistics.median_low(speeds)),
        max=significant(max(speeds)),
        runs=len(pairs),
        bare=significant(statistics.median_low(beside)),
        ratio=round(statistics.median_low([bare / timed.seconds for timed, bare in pairs]), 3),
        reference=round(reference.seconds / statistics.median_low([timed.seconds for timed, _ in pairs]), 3),
    )


def significant(value: float) -> float:
    """One decimal, or three significant figures of what is small: a REP instruction moves many bytes."""
    return round(value, 1) if value >= 10 else float(f"{value:.3g}")
