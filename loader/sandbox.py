"""Link extensions into the one sandbox image that every address space of the guest maps.

    0x40000000  public area, 4 MB, user read and execute, never writable
                struct uls_header | runtime stubs | extension 1: .text .rodata | extension 2: ...
    0x40400000  protected area, 4 MB, user access only while the kernel holds it open
                extension 1: .data .bss | extension 2: ... | (the kernel's part: stacks, mapped data)

All extensions share both areas, so they are linked together and at fixed addresses: an extension must find
its code and data at the same place in whatever address space it is called. Pages can keep code apart from
writable data (W^X: the public area is never writable, nothing executable goes to the protected one), but they
cannot keep extensions apart; that rests on trust in the compiler, so the linker is strict about its input.

    python -m loader.sandbox OUT.elf --runtime runtime.o null=null.o counter=counter.o,stack=8192
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loader.sandbox_elf import LinkedSymbol, Segment, write_executable
from loader.sandbox_layout import (
    PAGE,
    PUBLIC_BASE,
    RUNTIME,
    Unit,
    align,
    check_symbols,
    collect_exports,
    find_export,
    layout,
    linked_symbols,
    relocate,
    segment,
)
from loader.sandbox_object import SandboxError, parse_object

__all__ = ["Extension", "LinkedExtension", "SandboxError", "SandboxImage", "link_sandbox", "main"]

MAGIC = 0x58534C55  # "ULSX"
VERSION = 1
HEADER = struct.Struct("<5I")
ENTRY = struct.Struct("<24s4I")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,22}")
RETURN_STUBS = ("uls_return_sysenter", "uls_return_int80")
MAX_EXTENSIONS = 16
DEFAULT_STACK, MAX_STACK = 0x4000, 0x100000
"""What the kernel gives for stack_size 0, and our limit (both rounded up to pages by the kernel)."""


@dataclass(frozen=True)
class Extension:
    """One extension as it comes from the compiler: `object` is one ET_REL file (`zig cc -c` or `-r`)."""

    name: str
    object: bytes
    stack_size: int = 0
    flags: int = 0
    handler: str = "handler"
    init: str = "init"
    """Called once at start-up, if the object defines it."""
    file: str = ""
    """For messages; the name if empty."""


@dataclass(frozen=True)
class LinkedExtension:
    """One entry of the header: what the kernel knows of an extension."""

    name: str
    entry: int
    stack_size: int
    init: int
    flags: int


@dataclass(frozen=True)
class SandboxImage:
    """The result: the ELF file, and what is in it."""

    elf: bytes
    extensions: tuple[LinkedExtension, ...]
    segments: tuple[Segment, ...]
    symbols: dict[str, int]


def link_sandbox(extensions: Sequence[Extension], runtime: bytes | None = None) -> SandboxImage:
    """Link `extensions` and the runtime object (return stubs); SandboxError if a rule is broken."""
    _check_extensions(extensions)
    units = [Unit(e.name, parse_object(e.file or e.name, e.object)) for e in extensions]
    if runtime is not None:
        units.insert(0, Unit(RUNTIME, parse_object("runtime", runtime)))
    for unit in units:
        check_symbols(unit.object)
    header_size = HEADER.size + ENTRY.size * len(extensions)
    layout(units, header_size, sum(align(e.stack_size or DEFAULT_STACK, PAGE) for e in extensions))
    exports = collect_exports(units)
    contents = {(u.name, i): relocate(u, s, exports) for u in units for i, s in u.object.sections.items()}
    stubs = [find_export(name, exports, "runtime") for name in RETURN_STUBS]
    linked = tuple(_entry(e, u) for e, u in zip(extensions, units[-len(extensions) :], strict=True))
    header = HEADER.pack(MAGIC, VERSION, len(linked), *stubs)
    for x in linked:
        header += ENTRY.pack(x.name.encode(), x.entry, x.stack_size, x.init, x.flags)
    segments = [Segment(".uls_header", PUBLIC_BASE, header, len(header), False, False)]
    for writable in (False, True):
        segments += [s for u in units if (s := segment(u, writable, contents)) is not None]
    symbols = [LinkedSymbol("uls_header", PUBLIC_BASE, len(header), "STT_OBJECT", True)]
    symbols += [s for u in units for s in linked_symbols(u)]
    elf = write_executable(0, segments, symbols)
    return SandboxImage(elf, linked, tuple(segments), {s.name: s.address for s in symbols})


def _check_extensions(extensions: Sequence[Extension]) -> None:
    if not extensions:
        raise SandboxError("sandbox", "no extensions to link")
    if len(extensions) > MAX_EXTENSIONS:
        raise SandboxError("sandbox", f"{len(extensions)} extensions; the kernel takes {MAX_EXTENSIONS}")
    seen = {RUNTIME}
    for e in extensions:
        file = e.file or e.name
        if not NAME.fullmatch(e.name):
            raise SandboxError(file, f"bad extension name {e.name!r} (1 to 23 of A-Z a-z 0-9 _ . -)")
        if e.name in seen:
            raise SandboxError(file, f"extension name {e.name!r} is taken")
        seen.add(e.name)
        if not 0 <= e.stack_size <= MAX_STACK:
            raise SandboxError(file, f"bad stack size {e.stack_size} (0, the default, to {MAX_STACK})")
        if not 0 <= e.flags <= 0xFFFFFFFF:
            raise SandboxError(file, f"flags {e.flags} do not fit into 32 bits")


def _entry(extension: Extension, unit: Unit) -> LinkedExtension:
    def code(name: str, required: bool) -> int:
        symbol = next((s for s in unit.object.globals() if s.name == name), None)
        if symbol is None:
            if required:
                raise SandboxError(
                    unit.object.file, f"undefined symbol {name!r}: the handler of the extension"
                )
            return 0
        section = unit.object.sections.get(symbol.section) if symbol.section is not None else None
        if section is None or not section.executable or symbol.value >= section.size:
            raise SandboxError(unit.object.file, f"symbol {name!r} is not code of this extension")
        return section.address + symbol.value

    entry, init = code(extension.handler, True), code(extension.init, False)
    return LinkedExtension(extension.name, entry, extension.stack_size, init, extension.flags)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: OUT.elf [--runtime FILE] name=file.o[,stack=N][,flags=N][,handler=SYMBOL] ..."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    runtime: bytes | None = None
    try:
        if "--runtime" in words:
            at = words.index("--runtime")
            runtime = Path(words[at + 1]).read_bytes()
            del words[at : at + 2]
        out, *specs = words
        image = link_sandbox([_parse_spec(s) for s in specs], runtime)
        Path(out).write_bytes(image.elf)
    except (SandboxError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except (ValueError, IndexError):
        print(main.__doc__, file=sys.stderr)
        return 2
    return 0


def _parse_spec(spec: str) -> Extension:
    name, _, rest = spec.partition("=")
    file, *options = rest.split(",")
    values = dict(o.split("=", 1) for o in options)
    if not file or set(values) - {"stack", "flags", "handler"}:
        raise ValueError(spec)
    stack, flags = int(values.get("stack", "0"), 0), int(values.get("flags", "0"), 0)
    data = Path(file).read_bytes()
    return Extension(name, data, stack, flags, values.get("handler", "handler"), file=file)


if __name__ == "__main__":
    sys.exit(main())
