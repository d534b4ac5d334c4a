"""What the benchmark commands share: their common options, and where results go."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from emulator.bench.result import Result

WIDE = 120  # columns of a table that isn't on a terminal

ProfileOption = Annotated[
    str, typer.Option(help="CPU profile: a name from `ringtoll profiles`, or a TOML file.")
]
JsonOption = Annotated[
    str | None,
    typer.Option(
        "--json", metavar="FILE|-", help="Write the result as JSON too; - is stdout, without tables."
    ),
]


@contextlib.contextmanager
def json_file(where: str | None) -> "Iterator[Callable[[Result], None]]":
    """Opened before the benchmark, so that it fails at once; emptied only when there is a result."""
    from emulator.bench.result import encode

    if where is None:
        yield lambda result: None
    elif where == "-":
        yield lambda result: print(encode(result).decode(), end="", flush=True)
    else:
        with Path(where).open("ab") as file:

            def write(result: "Result") -> None:
                if file.seekable():
                    file.truncate(0)
                file.write(encode(result))

            yield write


def stdout(wide: int = WIDE) -> Console:
    """Stdout for tables: the terminal's width, or one that suits files."""
    return Console() if sys.stdout.isatty() else Console(width=wide)
