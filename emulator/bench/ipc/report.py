"""The result of `ipc` as text: round trips, what the mechanism adds, misses by cause, findings."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from emulator.bench.ipc.curves import CACHES, DTLB_CAUSES, ITLB_CAUSES, SIDES, Curves, misses
from emulator.bench.ipc.mechanisms import MECHANISMS
from emulator.bench.report import number
from emulator.bench.result import Result, Row

_HEADINGS = {
    "round_trip": "round trip, cycles, by {side} pages of 4 KB",
    "added": "of these added to the warm working set, by {side} pages",
}
_KINDS = dict(
    zip(
        (*DTLB_CAUSES, *ITLB_CAUSES, *CACHES),
        (f"{tlb}-{cause}" for tlb in ("D", "I") for cause in ("cold", "cap", "cr3", "invlpg", "other")),
        strict=False,
    )
) | {"l1d": "L1D", "l1i": "L1I", "l2_data": "L2 data", "l2_fetch": "L2 code"}
_SHOWN = {"data": (0, 48, 128), "code": (48, 128)}  # sizes in the table of misses, or the nearest


def show(result: Result, console: Console) -> None:
    """Print the whole report."""
    curves = Curves(result.rows)
    options = ", ".join(f"{name} {value}" for name, value in result.options.items())
    console.print(f"{result.benchmark} on {result.profile} ({options})", style="bold", highlight=False)
    for measure, heading in _HEADINGS.items():
        for side in SIDES:
            if curves.sizes(side):
                console.print()
                console.print(heading.format(side=side), style="bold", highlight=False)
                console.print(_table(curves, side, measure))
    console.print()
    console.print(
        "misses of a round trip, working set included: DTLB and ITLB by cause, caches",
        style="bold",
        highlight=False,
    )
    console.print(_misses(curves))
    console.print()
    for note in result.notes:
        console.print(f"- {note}", highlight=False, markup=False, soft_wrap=not console.is_terminal)
    console.print(f"- Images, sha256 of all: {result.image.sha256}", highlight=False, soft_wrap=True)


def _table(curves: Curves, side: str, measure: str) -> Table:
    table = Table(padding=(0, 0), pad_edge=False)
    table.add_column("mechanism", no_wrap=True)
    sizes = curves.sizes(side)
    for size in sizes:
        table.add_column(str(size), justify="right", no_wrap=True)
    family = ""
    for name in curves.mechanisms:
        if family and MECHANISMS[name].family != family:
            table.add_section()
        family = MECHANISMS[name].family
        curve = curves.curve(name, side, measure)
        table.add_row(name, *(str(curve[size].median) if size in curve else "" for size in sizes))
    return table


def _misses(curves: Curves) -> Table:
    """At a few sizes, and only kinds of misses that there were; all of them are in the JSON."""
    shown = list(_shown(curves))
    kinds = [kind for kind in _KINDS if any(misses(row, [kind]) for _, _, row in shown)]
    table = Table(padding=(0, 0), pad_edge=False)
    table.add_column("mechanism", no_wrap=True)
    table.add_column("pages", no_wrap=True)
    for kind in kinds:
        table.add_column(_KINDS[kind], justify="right", no_wrap=True)
    previous = ""
    for name, pages, row in shown:
        if previous and name != previous:
            table.add_section()
        previous = name
        counts = [misses(row, [kind]) for kind in kinds]
        table.add_row(name, pages, *(number(count) if count else "" for count in counts))
    return table


def _shown(curves: Curves) -> Iterator[tuple[str, str, Row]]:
    for name in curves.mechanisms:
        for side, wanted in _SHOWN.items():
            curve = curves.curve(name, side, "round_trip")
            nearest = {min(curve, key=lambda size: (abs(size - want), size)) for want in wanted if curve}
            for size in sorted(nearest):
                if size or side == "data":
                    yield name, f"{size} {side}", curve[size]
