"""From the runs of one operation to its figures: least, median, greatest, and the median's ledger."""

from collections.abc import Sequence
from dataclasses import dataclass

from emulator.bench.console_log import Run
from emulator.bench.snapshots import Snapshots, by_name


@dataclass(frozen=True, slots=True)
class Figures:
    """`median` is an actual run (the lower one of the two in the middle); `ledger` is its own."""

    min: int
    median: Run
    max: int
    runs: int
    ledger: dict[str, int]


def figures(runs: Sequence[Run], snapshots: Snapshots) -> Figures:
    """Sum up; a BenchError if the ledger of any run, not only of the median, doesn't add up."""
    ledgers = {run.index: snapshots.explain(run) for run in runs}
    by_value = sorted(runs, key=lambda run: (run.value, run.index))
    median = by_value[(len(runs) - 1) // 2]
    return Figures(
        by_value[0].value, median, by_value[-1].value, len(runs), dict(by_name(ledgers[median.index]))
    )
