"""The cycle ledger as reports see it: cycles by symbol, ring and cause, and the proof that they add up."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from emulator.timing.causes import CAUSES, COUNT

RINGS: Final = 4


class LedgerError(ValueError):
    """A ledger that does not have the right shape, or whose cycles do not add up."""


class Ledger:
    """A view over an int64 array [symbols, 4 rings, COUNT causes]; it copies nothing until asked to subtract.

    `symbols[i]` names row i; rows beyond the names, and rows of the same name, are reported together.
    """

    def __init__(self, counts: NDArray[np.int64], symbols: Sequence[str] | Mapping[int, str] = ()) -> None:
        if counts.dtype != np.int64 or counts.ndim != 3 or counts.shape[1:] != (RINGS, COUNT):
            raise LedgerError(
                f"a ledger is int64[symbols, {RINGS}, {COUNT}], not {counts.dtype}{list(counts.shape)}"
            )
        self.counts = counts
        self.symbols = dict(symbols) if isinstance(symbols, Mapping) else dict(enumerate(symbols))

    def total(self) -> int:
        """All cycles."""
        return int(self.counts.sum())

    def check(self, cycles: int) -> None:
        """Raise LedgerError unless the ledger sums to the cycle counter and uses only known causes."""
        if stray := int(np.abs(self.counts[:, :, len(CAUSES) :]).sum()):
            raise LedgerError(f"{stray} cycles are booked on causes that do not exist")
        if (total := self.total()) != cycles:
            raise LedgerError(
                f"the ledger sums to {total}, the cycle counter says {cycles}: {total - cycles:+}"
            )

    def by_cause(self) -> dict[str, int]:
        """Cycles of every cause, in the order of `CAUSES`, zeros included."""
        sums = self.counts.sum(axis=(0, 1))
        return {cause: int(sums[index]) for index, cause in enumerate(CAUSES)}

    def by_ring(self) -> dict[int, int]:
        """Cycles of rings 0 to 3."""
        return {ring: int(cycles) for ring, cycles in enumerate(self.counts.sum(axis=(0, 2)))}

    def by_ring_and_cause(self) -> dict[int, dict[str, int]]:
        """Cycles of every ring by cause, zeros left out."""
        sums = self.counts.sum(axis=0)
        return {
            ring: {cause: int(sums[ring, i]) for i, cause in enumerate(CAUSES) if sums[ring, i]}
            for ring in range(RINGS)
        }

    def by_symbol(self, top: int | None = None) -> dict[str, int]:
        """Cycles of the `top` most expensive symbols, dearest first (then by name), zeros left out."""
        sums: dict[str, int] = {}
        for index, cycles in enumerate(self.counts.sum(axis=(1, 2))):
            if cycles:
                name = self.symbols.get(index, "?")
                sums[name] = sums.get(name, 0) + int(cycles)
        return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:top])

    def of_symbol(self, name: str) -> dict[str, int]:
        """Cycles of one symbol by cause, zeros left out; "?" is every row without a name."""
        rows = [i for i in range(len(self.counts)) if self.symbols.get(i, "?") == name]
        sums = self.counts[rows].sum(axis=(0, 1))
        return {cause: int(sums[i]) for i, cause in enumerate(CAUSES) if sums[i]}

    def __sub__(self, earlier: Self) -> "Ledger":
        """What happened since `earlier`: the same machine's ledger, whose rows may since have grown."""
        rows = len(earlier.counts)
        if rows > len(self.counts):
            raise LedgerError("the earlier ledger has more symbols than the later one")
        if any(self.symbols.get(i, name) != name for i, name in earlier.symbols.items()):
            raise LedgerError("the two ledgers name their symbols differently")
        counts = self.counts.copy()
        counts[:rows] -= earlier.counts
        return Ledger(counts, self.symbols)

    def copy(self) -> "Ledger":
        """A ledger of its own, for a later difference."""
        return Ledger(self.counts.copy(), self.symbols)

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON: total, causes, rings and symbols; zeros are left out but for rings."""
        return {
            "total": self.total(),
            "by_cause": {cause: cycles for cause, cycles in self.by_cause().items() if cycles},
            "by_ring": {str(ring): cycles for ring, cycles in self.by_ring().items()},
            "by_ring_and_cause": {str(ring): part for ring, part in self.by_ring_and_cause().items() if part},
            "by_symbol": {name: self.of_symbol(name) for name in self.by_symbol()},
        }
