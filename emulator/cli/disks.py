"""`--disk IMG[,rw][,index=N]`: from the command line to four places on two ATA channels."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import typer

from emulator.cli.errors import CliError
from emulator.exitstatus import ExitStatus

if TYPE_CHECKING:
    from emulator.devices.ide import Disk

PLACES = ("primary master", "primary slave", "secondary master", "secondary slave")
HINT = "--disk"


class DiskOption(NamedTuple):
    """One `--disk`."""

    path: str
    writable: bool
    place: int | None


def parse_disk(text: str) -> DiskOption:
    """Take the options off the end; a comma anywhere else belongs to the file's name.

    Raises: typer.BadParameter.
    """
    path, writable, index = text, False, None
    while match := re.fullmatch(r"(.*),(rw|index=([^,]*))", path, re.DOTALL):
        path = match[1]
        if match[2] == "rw":
            writable = True
        elif re.fullmatch(f"[0-{len(PLACES) - 1}]", match[3]):
            index = int(match[3])
        else:
            raise typer.BadParameter(f"index={match[3]} is not a place from 0 to 3", param_hint=HINT)
    if not path:
        raise typer.BadParameter(f"{text!r} names no file", param_hint=HINT)
    return DiskOption(path, writable, index)


def place_disks(options: Sequence[DiskOption]) -> list[DiskOption | None]:
    """Indexed ones where they want to be, the others in their order on what is left.

    Raises: typer.BadParameter.
    """
    places: list[DiskOption | None] = [None] * len(PLACES)
    for option in options:
        if option.place is not None:
            if places[option.place] is not None:
                raise typer.BadParameter(f"two disks want index={option.place}", param_hint=HINT)
            places[option.place] = option
    free = iter([place for place, option in enumerate(places) if option is None])
    for option in options:
        if option.place is None:
            place = next(free, None)
            if place is None:
                raise typer.BadParameter(f"there are places for {len(PLACES)} disks", param_hint=HINT)
            places[place] = option
    return places


@contextlib.contextmanager
def open_disks(texts: Sequence[str]) -> Iterator[list["Disk | None"]]:
    """The images, open as long as the machine runs. Raises: typer.BadParameter, CliError."""
    from emulator.devices.ide import Disk, DiskError

    places = place_disks([parse_disk(text) for text in texts])
    with contextlib.ExitStack() as stack:
        disks: list[Disk | None] = []
        for option in places:
            if option is None:
                disks.append(None)
                continue
            try:
                disks.append(stack.enter_context(Disk.open(option.path, option.writable)))
            except DiskError as error:
                raise CliError(str(error), ExitStatus.IMAGE_REFUSED) from None
        yield disks
