"""A benchmark's result as text: the figures, the ledger, the notes."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from emulator.bench.published import Published
from emulator.bench.result import Number, Result, Row
from emulator.timing.causes import CAUSES

COLUMNS = 5  # rows of the benchmark beside each other in a ledger table of 80 characters


def show(result: Result, published: Published, console: Console) -> None:
    """Print the whole report."""
    console.print(_figures(result))
    for rows, name in _groups(result.rows):
        console.print()
        console.print(_ledger(rows, published, name))
    console.print()
    for note in result.notes:
        console.print(f"- {note}", highlight=False, markup=False, soft_wrap=not console.is_terminal)
    console.print(
        f"- Image {result.image.name}, sha256 {result.image.sha256}", highlight=False, soft_wrap=True
    )


def _groups(rows: Sequence[Row]) -> Iterator[tuple[Sequence[Row], str]]:
    """Rows that share a ledger table: the published ones, then the others, few enough for a terminal."""
    for name, is_published in (("published rows", True), ("further rows", False)):
        group = [row for row in rows if row.ledger and (row.published is not None) == is_published]
        for start in range(0, len(group), COLUMNS):
            yield group[start : start + COLUMNS], name


def _figures(result: Result) -> Table:
    options = ", ".join(f"{name} {value}" for name, value in result.options.items())
    table = Table(
        title=f"{result.benchmark} on {result.profile} ({options})", title_justify="left", title_style="bold"
    )
    table.add_column("operation" if len({row.unit for row in result.rows}) != 1 else _head(result))
    for name in ("min", "median", "max", "published", "ratio"):
        table.add_column(name, justify="right")
    previous: Row | None = None
    for row in result.rows:
        if previous is not None and previous.published is not None and row.published is None:
            table.add_section()
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        figures = (row.min, row.median, row.max, row.published)
        table.add_row(row.title, *map(number, figures), ratio)
        previous = row
    return table


def _head(result: Result) -> str:
    return f"operation ({result.rows[0].unit})"


def _ledger(rows: Sequence[Row], published: Published, name: str) -> Table:
    table = Table(
        title=f"where the cycles of the median run went: {name}", title_justify="left", title_style="bold"
    )
    table.add_column("cause", no_wrap=True)
    for row in rows:
        table.add_column(published.find(row.name).short, justify="right", min_width=6, overflow="fold")
    for cause in CAUSES:
        if any(cause in row.ledger for row in rows):
            table.add_row(cause, *(number(row.ledger.get(cause)) for row in rows))
    table.add_section()
    table.add_row("sum", *(number(sum(row.ledger.values())) for row in rows))
    return table


def number(value: Number | None) -> str:
    """A figure for a table, thousands apart."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
