"""The way in: read a file, find out its format, make the image.

::

    auto:  "HdrS" at 0x202 -------------------------------> bzimage
           else multiboot header in the first 8192 bytes -> multiboot
           else multiboot 2 header in the first 32768 ----> multiboot2
           else 7f 45 4c 46 at offset 0 ------------------> elf
           else 55 aa at offset 510 ----------------------> flat, a boot sector
           else ------------------------------------------> refused, with advice

The first three as QEMU does; a kernel with headers of both versions of multiboot is started by the
first. A format that is named is taken at its word: "linux" is vmlinux, or a bzImage as well.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from loader.bzimage import is_bzimage, load_bzimage, load_vmlinux
from loader.elf import is_elf, parse_elf, physical_entry, place_elf, protected_entry
from loader.flat import is_boot_sector, load_flat
from loader.image import Contents, Format, Image, ImageError, Initrd, Module, Rule, digest, one_line
from loader.multiboot import bad_checksum, find_header, load_multiboot
from loader.multiboot2 import bad_checksum2, find_header2, load_multiboot2
from loader.symbols import symbols_of

FILE_LIMIT: Final = 1 << 30
KINDS: Final[dict[Format, str]] = {
    "elf": "an ELF file without multiboot header",
    "multiboot": "a multiboot kernel",
    "multiboot2": "a multiboot 2 kernel",
    "bzimage": "a Linux bzImage",
    "linux": "a Linux kernel",
    "flat": "a flat file",
}
TAKE_MODULES: Final = ("multiboot", "multiboot2")
TAKE_INITRD: Final = ("bzimage", "linux")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for beside the file."""

    memory_bytes: int
    append: str
    modules: Sequence[Module]
    initrd: Initrd | None
    address: int | None
    rsdp: bytes


def load_image(
    path_or_bytes: str | os.PathLike[str] | bytes,
    *,
    name: str | None = None,
    memory_bytes: int,
    append: str = "",
    modules: Sequence[Module] = (),
    initrd: str | os.PathLike[str] | bytes | None = None,
    format: Literal["auto"] | Format = "auto",
    address: int | None = None,
    rsdp: bytes = b"",
) -> Image:
    """Make an image of a kernel and what goes with it, or raise an `ImageError`.

    `rsdp`: the machine's ACPI root pointer, for a multiboot 2 kernel. Belonging to the machine, it is
    not part of the hash.
    """
    name, data = _read(path_or_bytes, name)
    disk = None if initrd is None else Initrd(*_read(initrd, None))
    chosen = _detect(data, name) if format == "auto" else format
    if chosen not in KINDS:
        raise ImageError(name, Rule.UNKNOWN_FORMAT, f"no format is called {chosen!r}")
    request = Request(memory_bytes, append, modules, disk, address, rsdp)
    _check_request(name, format, chosen, request)
    contents = _load(chosen, data, name, request)
    return Image(
        name=name,
        sha256=digest(data, modules, append, disk),
        format=contents.format,
        segments=contents.segments,
        entry=contents.entry,
        symbols=contents.symbols,
        memory_needed=max(contents.memory_needed, *(segment.end for segment in contents.segments)),
        notes=tuple(one_line(note) for note in contents.notes),
        facts=tuple((what, one_line(value)) for what, value in contents.facts),
    )


def load_module(path: str | os.PathLike[str], string: str | None = None) -> Module:
    """Read a module; its string is the file's name unless another one is given."""
    name = Path(path).name
    return Module(name if string is None else string, read_file(path, name))


def read_file(path: str | os.PathLike[str], name: str) -> bytes:
    """The bytes of a regular file that is not absurdly large."""
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(name, Rule.UNREADABLE, "not a regular file")
        if status.st_size > FILE_LIMIT:
            raise ImageError(name, Rule.FILE_LIMIT, f"{status.st_size} bytes are too many")
        return Path(path).read_bytes()
    except OSError as error:
        raise ImageError(name, Rule.UNREADABLE, error.strerror or str(error)) from error
    except ValueError as error:  # a NUL in the path
        raise ImageError(name, Rule.UNREADABLE, str(error)) from error


def _read(path_or_bytes: str | os.PathLike[str] | bytes, name: str | None) -> tuple[str, bytes]:
    if isinstance(path_or_bytes, bytes):
        return "<bytes>" if name is None else name, path_or_bytes
    name = Path(path_or_bytes).name if name is None else name
    return name, read_file(path_or_bytes, name)


def _detect(data: bytes, name: str) -> Format:
    if not data:
        raise ImageError(name, Rule.EMPTY, "the file is empty")
    if is_bzimage(data):
        return "bzimage"
    if find_header(data) is not None:
        return "multiboot"
    if find_header2(data) is not None:
        return "multiboot2"
    if is_elf(data):
        return "elf"
    if is_boot_sector(data):
        return "flat"
    damage = bad_checksum(data) or bad_checksum2(data)
    begins = f"it begins with {data[:4].hex(' ')}" + (f"; {damage}" if damage else "")
    what = (
        f"not an ELF file, not a multiboot kernel, not a Linux bzImage, not a boot sector: {begins}; "
        "for raw code say --format flat --address ADDRESS"
    )
    raise ImageError(name, Rule.UNKNOWN_FORMAT, what)


def _check_request(name: str, asked: str, chosen: Format, request: Request) -> None:
    kind, modules, append = KINDS[chosen], request.modules, request.append
    if request.address is not None and asked != "flat":
        raise ImageError(name, Rule.REQUEST, "an address is only for --format flat")
    if modules and chosen not in TAKE_MODULES:
        what = f"{kind} takes no modules, but {len(modules)} were given, first {modules[0].name}"
        raise ImageError(name, Rule.REQUEST, what)
    if request.initrd is not None and chosen not in TAKE_INITRD:
        advice = "; say --module" if chosen in TAKE_MODULES else ""
        what = f"{kind} takes no initrd, but one was given: {request.initrd.name}{advice}"
        raise ImageError(name, Rule.REQUEST, what)
    if append and chosen not in (*TAKE_MODULES, *TAKE_INITRD):
        raise ImageError(name, Rule.REQUEST, f"{kind} takes no command line, but one was given: {append}")


def _load(chosen: Format, data: bytes, name: str, request: Request) -> Contents:
    memory, append, modules = request.memory_bytes, request.append, request.modules
    if chosen == "multiboot":
        return load_multiboot(data, name, memory, append, modules)
    if chosen == "multiboot2":
        return load_multiboot2(data, name, memory, append, modules, request.rsdp)
    if chosen == "linux" and is_elf(data):
        return load_vmlinux(data, name, memory, append, request.initrd)
    if chosen in TAKE_INITRD:
        return load_bzimage(data, name, memory, append, request.initrd)
    if chosen == "flat":
        return load_flat(data, name, memory, request.address)
    return _load_elf(data, name, memory)


def _load_elf(data: bytes, name: str, memory_bytes: int) -> Contents:
    elf = parse_elf(data, name)
    segments = place_elf(elf, memory_bytes)
    eip, converted = physical_entry(elf)
    symbols, damage = symbols_of(elf)
    checksum = ""
    if find_header(data) is None and find_header2(data) is None:
        checksum = bad_checksum(data) or bad_checksum2(data)
    notes = (f"loaded as plain ELF: {checksum}",) if checksum else ()
    return Contents("elf", segments, protected_entry(eip), symbols, notes + converted + damage)
