"""`ringtoll ext build`: from C to an extension, with the headers that Ringtoll carries and ziglang."""

import importlib.util
import json
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import typer

from emulator.cli.errors import CliError
from emulator.cli.options import examples
from emulator.exitstatus import ExitStatus

COMPILER: Final = "ziglang==0.17.1"
SOURCES: Final = (".c", ".s", ".S")
FLAGS: Final = (
    *("-target", "x86-freestanding-none", "-mcpu=i686", "-std=gnu11", "-O2", "-ffreestanding", "-nostdlib"),
    *("-fno-pic", "-fno-pie", "-fno-stack-protector", "-fno-sanitize=all", "-fno-builtin", "-UNDEBUG"),
    *("-mno-sse", "-mno-mmx", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-Wall", "-Wextra"),
)
"""As guest/userland.mk: a handler must not change MMX or SSE registers that nobody saves for it."""

app = typer.Typer(no_args_is_help=True, help="Extensions: code that runs in the guest's sandbox.")


@app.command(epilog=examples("ringtoll ext build blink.c", "ringtoll ext build a.c b.S -o both.o --json"))
def build(
    file: Annotated[list[str], typer.Argument(help="C (.c) or assembly (.S) files; together one extension.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE.o", help="Default: the first file's name.")
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option("--include", "-I", metavar="FOLDER", help="More headers; repeatable.")
    ] = None,
    define: Annotated[
        list[str] | None, typer.Option("--define", "-D", metavar="NAME=VALUE", help="A macro; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compile files to one extension, ready to be signed. Needs the Python package ziglang."""
    from loader.sandbox_object import parse_object

    for path in file:
        if Path(path).suffix not in SOURCES:
            raise CliError(f"{path}: neither C (.c) nor assembly (.S)", ExitStatus.USAGE)
        if not Path(path).is_file():
            raise CliError(f"{path}: there is no such file")
    target = output or str(Path(file[0]).with_suffix(".o"))
    options = [f"-I{folder}" for folder in [*(include or ()), _headers()]] + [f"-D{d}" for d in define or ()]
    data = _compile(file, options)
    parse_object(target, data)  # what the sandbox's linker would not take is no extension
    Path(target).write_bytes(data)
    if as_json:
        told = {"schema": 1, "kind": "extension", "sources": file, "file": target, "size": len(data)}
        typer.echo(json.dumps(told, indent=2))
    else:
        typer.echo(f"{target}: built from {', '.join(file)}")


def _headers() -> str:
    """The folder of the libc's and the kernel's headers."""
    folder = Path(str(resources.files("emulator") / "images" / "include"))
    if not (folder / "ringtoll" / "abi.h").is_file():
        raise CliError("the guest's headers are not there; in a source tree say `make guest`")
    return str(folder)


def _compile(sources: list[str], options: list[str]) -> bytes:
    """Each source to an object, these to one: the sandbox's linker wants a single relocatable file."""
    if importlib.util.find_spec("ziglang") is None:
        raise CliError(f"the compiler is not installed: python3 -m pip install {COMPILER}")
    compiler = [sys.executable, "-m", "ziglang", "cc", *FLAGS]
    with tempfile.TemporaryDirectory(prefix="ringtoll-") as folder:
        objects = []
        for i, source in enumerate(sources):
            objects.append(f"{folder}/{i}.o")
            _run([*compiler, *options, "-c", source, "-o", objects[-1]], source)
        if len(objects) > 1:
            _run([*compiler, "-r", *objects, "-o", f"{folder}/all.o"], " ".join(sources))
            objects = [f"{folder}/all.o"]
        return Path(objects[0]).read_bytes()


def _run(command: list[str], what: str) -> None:
    """The compiler's own messages go to stderr as they are."""
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno())
    if done.returncode:
        raise CliError(f"{what}: the compiler refused it (its messages are above)")
