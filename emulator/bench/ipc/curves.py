"""Rows of the result as curves: by mechanism, kind of page and measure."""

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET

from emulator.bench.ipc.mechanisms import MECHANISMS
from emulator.bench.result import Row

SIDES: Final = ("data", "code")
DTLB_CAUSES: Final = ("dtlb_cold", "dtlb_capacity", "dtlb_flush_cr3", "dtlb_flush_invlpg", "dtlb_flush_other")
ITLB_CAUSES: Final = ("itlb_cold", "itlb_capacity", "itlb_flush_cr3", "itlb_flush_invlpg", "itlb_flush_other")
CACHES: Final = ("l1d", "l1i", "l2_data", "l2_fetch")

Curve = dict[int, Row]  # by pages


class Curves:
    """Finds the rows of an `ipc` result."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._curves: dict[tuple[str, str, str], Curve] = {}
        for row in rows:
            point = row.point
            if point is UNSET:
                continue
            sizes = {"data": point.data_pages, "code": point.code_pages}
            for side in SIDES:
                other = sizes["code" if side == "data" else "data"]
                if not other:
                    self._curves.setdefault((point.mechanism, side, point.measure), {})[sizes[side]] = row

    def curve(self, mechanism: str, side: str, measure: str) -> Curve:
        """The rows by size; empty if there are none."""
        return self._curves.get((mechanism, side, measure), {})

    @property
    def mechanisms(self) -> list[str]:
        """Those measured, in the usual order."""
        return [name for name in MECHANISMS if any(key[0] == name for key in self._curves)]

    def sizes(self, side: str) -> list[int]:
        """All sizes of a side; none if only the empty working set was measured."""
        found = sorted({size for key, curve in self._curves.items() if key[1] == side for size in curve})
        return found if found != [0] or side == "data" else []


def misses(row: Row, names: Iterable[str]) -> int:
    """How many misses of these kinds the row's median run had."""
    counts = {} if row.misses is UNSET else row.misses
    return sum(counts.get(name, 0) for name in names)
