"""`ringtoll images FILE`: what a file is, where it goes, how it starts, what it needs; nothing runs.

A file whose name ends with .toml is a manifest: `emulator/cli/manifests.py`.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

import emulator
from emulator.cli.errors import say
from emulator.cli.options import LEAST_MEMORY, MOST_MEMORY, PAGE, ImageFormat, examples, parse_number
from emulator.exitstatus import ExitStatus

if TYPE_CHECKING:
    from loader import Image, ImageError

SCHEMA = 1
EPILOG = examples(
    "ringtoll images kernel.elf",
    "ringtoll images vmlinuz --json",
    "ringtoll images vmlinux --format linux",
    "ringtoll images system.toml --trust developer.key.pub",
)

# What goes with each format: the options of `ringtoll boot`.
TAKES = {
    "multiboot": ("--append", "--module"),
    "multiboot2": ("--append", "--module"),
    "bzimage": ("--append", "--initrd"),
    "linux": ("--append", "--initrd"),
}
# Files that are no images, but often at hand where images are: offset, magic number, what to say.
OTHERS = (
    (0, b"070701", "a cpio archive: an initramfs goes with a Linux kernel, --initrd FILE"),
    (0, b"\x1f\x8b", "compressed by gzip: a kernel must be unpacked, an initramfs goes with --initrd FILE"),
    (0, b"\xfd7zXZ", "compressed by xz: a kernel must be unpacked, an initramfs goes with --initrd FILE"),
    (0, b"\x28\xb5\x2f\xfd", "compressed by zstd: a kernel must be unpacked first"),
    (0, b"!<arch>\n", "an archive of objects, or a Debian package"),
    (0, b"MZ", "a program for DOS, Windows or EFI"),
    (0x8001, b"CD001", "an image of a CD: the kernel in it is what can be started"),
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out about a file: an image, or why it is none."""

    name: str
    size: int
    sha256: str
    image: "Image | None"
    refused: "ImageError | None"
    hint: str


def images(
    file: Annotated[str, typer.Argument(help="A guest image, or any file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    format: Annotated[
        ImageFormat, typer.Option(help="The image's format, if it shall not be found out.")
    ] = ImageFormat.auto,
    address: Annotated[
        int | None, typer.Option(parser=parse_number, metavar="N", help="Load address of a flat binary.")
    ] = None,
    trust: Annotated[
        list[str] | None, typer.Option(metavar="KEY.pub", help="For a manifest, as for `boot`; repeatable.")
    ] = None,
    trust_unsigned: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="For a manifest, as for `boot`; repeatable.")
    ] = None,
) -> None:
    """Say what a file is: format, segments, entry, what it needs, hashes. Nothing is run."""
    if file.endswith(".toml"):
        from emulator.cli.manifests import describe_manifest

        describe_manifest(file, trust or [], trust_unsigned or [], as_json)
        return
    if trust or trust_unsigned:
        raise typer.BadParameter("they go with a manifest", param_hint="--trust, --trust-unsigned")
    found = examine(file, format.value, address)
    if as_json:
        typer.echo(json.dumps(findings_json(found), indent=2))
    else:
        _show(found, Console())
    if found.refused is not None:
        say(str(found.refused))
        raise typer.Exit(ExitStatus.IMAGE_REFUSED)


def examine(file: str, format: Any, address: int | None) -> Findings:
    """Read a file and load it into as much memory as a machine can have; ImageError if it can't be read."""
    from loader import ImageError, Rule, load_image, read_file

    name = Path(file).name or file
    data = read_file(file, name)
    image, refused = None, None
    try:
        image = load_image(data, name=name, memory_bytes=MOST_MEMORY, format=format, address=address)
    except ImageError as error:
        refused = error
    hint = ""
    if refused is not None and refused.rule is Rule.UNKNOWN_FORMAT:
        hint = next((what for at, magic, what in OTHERS if data.startswith(magic, at)), "")
    return Findings(name, len(data), hashlib.sha256(data).hexdigest(), image, refused, hint)


def least_memory(image: "Image") -> int:
    """The smallest `--memory` that the image itself fits in, without modules and initrd."""
    return max(LEAST_MEMORY, -(-image.memory_needed // PAGE) * PAGE)


def findings_json(found: Findings) -> dict[str, Any]:
    """Everything as plain data; the same keys whatever the file is."""
    image, refused = found.image, found.refused
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "image",
        "ringtoll": emulator.__version__,
        "file": {"name": found.name, "size": found.size, "sha256": found.sha256},
        "format": None if image is None else image.format,
        "refused": None
        if refused is None
        else {"rule": refused.rule.name.lower(), "message": str(refused), "hint": found.hint},
    }
    if image is None:
        nothing: dict[str, Any] = {
            "sha256": None,
            "entry": None,
            "needs": None,
            "segments": [],
            "symbols": [],
        }
        return {**head, **nothing, "facts": {}, "notes": []}
    entry = image.entry
    return {
        **head,
        "sha256": image.sha256,
        "entry": {
            "mode": entry.mode,
            "cs": entry.cs,
            "ds": entry.ds,
            "eip": entry.eip,
            "registers": entry.registers,
        },
        "needs": {"memory": least_memory(image), "takes": list(TAKES.get(image.format, ()))},
        "segments": [
            {"name": s.name, "address": s.address, "end": s.end, "file_size": len(s.data)}
            for s in sorted(image.segments, key=lambda s: s.address)
        ],
        "symbols": [{"name": s.name, "symbols": len(s.symbols)} for s in image.symbols],
        "facts": dict(image.facts),
        "notes": list(image.notes),
    }


def _show(found: Findings, console: Console) -> None:
    from loader import describe
    from loader.image import one_line

    file = Table(title=one_line(found.name))
    file.add_column("what", no_wrap=True)
    file.add_column("value", overflow="fold")
    rows = [("size", f"{found.size:,} bytes"), ("sha256 of the file", found.sha256)]
    if found.image is None:
        rows.append(("format", f"none that can be started{f': {found.hint}' if found.hint else ''}"))
    tables = () if found.image is None else describe(found.image)
    for table in tables[:1]:
        rows += [(what.replace("sha256", "sha256 as a guest"), value) for what, value in table.rows[1:]]
    if found.image is not None:
        rows.append(("needs", f"--memory of at least {least_memory(found.image) // 1024}K"))
        rows.append(("takes", ", ".join(TAKES.get(found.image.format, ["nothing beside itself"]))))
    for row in rows:
        file.add_row(*map(Text, row))
    console.print(file)
    for table in tables[1:]:
        if table.rows:
            console.print(_table(table.title, table.columns, table.rows))


def _table(title: str, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> Table:
    table = Table(title=title)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
