"""The guest's screen when its run is over: text on the terminal, or a picture in a file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer

if TYPE_CHECKING:
    from emulator.machine import Machine


@contextlib.contextmanager
def open_screenshot(where: str | None) -> Iterator[BinaryIO | None]:
    """Opened before the run: that it can't be written must not be found out at the end."""
    if where is None:
        yield None
    else:
        with Path(where).open("wb") as file:
            yield file


def write_screenshot(machine: "Machine", file: BinaryIO | None) -> None:
    """The screen as PNG."""
    if file is not None:
        file.write(machine.devices.vga.screenshot(machine.ram))
        file.flush()


def screen_text(machine: "Machine") -> str:
    """The text screen without empty rows at its end; nothing when it is blank, or not text."""
    text = "\n".join(machine.devices.vga.text(machine.ram)).rstrip()
    return text and text + "\n"


def show_screen(machine: "Machine") -> None:
    """Print the text screen."""
    if text := screen_text(machine):
        typer.echo(text, nl=False)
