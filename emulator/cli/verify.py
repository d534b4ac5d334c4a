"""`ringtoll verify`: would these extensions be authorised?"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from emulator.cli.errors import say
from emulator.cli.key import read_key_file
from emulator.cli.options import examples
from emulator.exitstatus import ExitStatus

EPILOG = examples(
    "ringtoll verify counter.o --trust mine.key.pub", "ringtoll verify *.o --trust mine.key.pub --json"
)


def verify(
    file: Annotated[list[str], typer.Argument(help="An extension, with its signature in FILE.sig.")],
    trust: Annotated[list[str], typer.Option(metavar="KEY.pub", help="A public key to trust; repeatable.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check signatures against trusted keys, as composing an image does. Status 120 if one is refused."""
    from loader import read_file
    from loader.authorisation import AuthorisationError, Candidate, TrustedKeys, authorise
    from loader.signature import SUFFIX, load_public

    keys = {load_public(path, read_key_file(path)): Path(path).name for path in trust}
    found: list[dict[str, Any]] = []
    for path in file:
        data = read_file(path, Path(path).name)
        where = Path(path + SUFFIX)
        signature = read_key_file(str(where)) if where.exists() else None
        one: dict[str, Any] = {"file": path, "by": None, "refused": None}
        try:
            one["by"] = authorise(Candidate(Path(path).stem, path, data, signature), [TrustedKeys(keys)]).by
        except AuthorisationError as error:
            one["refused"] = {"rule": error.broken.name.lower(), "message": str(error)}
        found.append(one)
        if not as_json and one["by"]:
            typer.echo(f"{path}: {one['by']}")
    if as_json:
        typer.echo(json.dumps({"schema": 1, "kind": "verification", "files": found}, indent=2))
    refused = [one["refused"]["message"] for one in found if one["refused"]]
    for message in refused:
        say(message)
    if refused:
        raise typer.Exit(ExitStatus.IMAGE_REFUSED)
