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
from loader.sandbox_object import Object, SandboxError, Section, Symbol, parse_object

__all__ = ["Extension", "LinkedExtension", "SandboxError", "SandboxImage", "link_sandbox", "main"]

PUBLIC_BASE = 0x40000000
PROTECTED_BASE = 0x40400000
AREA_SIZE = 0x400000
PAGE = 4096

MAGIC = 0x58534C55  # "ULSX"
VERSION = 1
HEADER = struct.Struct("<5I")
ENTRY = struct.Struct("<24s4I")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,22}")
RETURN_STUBS = ("uls_return_sysenter", "uls_return_int80")
MAX_EXTENSIONS = 16
DEFAULT_STACK, MAX_STACK = 0x4000, 0x100000
"""What the kernel gives for stack_size 0, and our limit (both rounded up to pages by the kernel)."""

R_386_NONE, R_386_32, R_386_PC32, R_386_PLT32 = 0, 1, 2, 4
REFUSED = {
    **{3: "R_386_GOT32", 5: "R_386_COPY", 6: "R_386_GLOB_DAT", 7: "R_386_JMP_SLOT", 8: "R_386_RELATIVE"},
    **{9: "R_386_GOTOFF", 10: "R_386_GOTPC", 11: "R_386_32PLT", 20: "R_386_16", 21: "R_386_PC16"},
    **{22: "R_386_8", 23: "R_386_PC8", 42: "R_386_IRELATIVE", 43: "R_386_GOT32X"},
}


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


@dataclass
class _Unit:
    """One linked object: an extension, or the runtime."""

    name: str
    object: Object


Exports = dict[str, list[tuple[_Unit, Symbol]]]


def link_sandbox(extensions: Sequence[Extension], runtime: bytes | None = None) -> SandboxImage:
    """Link `extensions` and the runtime object (return stubs); SandboxError if a rule is broken."""
    _check_extensions(extensions)
    units = [_Unit(e.name, parse_object(e.file or e.name, e.object)) for e in extensions]
    if runtime is not None:
        units.insert(0, _Unit("uls", parse_object("runtime", runtime)))
    for unit in units:
        _check_symbols(unit.object)
    header_size = HEADER.size + ENTRY.size * len(extensions)
    _layout(units, header_size, sum(_align(e.stack_size or DEFAULT_STACK, PAGE) for e in extensions))
    exports = _exports(units)
    contents = {(u.name, i): _relocate(u, s, exports) for u in units for i, s in u.object.sections.items()}
    stubs = [_find_export(name, exports, "runtime") for name in RETURN_STUBS]
    linked = tuple(_entry(e, u) for e, u in zip(extensions, units[-len(extensions) :], strict=True))
    header = HEADER.pack(MAGIC, VERSION, len(linked), *stubs)
    for x in linked:
        header += ENTRY.pack(x.name.encode(), x.entry, x.stack_size, x.init, x.flags)
    segments = [Segment(".uls_header", PUBLIC_BASE, header, len(header), False, False)]
    for writable in (False, True):
        segments += [s for u in units if (s := _segment(u, writable, contents)) is not None]
    symbols = [LinkedSymbol("uls_header", PUBLIC_BASE, len(header), "STT_OBJECT", True)]
    symbols += [s for u in units for s in _linked_symbols(u)]
    elf = write_executable(0, segments, symbols)
    return SandboxImage(elf, linked, tuple(segments), {s.name: s.address for s in symbols})


def _check_extensions(extensions: Sequence[Extension]) -> None:
    if not extensions:
        raise SandboxError("sandbox", "no extensions to link")
    if len(extensions) > MAX_EXTENSIONS:
        raise SandboxError(
            "sandbox", f"{len(extensions)} extensions, the kernel has room for {MAX_EXTENSIONS}"
        )
    seen = {"uls"}  # the runtime's own prefix
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


def _check_symbols(obj: Object) -> None:
    seen: set[str] = set()
    for symbol in obj.symbols:
        section = obj.sections.get(symbol.section) if symbol.section is not None else None
        if section is not None and symbol.value > section.size:
            raise SandboxError(obj.file, f"symbol {symbol.name!r} lies outside section {section.name!r}")
        if not (symbol.is_global and symbol.defined):
            continue
        if symbol.name in seen:
            raise SandboxError(obj.file, f"duplicate symbol {symbol.name!r}")
        seen.add(symbol.name)


def _layout(units: Sequence[_Unit], header_size: int, stacks: int) -> None:
    """Give every section its address. Each unit starts on a page of its own: a change moves few others."""
    public, protected = PUBLIC_BASE + header_size, PROTECTED_BASE
    for unit in units:
        sections = sorted(
            unit.object.sections.values(), key=lambda s: (not s.executable, s.data is None, s.index)
        )
        if unit is not units[0] or unit.name != "uls":
            public = _align(public, PAGE)
        public = _place([s for s in sections if not s.writable], public)
        protected = _place([s for s in sections if s.writable], _align(protected, PAGE))
        if public > PUBLIC_BASE + AREA_SIZE:
            raise SandboxError(unit.object.file, "public area overflow: code and read-only data exceed 4 MB")
        if protected > PROTECTED_BASE + AREA_SIZE:
            raise SandboxError(unit.object.file, "protected area overflow: data exceed 4 MB")
    if _align(protected, PAGE) + stacks > PROTECTED_BASE + AREA_SIZE:
        raise SandboxError("sandbox", "protected area overflow: no room left for the stacks")


def _align(value: int, boundary: int) -> int:
    return -(-value // boundary) * boundary


def _place(sections: Sequence[Section], address: int) -> int:
    for section in sections:
        section.address = _align(address, section.align)
        address = section.address + section.size
    return address


def _address(unit: _Unit, symbol: Symbol) -> int:
    if symbol.section is None:
        return symbol.value
    section = unit.object.sections.get(symbol.section)
    if section is None:
        raise SandboxError(unit.object.file, f"symbol {symbol.name!r} lies in a section that is not loaded")
    return section.address + symbol.value


def _exports(units: Sequence[_Unit]) -> Exports:
    found: Exports = {}
    for unit in units:
        for symbol in unit.object.globals():
            if symbol.exported:
                found.setdefault(symbol.name, []).append((unit, symbol))
    return found


def _find_export(name: str, exports: Exports, file: str) -> int:
    """Return the address of a symbol outside the asking object: the runtime first, then any one extension."""
    found = exports.get(name)
    if not found:
        raise SandboxError(file, f"undefined symbol {name!r}")
    if len(found) > 1 and found[0][0].name != "uls":
        owners = ", ".join(u.name for u, _ in found)
        raise SandboxError(file, f"ambiguous symbol {name!r}: defined by {owners}")
    return _address(*found[0])


def _resolve(unit: _Unit, symbol: Symbol, exports: Exports) -> int:
    if symbol.defined:
        return _address(unit, symbol)
    if symbol.is_weak and symbol.name not in exports:
        return 0
    return _find_export(symbol.name, exports, unit.object.file)


def _relocate(unit: _Unit, section: Section, exports: Exports) -> bytes:
    """Return the section's final contents (empty for .bss)."""
    file = unit.object.file
    out = bytearray(section.data or b"")
    for r in section.relocations:
        where = f"at {section.name}+{r.offset:#x}"
        if r.kind == R_386_NONE:
            continue
        if r.kind not in (R_386_32, R_386_PC32, R_386_PLT32):
            kind = REFUSED.get(r.kind, f"number {r.kind}")
            raise SandboxError(file, f"unsupported relocation type {kind} {where}")
        if r.offset + 4 > len(out):
            raise SandboxError(file, f"relocation {where} lies outside the section's contents")
        (addend,) = struct.unpack_from("<I", out, r.offset)
        value = _resolve(unit, unit.object.symbols[r.symbol], exports) + addend
        if r.kind != R_386_32:  # a direct call never needs a PLT here: everything is linked statically
            value -= section.address + r.offset
        struct.pack_into("<I", out, r.offset, value & 0xFFFFFFFF)
    return bytes(out)


def _entry(extension: Extension, unit: _Unit) -> LinkedExtension:
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


def _segment(unit: _Unit, writable: bool, contents: dict[tuple[str, int], bytes]) -> Segment | None:
    sections = [s for s in unit.object.sections.values() if s.writable == writable and s.size]
    if not sections:
        return None
    start = min(s.address for s in sections)
    end = max(s.address + s.size for s in sections)
    data = bytearray()
    for s in sorted((s for s in sections if s.data is not None), key=lambda s: s.address):
        data += bytes(s.address - start - len(data)) + contents[unit.name, s.index]
    return Segment(
        f"{'.data' if writable else '.text'}.{unit.name}",
        start,
        bytes(data),
        end - start,
        writable,
        not writable,
    )


def _linked_symbols(unit: _Unit) -> list[LinkedSymbol]:
    """Return the symbols for the image, prefixed by their extension: every extension has a `handler`."""
    prefix = "" if unit.name == "uls" else f"{unit.name}:"
    return [
        LinkedSymbol(prefix + s.name, _address(unit, s), s.size, s.kind, s.is_global)
        for s in unit.object.symbols
        if s.name and s.kind in ("STT_NOTYPE", "STT_OBJECT", "STT_FUNC") and s.section in unit.object.sections
    ]


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
