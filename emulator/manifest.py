"""The manifest of a system without a shell (TOML): programs, extensions, and who answers for these.

docs/reference.md has every key. Whatever is wrong with a manifest is a `ManifestError` that names file,
key and rule.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from emulator.exitstatus import ExitStatus

ProgramName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,14}$")]
ExtensionName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,22}$")]
RESERVED = ("init", "sandbox")
SHORT = re.compile(r"[!-~]{1,63}")
"""What the kernel takes as one word of a program's arguments."""
MOST_ARGUMENTS = 30


class ManifestError(Exception):
    """A manifest breaks a rule."""

    status = ExitStatus.USAGE


class KernelOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """`[kernel]`: the image (default: the mini kernel) and words of its command line."""

    image: str = ""
    flush: Literal["invlpg", "cr3", "none"] = "invlpg"
    entry: Literal["sysexit", "iret"] = "sysexit"
    budget: Annotated[int, Meta(ge=0, le=1_000_000)] = 100
    bench: bool = True
    exit: Literal["first", "unwaited"] = "first"

    @property
    def command_line(self) -> str:
        """The words."""
        bench = "on" if self.bench else "off"
        return f"flush={self.flush} entry={self.entry} budget={self.budget} bench={bench} exit={self.exit}"


class InitOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """`[init]`."""

    seconds: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None


class Program(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[program]]`."""

    name: ProgramName
    file: str = ""
    arguments: list[str] = []
    priority: Annotated[int, Meta(ge=0, le=99)] = 0


class Binding(Struct, frozen=True, forbid_unknown_fields=True):
    """One of `bind`: an event source that needs no process."""

    source: Literal["timer", "uart", "exit"]
    period: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class Ports(Struct, frozen=True, forbid_unknown_fields=True):
    """One of `ports`: I/O ports, as the TSS's bitmap has them."""

    first: Annotated[int, Meta(ge=0, le=0x3FF)]
    count: Annotated[int, Meta(ge=1, le=0x400)] = 1


class ExtensionEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[extension]]`."""

    name: ExtensionName
    file: str = ""
    signature: str = ""
    stack: Annotated[int, Meta(ge=0, le=0x100000)] = 0
    handler: str = "handler"
    owner: str = "init"
    mode: Literal["direct", "threaded"] | None = None
    priority: Annotated[int, Meta(ge=0, le=31)] | None = None
    budget: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    bind: list[Binding] = []
    ports: list[Ports] = []


class AuthorisationOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """`[authorisation]`: trusted keys, names trusted without a signature, and the key of the seals."""

    trust: list[str] = []
    unsigned: list[str] = []
    seal: str = ""


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    kernel: KernelOptions = KernelOptions()
    init: InitOptions = InitOptions()
    program: list[Program] = []
    extension: list[ExtensionEntry] = []
    authorisation: AuthorisationOptions = AuthorisationOptions()


def load_manifest(path: str | Path) -> Manifest:
    """Read and check a manifest."""
    file = Path(path).name
    try:
        with Path(path).open("rb") as stream:
            data = tomllib.load(stream)
        manifest = msgspec.convert(data, Manifest)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{file}: not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise ManifestError(f"{file}: {error}") from error
    except RecursionError as error:
        raise ManifestError(f"{file}: not TOML: nested too deeply") from error
    _check(file, manifest)
    return manifest


def _check(file: str, manifest: Manifest) -> None:
    """The rules that a type can't say."""

    def refuse(key: str, rule: str) -> ManifestError:
        return ManifestError(f"{file}: {rule} - at `$.{key}`")

    programs = Counter(p.name for p in manifest.program)
    for i, program in enumerate(manifest.program):
        key = f"program[{i}]"
        if program.name in RESERVED:
            raise refuse(f"{key}.name", f"the name {program.name!r} is reserved")
        if len(program.arguments) > MOST_ARGUMENTS:
            raise refuse(f"{key}.arguments", f"a program has at most {MOST_ARGUMENTS} arguments")
        for j, argument in enumerate(program.arguments):
            if not SHORT.fullmatch(argument) or (j == 0 and argument.startswith("prio=")):
                rule = "an argument is 1 to 63 printable ASCII characters without a space"
                raise refuse(f"{key}.arguments[{j}]", rule + (", the first not prio=" if j == 0 else ""))
    for i, extension in enumerate(manifest.extension):
        key = f"extension[{i}]"
        if extension.owner == "init":
            _check_bindings(key, extension, refuse)
            continue
        if programs[extension.owner] != 1:
            raise refuse(f"{key}.owner", f"the owner is `init` or one program: {extension.owner!r} is not")
        for name in ("mode", "priority", "budget", "bind", "ports"):
            if getattr(extension, name) not in (None, []):
                rule = f"what belongs to {extension.owner!r} is set by that program, not by the manifest"
                raise refuse(f"{key}.{name}", rule)
    if not manifest.program and not any(e.owner == "init" for e in manifest.extension):
        raise refuse("program", "a manifest starts a program or has an extension for init")


def _check_bindings(key: str, extension: ExtensionEntry, refuse: Callable[[str, str], ManifestError]) -> None:
    for j, binding in enumerate(extension.bind):
        if (binding.source == "timer") != (binding.period is not None):
            rule = "a timer has a period, in ticks of 10 ms, and nothing else has one"
            raise refuse(f"{key}.bind[{j}].period", rule)
    for source, count in Counter(b.source for b in extension.bind).items():
        if count > 1:
            raise refuse(f"{key}.bind", f"a source is bound once: {source!r} is not")
    for j, ports in enumerate(extension.ports):
        if ports.first + ports.count > 0x400:
            raise refuse(f"{key}.ports[{j}]", "ports lie below 0x400")
