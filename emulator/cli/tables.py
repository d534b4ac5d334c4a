"""Rich tables that more than one command shows."""

from rich.table import Table

from emulator.timing.ledger import RINGS, Ledger


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
