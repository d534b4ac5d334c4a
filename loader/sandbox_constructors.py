"""Constructors of an extension: a table of functions and the veneer that has them called before `init`.

    struct uls_entry.init -> veneer   movl $table, %eax
                                      jmp  uls_init              (in the runtime: calls each, returns)
                             table    constructor | constructor ... | init, if there is one | 0

Both stand in the public area, so that nobody can change them. The kernel knows nothing of it: the veneer is
the extension's `init` and runs as an upcall each time the extension is registered.
"""

from __future__ import annotations

import struct

from loader.sandbox_layout import Unit
from loader.sandbox_object import R_386_32, R_386_PC32, Object, Relocation, SandboxError, Section, Symbol

RUN = "uls_init"
VENEER = "init_with_constructors"
NOT_CONSTRUCTORS = (0, 0xFFFFFFFF)
"""What crtbegin.o and crtend.o put at the ends of .ctors."""


def add_constructors(obj: Object, init: str) -> Symbol | None:
    """Add table and veneer to `obj` if it has constructors; return the veneer's symbol."""
    words, relocations = bytearray(), []
    for index, at in obj.constructors:
        section = obj.sections[index]
        word = (section.data or b"")[at : at + 4]
        here = [r for r in section.relocations if at - 4 < r.offset < at + 4]
        if not here and struct.unpack("<I", word)[0] in NOT_CONSTRUCTORS:
            continue
        if len(here) != 1 or here[0].offset != at or here[0].kind != R_386_32:
            rule = f"constructor at {section.name}+{at:#x} is not the address of a function"
            raise SandboxError(obj.file, rule)
        relocations.append(Relocation(len(words), R_386_32, here[0].symbol))
        words += word
    if not relocations:
        return None
    own = next((i for i, s in enumerate(obj.symbols) if s.name == init and s.is_global and s.defined), None)
    if own is not None:
        relocations.append(Relocation(len(words), R_386_32, own))
        words += bytes(4)
    table = max(obj.sections) + 1
    obj.sections[table] = Section(
        table,
        ".uls_constructors",
        False,
        False,
        len(words) + 4,
        4,
        bytes(words) + bytes(4),
        relocations,
        added=True,
    )
    first = len(obj.symbols)
    calls = [Relocation(1, R_386_32, first), Relocation(6, R_386_PC32, first + 1)]
    code = b"\xb8\0\0\0\0\xe9" + struct.pack("<i", -4)
    obj.sections[table + 1] = Section(
        table + 1, ".uls_init", False, True, len(code), 16, code, calls, added=True
    )
    veneer = Symbol(VENEER, 0, len(code), "STT_FUNC", False, False, False, True, table + 1)
    obj.symbols += [
        Symbol("uls_constructors", 0, len(words) + 4, "STT_OBJECT", False, False, False, True, table),
        Symbol(RUN, 0, 0, "STT_NOTYPE", True, False, False, False, None),
        veneer,
    ]
    return veneer


def check_constructors(units: list[Unit], contents: dict[tuple[str, int], bytes]) -> None:
    """Refuse a table, now relocated, that names anything but code."""
    code = [
        (s.address, s.address + s.size) for u in units for s in u.object.sections.values() if s.executable
    ]
    for unit in units:
        for section in unit.object.sections.values():
            if not section.added or section.executable:
                continue
            for number, (word,) in enumerate(
                struct.iter_unpack("<I", contents[unit.name, section.index][:-4])
            ):
                if not any(start <= word < end for start, end in code):
                    rule = f"constructor {number + 1} of {unit.name!r} is not code ({word:#x})"
                    raise SandboxError(unit.object.file, rule)
