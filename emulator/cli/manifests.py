"""`ringtoll images FILE.toml`: what a manifest composes; nothing runs."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

import emulator
from emulator.cli.options import MOST_MEMORY

if TYPE_CHECKING:
    from emulator.composition import Composed

SCHEMA = 1


def describe_manifest(file: str, trust: list[str], unsigned: list[str], as_json: bool) -> None:
    """Compose, and show it; what is refused is refused as `boot` does."""
    from emulator.composition import Composer

    composed = Composer(file, trust, unsigned).compose(MOST_MEMORY)
    if as_json:
        typer.echo(json.dumps(composed_json(Path(file).name, composed), indent=2))
    else:
        _show(Path(file).name, composed, Console())


def composed_json(name: str, composed: "Composed") -> dict[str, Any]:
    """Everything as plain data."""
    sandbox = composed.sandbox
    return {
        "schema": SCHEMA,
        "kind": "manifest",
        "ringtoll": emulator.__version__,
        "file": name,
        "sha256": composed.image.sha256,
        "kernel": composed.image.name,
        "command_line": composed.command_line,
        "modules": [
            {"string": m.string, "size": len(m.data), "sha256": hashlib.sha256(m.data).hexdigest()}
            for m in composed.modules
        ],
        "extensions": [
            {
                "name": x.name,
                "sha256": composed.files[x.name],
                "authorisation": {"kind": x.authorisation.kind.name.lower(), "by": x.authorisation.by},
                "entry": x.entry,
                "init": x.init,
                "needs": list(x.needs),
                "segments": [
                    {"name": s.name, "address": s.address, "size": s.size, "writable": s.writable}
                    for s in x.segments
                ],
            }
            for x in (sandbox.extensions if sandbox is not None else ())
        ],
    }


def _show(name: str, composed: "Composed", console: Console) -> None:
    told = composed_json(name, composed)
    table = _table(name, "what", "value")
    for key in ("sha256", "kernel", "command_line"):
        table.add_row(key.replace("_", " ").replace("sha256", "sha256 as a guest"), Text(str(told[key])))
    console.print(table)
    table = _table("modules", "string", "bytes", "sha256")
    for module in told["modules"]:
        table.add_row(Text(module["string"]), f"{module['size']:,}", module["sha256"])
    console.print(table)
    if told["extensions"]:
        table = _table("extensions", "name", "authorisation", "entry", "code", "data", "sha256 of the file")
        for x in told["extensions"]:
            areas = [next((s for s in x["segments"] if s["writable"] == w), None) for w in (False, True)]
            places = [f"{s['address']:#x}, {s['size']} bytes" if s else "none" for s in areas]
            table.add_row(x["name"], Text(x["authorisation"]["by"]), f"{x['entry']:#x}", *places, x["sha256"])
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
