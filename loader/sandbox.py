"""Link extensions into the one sandbox image that every address space of the guest maps.

    0x40000000  public area, 4 MB, user read and execute, never writable
                struct uls_header | runtime stubs | libc | extension 1: .text .rodata | extension 2: ...
    0x40400000  protected area, 4 MB, user access only while the kernel holds it open
                libc | extension 1: .data .bss | extension 2: ... | (the kernel's part: stacks, mapped data)

All extensions share both areas, so they are linked together and at fixed addresses: an extension must find
its code and data at the same place in whatever address space it is called. Pages can keep code apart from
writable data (W^X: the public area is never writable, nothing executable goes to the protected one), but they
cannot keep extensions apart; that rests on trust in the compiler, so the linker is strict about its input.

    python -m loader.sandbox OUT.elf --runtime runtime.o --libc libc_sandbox.o null=null.o a=a.o,stack=8192
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loader.authorisation import NOBODY, Authorisation, Kind
from loader.sandbox_constructors import add_constructors, check_constructors
from loader.sandbox_elf import LinkedSymbol, Segment, write_executable
from loader.sandbox_layout import (
    LIBC,
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
from loader.sandbox_object import SandboxError, Symbol, parse_object
from loader.sandbox_seal import EXTENSION, IMAGE, SEAL_SIZE, Sealer, derived_sealer, segments_message

__all__ = ["Extension", "LinkedExtension", "SandboxError", "SandboxImage", "link_sandbox", "main"]

MAGIC = 0x58534C55  # "ULSX"
VERSION = 2
HEADER = struct.Struct("<5I")  # struct uls_header up to the seal
ENTRY = struct.Struct("<24s10I")  # struct uls_entry up to the seal
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,22}")
RETURN_STUBS = ("uls_return_sysenter", "uls_return_int80")
MAX_EXTENSIONS = 24
DEFAULT_STACK, MAX_STACK = 0x4000, 0x100000
"""What the kernel gives for stack_size 0, and our limit (both rounded up to pages by the kernel)."""


@dataclass(frozen=True)
class Extension:
    """One extension as it comes from the compiler.

    `object` is one relocatable file (`zig cc -c` or `-r`), a static executable with its relocations
    (`--emit-relocs`), or a static position-independent executable.
    """

    name: str
    object: bytes
    stack_size: int = 0
    flags: int = 0
    handler: str = "handler"
    """An executable without this symbol is entered at its entry point."""
    init: str = "init"
    """Called at each registration, after the constructors, if the object defines it."""
    file: str = ""
    """For messages; the name if empty."""
    authorisation: Authorisation = NOBODY
    """Who answers for it: what `loader.authorisation.authorise` said."""


@dataclass(frozen=True)
class LinkedExtension:
    """One entry of the header: what the kernel knows of an extension."""

    name: str
    entry: int
    stack_size: int
    init: int
    flags: int
    segments: tuple[Segment, ...] = ()
    needs: tuple[str, ...] = ()
    authorisation: Authorisation = NOBODY


@dataclass(frozen=True)
class SandboxImage:
    """The result: the ELF file, and what is in it."""

    elf: bytes
    extensions: tuple[LinkedExtension, ...]
    segments: tuple[Segment, ...]
    symbols: dict[str, int]
    key: bytes | None = None
    """The public key of the seals, if there are any."""

    @property
    def options(self) -> str:
        """What the kernel's command line must say for the extensions to be loaded as they are authorised."""
        trusted = [x.name for x in self.extensions if x.authorisation.kind is Kind.TRUSTED]
        words = [f"uls_key={self.key.hex()}"] if self.key is not None else []
        return " ".join(words + ([f"uls_trust={','.join(trusted)}"] if trusted else []))


def link_sandbox(
    extensions: Sequence[Extension],
    runtime: bytes | None = None,
    libc: bytes | None = None,
    sealer: Sealer | None = None,
) -> SandboxImage:
    """Link `extensions`, the runtime object (return stubs) and the libc; SandboxError if a rule is broken.

    Signed extensions are sealed, and so is the rest of the image: by `sealer`, or else by a key that is
    derived from the image.
    """
    _check_extensions(extensions)
    own = [Unit(e.name, parse_object(e.file or e.name, e.object)) for e in extensions]
    veneers = [add_constructors(u.object, e.init) for u, e in zip(own, extensions, strict=True)]
    units = [*_base(runtime, libc), *own]
    for unit in units:
        check_symbols(unit.object)
    header_size = HEADER.size + SEAL_SIZE + (ENTRY.size + SEAL_SIZE) * len(extensions)
    layout(units, header_size, sum(align(e.stack_size or DEFAULT_STACK, PAGE) for e in extensions))
    exports = collect_exports(units)
    contents = {(u.name, i): relocate(u, s, exports) for u in units for i, s in u.object.sections.items()}
    check_constructors(units, contents)
    stubs = [find_export(name, exports, "runtime") for name in RETURN_STUBS]
    parts = {u.name: [s for w in (False, True) if (s := segment(u, w, contents)) is not None] for u in units}
    linked = tuple(_linked(e, u, v, parts[u.name]) for e, u, v in zip(extensions, own, veneers, strict=True))
    base = [s for u in units if u.name in (RUNTIME, LIBC) for s in parts[u.name]]
    header, key = _header(HEADER.pack(MAGIC, VERSION, len(linked), *stubs), linked, base, sealer)
    segments = [Segment(".uls_header", PUBLIC_BASE, header, len(header), False, False)]
    for writable in (False, True):
        segments += [s for u in units for s in parts[u.name] if s.writable == writable]
    symbols = [LinkedSymbol("uls_header", PUBLIC_BASE, len(header), "STT_OBJECT", True)]
    symbols += [s for u in units for s in linked_symbols(u)]
    elf = write_executable(0, segments, symbols)
    return SandboxImage(elf, linked, tuple(segments), {s.name: s.address for s in symbols}, key)


def _base(runtime: bytes | None, libc: bytes | None) -> list[Unit]:
    given = ((RUNTIME, "runtime", runtime), (LIBC, LIBC, libc))
    units = [Unit(name, parse_object(file, data)) for name, file, data in given if data is not None]
    for unit in units:
        if unit.object.constructors:
            raise SandboxError(unit.object.file, "it has constructors, and nobody registers it")
    return units


def _header(
    head: bytes, linked: Sequence[LinkedExtension], base: Sequence[Segment], sealer: Sealer | None
) -> tuple[bytes, bytes | None]:
    """Return struct uls_header with its entries, sealed if one is signed, and the seals' public key."""
    entries = [_entry_record(x, linked) for x in linked]
    messages = [EXTENSION + e + segments_message(x.segments) for e, x in zip(entries, linked, strict=True)]
    signed = [x.authorisation.kind is Kind.SIGNED for x in linked]
    if not any(signed) and sealer is None:
        return head + bytes(SEAL_SIZE) + b"".join(e + bytes(SEAL_SIZE) for e in entries), None
    by = sealer or derived_sealer([head, segments_message(base), *messages])
    seals = [by.seal(m) if s else bytes(SEAL_SIZE) for m, s in zip(messages, signed, strict=True)]
    table = b"".join(e + s for e, s in zip(entries, seals, strict=True))
    return head + by.seal(IMAGE + head + table + segments_message(base)) + table, by.public


def _entry_record(x: LinkedExtension, linked: Sequence[LinkedExtension]) -> bytes:
    areas = []
    for writable in (False, True):
        found = [s for s in x.segments if s.writable == writable]
        areas += [found[0].address, found[0].size] if found else [0, 0]
    needs = sum(1 << i for i, other in enumerate(linked) if other.name in x.needs)
    kind = int(x.authorisation.kind)
    return ENTRY.pack(x.name.encode(), x.entry, x.stack_size, x.init, x.flags, *areas, needs, kind)


def _check_extensions(extensions: Sequence[Extension]) -> None:
    if not extensions:
        raise SandboxError("sandbox", "no extensions to link")
    if len(extensions) > MAX_EXTENSIONS:
        raise SandboxError("sandbox", f"{len(extensions)} extensions; the kernel takes {MAX_EXTENSIONS}")
    seen = {RUNTIME, LIBC}
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


def _linked(
    extension: Extension, unit: Unit, veneer: Symbol | None, segments: Sequence[Segment]
) -> LinkedExtension:
    entry = _code(unit, extension.handler)
    if entry is None and unit.object.entry is not None:
        entry = _place(unit, unit.object.symbols[unit.object.entry])
    if entry is None:
        rule = f"undefined symbol {extension.handler!r}: the handler of the extension"
        raise SandboxError(unit.object.file, rule)
    init = _code(unit, extension.init) if veneer is None else _place(unit, veneer)
    return LinkedExtension(
        name=extension.name,
        entry=entry,
        stack_size=extension.stack_size,
        init=init or 0,
        flags=extension.flags,
        segments=tuple(segments),
        needs=tuple(sorted(unit.needs)),
        authorisation=extension.authorisation,
    )


def _code(unit: Unit, name: str) -> int | None:
    symbol = next((s for s in unit.object.globals() if s.name == name), None)
    return None if symbol is None else _place(unit, symbol)


def _place(unit: Unit, symbol: Symbol) -> int:
    section = unit.object.sections.get(symbol.section) if symbol.section is not None else None
    if section is None or not section.executable or symbol.value >= section.size:
        raise SandboxError(unit.object.file, f"symbol {symbol.name!r} is not code of this extension")
    return section.address + symbol.value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    OUT.elf [--runtime FILE] [--libc FILE] name=file.o[,stack=N][,flags=N][,handler=SYMBOL] ...
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        runtime, libc = _take(words, "--runtime"), _take(words, "--libc")
        out, *specs = words
        image = link_sandbox([_parse_spec(s) for s in specs], runtime, libc)
        Path(out).write_bytes(image.elf)
    except (SandboxError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except (ValueError, IndexError):
        print(main.__doc__, file=sys.stderr)
        return 2
    return 0


def _take(words: list[str], option: str) -> bytes | None:
    if option not in words:
        return None
    at = words.index(option)
    data = Path(words[at + 1]).read_bytes()
    del words[at : at + 2]
    return data


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
