"""What a benchmark prints on the guest's serial line, and how it is read.

::

    BENCH-BEGIN uls runs=100 dpages=56 cpages=40     conditions, as name=value
    BENCH raw_upcall 0 812345 814845                 row, run, TSC before, TSC after
    BENCH tlb_flush_reload 0 a0 a1 b0 b1             paired: (a1 - a0) - (b1 - b0)
    BENCH-SKIP row reason                            a row that could not be measured
    BENCH-NOTE text                                  for the notes of the report
    BENCH-END

Everything else is the guest's own talk and passes by; the last lines of it go into error messages.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.bench.errors import BenchError

LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class Run:
    """The time stamps of one run: two, or four if a second span is to be subtracted."""

    row: str
    index: int
    stamps: tuple[int, ...]

    @property
    def value(self) -> int:
        """The cycles measured."""
        spans = [after - before for before, after in self.spans]
        return spans[0] - sum(spans[1:])

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Pairs of (before, after)."""
        return list(zip(self.stamps[::2], self.stamps[1::2], strict=True))


@dataclass(slots=True)
class ConsoleLog:
    """Collects the runs of one benchmark from serial bytes, however they are cut."""

    benchmark: str
    on_run: Callable[[Run], None] = lambda run: None
    begun: bool = False
    ended: bool = False
    conditions: dict[str, str] = field(default_factory=dict)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    talk: deque[str] = field(default_factory=lambda: deque(maxlen=12))
    _pending: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        """Take serial bytes. Never raises: it is called from inside the machine."""
        self._pending += data
        while (end := self._pending.find(b"\n")) >= 0 or len(self._pending) > LONGEST_LINE:
            end = end if end >= 0 else LONGEST_LINE
            line = self._pending[:end].decode("utf-8", "replace").strip()
            del self._pending[: end + 1]
            self._line(line)

    def rows(self) -> dict[str, list[Run]]:
        """All runs by row, checked for completeness."""
        if self._pending:
            self.feed(b"\n")
        if self.problems:
            self._fail(f"the guest's report is damaged: {self.problems[0]}")
        if not self.begun:
            self._fail(f"the guest never began the benchmark {self.benchmark}")
        if not self.ended:
            self._fail("the guest's report breaks off before BENCH-END")
        if not self.runs:
            self._fail("the guest reported no run")
        for row, runs in self.runs.items():
            announced = self.conditions.get(f"{row}.runs", self.conditions.get("runs"))
            if announced is not None and str(len(runs)) != announced:
                self._fail(f"row {row} has {len(runs)} runs, {announced} were announced")
        return self.runs

    def _fail(self, message: str) -> None:
        said = "".join(f"\n  | {line}" for line in self.talk)
        raise BenchError(message + (f"\nThe guest's last lines:{said}" if said else ""))

    def _line(self, line: str) -> None:
        words = line.split()
        match words[:1]:
            case ["BENCH-BEGIN"]:
                self._begin(words[1:])
            case ["BENCH"] if self.begun and not self.ended:
                self._run(line, words[1:])
            case ["BENCH-NOTE"]:
                self.notes.append(f"The guest says: {' '.join(words[1:])}.")
            case ["BENCH-SKIP"]:
                self.skipped.append(f"Not measured, {' '.join(words[1:2])}: {' '.join(words[2:])}.")
            case ["BENCH-END"]:
                self.ended = True
            case _:
                if line:
                    self.talk.append(line)

    def _begin(self, words: list[str]) -> None:
        if words[:1] != [self.benchmark] or self.begun:
            self.problems.append(f"unexpected BENCH-BEGIN {' '.join(words)}")
            return
        self.begun = True
        for word in words[1:]:
            name, _, value = word.partition("=")
            self.conditions[name] = value

    def _run(self, line: str, words: list[str]) -> None:
        try:
            row, index, *stamps = words
            run = Run(row, int(index), tuple(int(stamp, 0) for stamp in stamps))
        except ValueError:
            self.problems.append(f"unreadable line: {line}")
            return
        runs = self.runs.setdefault(row, [])
        if len(run.stamps) not in (2, 4):
            self.problems.append(f"{len(run.stamps)} time stamps instead of 2 or 4: {line}")
        elif any(after < before for before, after in run.spans):
            self.problems.append(f"time runs backwards: {line}")
        elif run.index != len(runs):
            self.problems.append(f"run {len(runs)} of {row} was expected: {line}")
        else:
            runs.append(run)
            self.on_run(run)
