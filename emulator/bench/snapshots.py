"""From the TSC values a guest reports to the causes of the cycles between them.

The machine takes a snapshot of its ledger at every RDTSC. A value the guest prints is therefore the name
of a snapshot, and the difference of two snapshots is the ledger of the span between the two readings::

    guest:    t0 = rdtsc ....... work ....... t1 = rdtsc ---> BENCH row i t0 t1
                  |                               |
    machine:  ledger(t0)                      ledger(t1)      ledger(t1) - ledger(t0), sum = t1 - t0
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from emulator.bench.console_log import Run
from emulator.bench.errors import BenchError
from emulator.timing.causes import CAUSES, COUNT
from emulator.timing.tsc import COUNTERS

Causes = NDArray[np.int64]


class Snapshots:
    """The ledger at every RDTSC, found by the value that RDTSC gave."""

    def __init__(self, snapshots: Iterable[tuple[int, Causes]], capacity: int) -> None:
        self._capacity = capacity
        self._count = 0
        self._by_tsc: dict[int, Causes] = {}
        for tsc, causes in snapshots:
            self._by_tsc[int(tsc)] = causes
            self._count += 1

    def explain(self, run: Run) -> Causes:
        """The ledger of a run by cause; its sum is the run's value, or this is an error."""
        total = np.zeros(COUNT, dtype=np.int64)
        for sign, (before, after) in zip((1, -1), run.spans, strict=False):
            total += sign * (self._at(after, run) - self._at(before, run))
        if int(total.sum()) != run.value:
            raise BenchError(
                f"the ledger of {run.row}, run {run.index}, adds up to {int(total.sum())} cycles, "
                f"but the guest measured {run.value}"
            )
        return total

    def _at(self, tsc: int, run: Run) -> Causes:
        try:
            return self._by_tsc[tsc]
        except KeyError:
            full = ", and the log was full" if self._count >= self._capacity else ""
            raise BenchError(
                f"{run.row}, run {run.index}: the guest reports TSC {tsc}, "
                f"which is none of the {self._count} values it was given{full}"
            ) from None


class MissCounts:
    """How many misses there were up to every RDTSC (`timing.tsc.COUNTERS`), found by the value it gave."""

    def __init__(self, snapshots: Iterable[tuple[int, NDArray[np.int64]]]) -> None:
        self._by_tsc = {int(tsc): counts for tsc, counts in snapshots}

    def during(self, run: Run) -> dict[str, int]:
        """The misses of a run by kind and reason, if any; of a pair, the first's less the second's."""
        total = np.zeros(len(COUNTERS), dtype=np.int64)
        for sign, (before, after) in zip((1, -1), run.spans, strict=False):
            total += sign * (self._by_tsc[after] - self._by_tsc[before])
        return {name: int(total[i]) for i, name in enumerate(COUNTERS) if total[i]}


def by_name(causes: Causes) -> Mapping[str, int]:
    """The non-zero causes with their names, in the order of the ledger."""
    return {name: int(causes[i]) for i, name in enumerate(CAUSES) if causes[i]}
