"""Rich tables that more than one command shows."""

from collections.abc import Mapping

from rich.table import Table

from emulator.timing.causes import CAUSES, DTLB_COLD, L1D_MISS
from emulator.timing.ledger import RINGS, Ledger

WALKS = CAUSES[DTLB_COLD:L1D_MISS]


def symbol_table(ledger: Ledger, top: int) -> Table:
    """The dearest symbols: cycles, share, those that went to page walks, and their three largest causes."""
    total = ledger.total()
    table = Table(title=f"Cycles by symbol, the {top} dearest")
    table.add_column("symbol", no_wrap=True)
    for heading in ("cycles", "share", "TLB misses"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("mostly")
    for symbol, cycles in ledger.by_symbol(top).items():
        causes = ledger.of_symbol(symbol)
        walks = sum(causes.get(cause, 0) for cause in WALKS)
        mostly = ", ".join(
            f"{cause} {100 * n / cycles:.0f} %"
            for cause, n in sorted(causes.items(), key=lambda item: -item[1])[:3]
        )
        table.add_row(symbol, f"{cycles:,}", f"{100 * cycles / total:.1f} %", f"{walks:,}", mostly)
    return table


def tlb_table(statistics: Mapping[str, int], ledger: Ledger) -> Table:
    """TLB misses by reason: how many, and what their page walks cost."""
    cycles = ledger.by_cause()
    table = Table(title="TLB misses by reason")
    table.add_column("reason", no_wrap=True)
    for heading in ("data misses", "cycles", "code misses", "cycles"):
        table.add_column(heading, justify="right")
    for data, code in zip(WALKS[: len(WALKS) // 2], WALKS[len(WALKS) // 2 :], strict=True):
        cells = [f"{n:,}" for c in (data, code) for n in (statistics[f"{c}_misses"], cycles[c])]
        table.add_row(data.removeprefix("dtlb_"), *cells)
    return table


def ledger_table(ledger: Ledger, title: str = "Cycles by cause") -> Table:
    """Cycles of each cause with its share, a column for every ring that ran, dearest cause first."""
    total = ledger.total()
    by_ring = ledger.by_ring()
    rings = [ring for ring in range(RINGS) if by_ring[ring]]
    parts = ledger.by_ring_and_cause()
    table = Table(title=title, show_footer=True)
    table.add_column("cause", "total", no_wrap=True)
    table.add_column("cycles", f"{total:,}", justify="right")
    table.add_column("share", "100.0 %" if total else "", justify="right")
    for ring in rings:
        table.add_column(f"ring {ring}", f"{by_ring[ring]:,}", justify="right")
    rows = [(cause, cycles) for cause, cycles in ledger.by_cause().items() if cycles]
    for cause, cycles in sorted(rows, key=lambda row: -row[1]):
        share = f"{100 * cycles / total:.1f} %" if total else ""
        ring_cells = (f"{parts[ring].get(cause, 0):,}" for ring in rings)
        table.add_row(cause, f"{cycles:,}", share, *ring_cells)
    return table
