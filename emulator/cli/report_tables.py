"""A table of a report in its three forms: on a terminal, in Markdown, as plain data for JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text


def _cell(key: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f} %" if key.endswith("share") else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


@dataclass(frozen=True)
class ReportTable:
    """`columns` maps keys of the JSON to headings; numbers stand to the right."""

    name: str
    title: str
    columns: Mapping[str, str]
    rows: Sequence[Sequence[Any]]

    def _numeric(self) -> list[bool]:
        return [all(not isinstance(row[i], str) for row in self.rows) for i in range(len(self.columns))]

    def _cells(self) -> list[list[str]]:
        return [
            [_cell(key, value) for key, value in zip(self.columns, row, strict=True)] for row in self.rows
        ]

    def rich(self) -> Table:
        """For a terminal."""
        table = Table(title=self.title, title_justify="left")
        for heading, right in zip(self.columns.values(), self._numeric(), strict=True):
            table.add_column(heading, justify="right" if right else "left", no_wrap=right)
        for cells in self._cells():
            table.add_row(*(Text(cell) for cell in cells))
        return table

    def markdown(self) -> str:
        """For a page; a `|` inside a cell is escaped."""
        marks = ["--:" if right else "---" for right in self._numeric()]
        rows = [list(self.columns.values()), marks, *self._cells()]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        return "\n".join([f"### {self.title}", "", *lines])

    def to_json(self) -> list[dict[str, Any]]:
        """For programs."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]
