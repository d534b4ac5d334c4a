"""`ringtoll key`: make a key to sign extensions with."""

import os
from pathlib import Path
from typing import Annotated

import typer

from emulator.cli.errors import CliError
from emulator.cli.options import examples

app = typer.Typer(no_args_is_help=True, help="Keys to sign extensions with (Ed25519).")


@app.command(epilog=examples("ringtoll key new mine.key", "openssl pkey -in mine.key -noout -text"))
def new(
    key: Annotated[str, typer.Argument(help="Where the private key goes; the public one goes to KEY.pub.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a key pair: KEY, which only its owner may read, and KEY.pub, which others trust."""
    import json

    from loader.signature import fingerprint, load_public, new_key

    private, public = new_key()
    _create(key, private, 0o600)
    _create(f"{key}.pub", public, 0o644)
    name = fingerprint(load_public(f"{key}.pub", public))
    if as_json:
        typer.echo(
            json.dumps({"schema": 1, "kind": "key", "private": key, "public": f"{key}.pub", "key": name})
        )
    else:
        typer.echo(f"{key}: private key {name}; {key}.pub: the public key, to be given to those who trust it")


def _create(path: str, data: bytes, mode: int) -> None:
    """A key is never overwritten: what it signed could not be signed again."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise CliError(f"{path}: there is a file of that name; a key is not overwritten") from None
    with os.fdopen(file, "wb") as out:
        out.write(data)


def read_key_file(path: str) -> bytes:
    """The contents of a small file."""
    from loader.signature import LONGEST

    with Path(path).open("rb") as file:
        return file.read(LONGEST + 1)
