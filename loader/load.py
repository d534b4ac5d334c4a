"""The way in: read a file, find out its format, make the image.

::

    auto:  multiboot header in the first 8192 bytes ---> multiboot
           else 7f 45 4c 46 at offset 0 ---------------> elf
           else "HdrS" at 0x202 -----------------------> refused: a Linux bzImage
           else 55 aa at offset 510 -------------------> flat, a boot sector
           else ---------------------------------------> refused, with advice
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from loader.elf import is_elf, parse_elf, physical_entry, place_elf, protected_entry
from loader.flat import is_boot_sector, load_flat
from loader.image import Contents, Format, Image, ImageError, Module, Rule, digest, one_line
from loader.multiboot import bad_checksum, find_header, load_multiboot
from loader.symbols import symbols_of

FILE_LIMIT: Final = 1 << 30
FORMATS: Final[tuple[Format, ...]] = ("elf", "multiboot", "flat")
BZIMAGE_MAGIC: Final = slice(0x202, 0x206)


def load_image(
    path_or_bytes: str | os.PathLike[str] | bytes,
    *,
    name: str | None = None,
    memory_bytes: int,
    append: str = "",
    modules: Sequence[Module] = (),
    format: Literal["auto", "elf", "multiboot", "flat"] = "auto",
    address: int | None = None,
) -> Image:
    """Make an image of a kernel and what goes with it, or raise an `ImageError`."""
    if isinstance(path_or_bytes, bytes):
        name = "<bytes>" if name is None else name
        data = path_or_bytes
    else:
        name = Path(path_or_bytes).name if name is None else name
        data = read_file(path_or_bytes, name)
    chosen = _detect(data, name) if format == "auto" else format
    if chosen not in FORMATS:
        raise ImageError(name, Rule.UNKNOWN_FORMAT, f"no format is called {chosen!r}")
    _check_request(name, format, chosen, append, modules, address)
    contents = _load(chosen, data, name, memory_bytes, append, modules, address)
    return Image(
        name=name,
        sha256=digest(data, modules, append),
        format=contents.format,
        segments=contents.segments,
        entry=contents.entry,
        symbols=contents.symbols,
        memory_needed=max(segment.end for segment in contents.segments),
        notes=tuple(one_line(note) for note in contents.notes),
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


def _detect(data: bytes, name: str) -> Format:
    if not data:
        raise ImageError(name, Rule.EMPTY, "the file is empty")
    if find_header(data) is not None:
        return "multiboot"
    if is_elf(data):
        return "elf"
    if data[BZIMAGE_MAGIC] == b"HdrS":
        raise ImageError(name, Rule.UNKNOWN_FORMAT, "a Linux bzImage, whose boot protocol is not known here")
    if is_boot_sector(data):
        return "flat"
    damage = bad_checksum(data)
    begins = f"it begins with {data[:4].hex(' ')}" + (f"; {damage}" if damage else "")
    what = (
        f"not an ELF file, not a multiboot kernel, not a boot sector: {begins}; "
        "for raw code say --format flat --address ADDRESS"
    )
    raise ImageError(name, Rule.UNKNOWN_FORMAT, what)


def _check_request(
    name: str, asked: str, chosen: Format, append: str, modules: Sequence[Module], address: int | None
) -> None:
    kind = {
        "elf": "an ELF file without multiboot header",
        "multiboot": "a multiboot kernel",
        "flat": "a flat file",
    }[chosen]
    if address is not None and asked != "flat":
        raise ImageError(name, Rule.REQUEST, "an address is only for --format flat")
    if modules and chosen != "multiboot":
        what = f"{kind} takes no modules, but {len(modules)} were given, first {modules[0].name}"
        raise ImageError(name, Rule.REQUEST, what)
    if append and chosen != "multiboot":
        raise ImageError(name, Rule.REQUEST, f"{kind} takes no command line, but one was given: {append}")


def _load(
    chosen: Format,
    data: bytes,
    name: str,
    memory_bytes: int,
    append: str,
    modules: Sequence[Module],
    address: int | None,
) -> Contents:
    if chosen == "multiboot":
        return load_multiboot(data, name, memory_bytes, append, modules)
    if chosen == "flat":
        return load_flat(data, name, memory_bytes, address)
    return _load_elf(data, name, memory_bytes)


def _load_elf(data: bytes, name: str, memory_bytes: int) -> Contents:
    elf = parse_elf(data, name)
    segments = place_elf(elf, memory_bytes)
    eip, converted = physical_entry(elf)
    symbols, damage = symbols_of(elf)
    checksum = bad_checksum(data) if find_header(data) is None else ""
    notes = (f"loaded as plain ELF: {checksum}",) if checksum else ()
    return Contents("elf", segments, protected_entry(eip), symbols, notes + converted + damage)
