"""`ringtoll sign`: a detached signature for each extension."""

import json
from pathlib import Path
from typing import Annotated

import typer

from emulator.cli.key import read_key_file
from emulator.cli.options import examples

EPILOG = examples("ringtoll sign counter.o --key mine.key", "ringtoll sign build/*.o --key mine.key --json")


def sign(
    file: Annotated[list[str], typer.Argument(help="An extension: object or executable; several are fine.")],
    key: Annotated[str, typer.Option(help="The private key, of `ringtoll key new`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Sign extensions: the signature of FILE goes to FILE.sig. Every byte of the file counts."""
    from loader import read_file
    from loader.sandbox_object import parse_object
    from loader.signature import SUFFIX, fingerprint, load_seed
    from loader.signature import sign as sign_bytes

    seed = load_seed(key, read_key_file(key))
    contents = [(path, read_file(path, Path(path).name)) for path in file]
    for path, data in contents:
        parse_object(path, data)  # nobody shall sign what can't be loaded
    done = []
    for path, data in contents:
        signature = sign_bytes(seed, data)
        Path(path + SUFFIX).write_text(signature.text(), encoding="ascii")
        done.append({"file": path, "signature": path + SUFFIX, "sha256": signature.sha256})
    name = fingerprint(signature.key)
    if as_json:
        typer.echo(json.dumps({"schema": 1, "kind": "signatures", "key": name, "signed": done}, indent=2))
    else:
        for one in done:
            typer.echo(f"{one['file']}: signed by key {name}, {one['signature']}")
