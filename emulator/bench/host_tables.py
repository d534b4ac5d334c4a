"""`bench host` on the terminal: speeds, what else a machine costs, and the host cost of events."""

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET
from rich.console import Console
from rich.table import Table

from emulator.bench.host_events import UNIT as EVENT_UNIT
from emulator.bench.host_run import SPEED
from emulator.bench.result import Result, Row

RANGE: Final = ("min", "median", "max")


def show_host(result: Result, console: Console) -> None:
    """The tables and the notes."""
    console.print(_speed_table(result))
    others = [row for row in result.rows if row.unit not in (SPEED, EVENT_UNIT)]
    if others:
        console.print(_range_table("what a machine costs", others, units=True))
    events = [row for row in result.rows if row.unit == EVENT_UNIT]
    if events:
        console.print(_range_table("host cost of events (microseconds)", events, units=False))
    for note in result.notes:
        console.print(f"- {note}", markup=False, highlight=False)


def _speed_table(result: Result) -> Table:
    table = Table(title=f"host speed, whole model on, profile {result.profile}", title_justify="left")
    table.add_column("workload")
    for heading in ("M instructions/s", "beside", "ratio", "to reference"):
        table.add_column(heading, justify="right")
    for row in result.rows:
        if row.unit == SPEED:
            bare = "" if row.bare is UNSET else f"{row.bare:g}"
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            reference = "" if row.reference is UNSET else f"{row.reference:.2f}"
            table.add_row(row.title, f"{row.median:g}", bare, ratio, reference)
    return table


def _range_table(title: str, rows: Sequence[Row], *, units: bool) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("what" if units else "event")
    for heading in RANGE:
        table.add_column(heading, justify="right")
    if units:
        table.add_column("unit")
    for row in rows:
        numbers = [f"{value:.2f}" for value in (row.min, row.median, row.max)]
        table.add_row(row.title, *numbers, *([row.unit] if units else []))
    return table
