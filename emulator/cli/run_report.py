"""`ringtoll report STATS.json`: where a run's cycles and TLB misses went, as tables for people or pages."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from emulator.cli.options import examples
from emulator.cli.report_tables import ReportTable
from emulator.cli.statistics_file import Statistics, read_statistics
from emulator.cli.summary import modelled_time
from emulator.cli.tables import WALKS

EPILOG: Final = examples(
    "ringtoll boot vmlinuz --initrd initramfs.cpio --symbols kallsyms --stats stats.json",
    "ringtoll report stats.json",
    "ringtoll report stats.json --top 40 --markdown > where-it-went.md",
)
SCHEMA: Final = 1
SIDES: Final = {"data": "dtlb_", "code": "itlb_"}
WIDE: Final = 140  # columns of a table that isn't on a terminal


def share(part: int, whole: int) -> float:
    """Percent, one place."""
    return round(100 * part / whole, 1) if whole else 0.0


def _mostly(causes: Mapping[str, int], most: int = 3) -> str:
    total = sum(causes.values())
    dearest = sorted(causes.items(), key=lambda item: (-item[1], item[0]))[:most]
    parts = ((cause, round(share(cycles, total))) for cause, cycles in dearest)
    return ", ".join(f"{cause} {percent} %" for cause, percent in parts if percent)


def by_cause(found: Statistics) -> ReportTable:
    """Every cause with its share, and each ring that ran."""
    ledger = found.ledger
    rings = [ring for ring, cycles in ledger.by_ring.items() if cycles]
    rows = [
        (
            cause,
            cycles,
            share(cycles, found.cycles),
            *(ledger.by_ring_and_cause[r].get(cause, 0) for r in rings),
        )
        for cause, cycles in sorted(ledger.by_cause.items(), key=lambda item: -item[1])
    ]
    rows.append(("all", found.cycles, share(found.cycles, found.cycles), *(ledger.by_ring[r] for r in rings)))
    columns = {"cause": "cause", "cycles": "cycles", "share": "share"} | {
        f"ring{r}": f"ring {r}" for r in rings
    }
    return ReportTable("by_cause", "Cycles by cause", columns, rows)


def by_ring(found: Statistics) -> ReportTable:
    """Each ring that ran, and what it mostly spent."""
    ledger = found.ledger
    rows = [
        (int(ring), cycles, share(cycles, found.cycles), _mostly(ledger.by_ring_and_cause[ring], 5))
        for ring, cycles in ledger.by_ring.items()
        if cycles
    ]
    columns = {"ring": "ring", "cycles": "cycles", "share": "share", "mostly": "mostly"}
    return ReportTable("by_ring", "Cycles by ring", columns, rows)


def by_symbol(found: Statistics, top: int) -> ReportTable:
    """The dearest symbols, and the rest in one row."""
    symbols = sorted(found.ledger.by_symbol.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    rows = [
        (name, cycles, share(cycles, found.cycles), _mostly(causes))
        for name, causes in symbols[:top]
        for cycles in (sum(causes.values()),)
    ]
    if rest := symbols[top:]:
        cycles = sum(sum(causes.values()) for _, causes in rest)
        rows.append((f"({len(rest)} others)", cycles, share(cycles, found.cycles), ""))
    columns = {"symbol": "symbol", "cycles": "cycles", "share": "share", "mostly": "mostly"}
    return ReportTable("by_symbol", f"Cycles by symbol, the {min(top, len(symbols))} dearest", columns, rows)


def tlb_misses(found: Statistics) -> ReportTable:
    """Misses and the cycles of their page walks, by side and by the reason why the entry was not there."""
    rows: list[tuple[Any, ...]] = []
    for side, prefix in SIDES.items():
        for cause in WALKS:
            misses = found.statistics.get(f"{cause}_misses", 0)
            if cause.startswith(prefix) and misses:
                cycles = found.ledger.by_cause.get(cause, 0)
                rows.append((side, cause.removeprefix(prefix), misses, cycles, round(cycles / misses, 1)))
    misses, cycles = sum(row[2] for row in rows), sum(row[3] for row in rows)
    rows.append(("both", "all", misses, cycles, round(cycles / misses, 1) if misses else 0.0))
    columns = {
        "side": "TLB",
        "reason": "reason",
        "misses": "misses",
        "cycles": "cycles",
        "per_miss": "cycles a miss",
    }
    return ReportTable("tlb_misses", "TLB misses by reason", columns, rows)


def tlb_symbols(found: Statistics, top: int) -> ReportTable:
    """The symbols whose page walks are dearest. Their misses follow from the mean cost of each reason."""
    ledger, counts = found.ledger, found.statistics
    rate = {c: counts.get(f"{c}_misses", 0) / n for c in WALKS if (n := ledger.by_cause.get(c, 0))}
    walks = {
        name: part
        for name, causes in ledger.by_symbol.items()
        if (part := {c: causes[c] for c in WALKS if c in causes})
    }
    whole = sum(sum(part.values()) for part in walks.values())
    dearest = sorted(walks.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    rows = []
    for name, part in dearest[:top]:
        cycles = sum(part.values())
        misses = round(sum(n * rate.get(cause, 0) for cause, n in part.items()))
        own = share(cycles, sum(ledger.by_symbol[name].values()))
        rows.append((name, cycles, share(cycles, whole), misses, own, _mostly(part)))
    if rest := dearest[top:]:
        cycles = sum(sum(part.values()) for _, part in rest)
        own = share(cycles, sum(sum(ledger.by_symbol[name].values()) for name, _ in rest))
        misses = round(sum(n * rate.get(cause, 0) for _, part in rest for cause, n in part.items()))
        rows.append((f"({len(rest)} others)", cycles, share(cycles, whole), misses, own, ""))
    columns = {"symbol": "symbol", "cycles": "cycles of walks", "share": "share", "misses": "misses, about"}
    columns |= {"own_share": "of its own cycles", "mostly": "mostly"}
    return ReportTable("tlb_symbols", "Page walks by symbol", columns, rows)


def tables(found: Statistics, top: int) -> list[ReportTable]:
    """The whole report."""
    return [
        by_cause(found),
        by_ring(found),
        by_symbol(found, top),
        tlb_misses(found),
        tlb_symbols(found, top),
    ]


def summary(found: Statistics) -> str:
    """One sentence of what ran."""
    each = found.cycles / found.instructions if found.instructions else 0.0
    return (
        f"{found.image.get('name', '?')} on {found.profile}: {found.cycles:,} cycles "
        f"({modelled_time(found.seconds)}), {found.instructions:,} instructions, {each:.2f} cycles each; "
        f"{found.outcome.get('message', '')}"
    )


def report(
    stats: Annotated[
        Path, typer.Argument(metavar="STATS.json", help="What `ringtoll boot --stats` has written.")
    ],
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Symbols in a table.")] = 20,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a page.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False,
) -> None:
    """Where a run's cycles and TLB misses went: by cause, ring and symbol."""
    if markdown and as_json:
        raise typer.BadParameter("choose one of the two", param_hint="--markdown and --json")
    found = read_statistics(stats)
    parts = tables(found, top)
    if as_json:
        head = {"schema": SCHEMA, "kind": "report", "profile": found.profile, "image": found.image}
        counts = {"cycles": found.cycles, "instructions": found.instructions}
        typer.echo(json.dumps({**head, **counts, **{part.name: part.to_json() for part in parts}}, indent=2))
    elif markdown:
        typer.echo("\n\n".join([summary(found), *(part.markdown() for part in parts)]))
    else:
        console = Console() if sys.stdout.isatty() else Console(width=WIDE)
        console.print(summary(found), highlight=False, markup=False, soft_wrap=True)
        for part in parts:
            console.print(part.rich())
