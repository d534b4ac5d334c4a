"""Serial text and a ledger that belong together, as a guest and its machine would give them."""

from dataclasses import dataclass, field

import numpy as np

from emulator.bench.snapshots import Causes
from emulator.timing import causes
from emulator.timing.causes import COUNT

PUBLISHED = {
    "upcall_flush_reload": 11000,
    "tlb_flush_reload": 8500,
    "raw_upcall": 2500,
    "signal_current": 6000,
    "signal_different": 46000,
}


@dataclass
class Guest:
    """Measures what it is told to, on a clock whose ledger always adds up."""

    now: int = 1000
    lines: list[str] = field(default_factory=list)
    log: list[tuple[int, Causes]] = field(default_factory=list)
    ledger: Causes = field(default_factory=lambda: np.zeros(COUNT, dtype=np.int64))

    def __post_init__(self) -> None:
        self.ledger[causes.INSTRUCTION] = self.now

    def rdtsc(self) -> int:
        """Read the clock and have the ledger noted."""
        self.log.append((self.now, self.ledger.copy()))
        return self.now

    def work(self, cycles: int, cause: int = causes.INSTRUCTION) -> None:
        """Let time pass for a reason."""
        self.now += cycles
        self.ledger[cause] += cycles

    def span(self, cycles: int, cause: int) -> tuple[int, int]:
        """One measured stretch of work, with time passing after it."""
        before = self.rdtsc()
        self.work(cycles, cause)
        after = self.rdtsc()
        self.work(7)
        return before, after

    def row(self, name: str, values: list[int], cause: int = causes.SYSEXIT, warm: int = 0) -> None:
        """Measure a row; with `warm` it is paired, and the warm work is subtracted."""
        for index, value in enumerate(values):
            stamps = [*self.span(value + warm, cause)]
            if warm:
                stamps += self.span(warm, causes.INSTRUCTION)
            self.lines.append(f"BENCH {name} {index} {' '.join(map(str, stamps))}")

    def text(self, runs: int, extra: str = "") -> bytes:
        """What it prints at the end."""
        begin = f"ringtoll kernel\r\nBENCH-BEGIN uls runs={runs} dpages=56 cpages=56"
        return "\r\n".join([begin, *self.lines, extra, "BENCH-END", ""]).encode()


def published_guest(spread: tuple[int, ...] = (-10, 0, 30)) -> Guest:
    """A guest whose medians are exactly the published figures."""
    guest = Guest()
    for name, cycles in PUBLISHED.items():
        guest.row(name, [cycles + d for d in spread], warm=500 if "flush" in name else 0)
    return guest
