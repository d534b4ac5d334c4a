"""The plain image: what every loader makes of its files, and the one error they all raise.

An image says which bytes lie where in physical memory and in what state the processor starts.
It knows nothing of the machine that will run it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NewType

PhysicalAddress = NewType("PhysicalAddress", int)
LinearAddress = NewType("LinearAddress", int)

Format = Literal["elf", "multiboot", "multiboot2", "bzimage", "linux", "flat"]
SymbolKind = Literal["function", "object", "label", "absolute"]


class Rule(StrEnum):
    """The rules that a file or a request can break; an `ImageError` names exactly one."""

    UNREADABLE = "the file can be read"
    FILE_LIMIT = "a file is at most 1 GiB"
    EMPTY = "a file has contents"
    UNKNOWN_FORMAT = "the format is one that is known"
    REQUEST = "options fit the format"
    STRING = "strings hold no NUL and can be encoded"

    NOT_ELF = "an ELF file begins with 7f 45 4c 46"
    ELF_CLASS = "the ELF class is 32-bit"
    ELF_BYTE_ORDER = "the byte order is little endian"
    ELF_MACHINE = "the ELF machine is Intel 80386"
    ELF_TYPE = "the ELF type is ET_EXEC"
    TRUNCATED_HEADER = "the header is complete"
    PROGRAM_HEADER_SIZE = "a program header has 32 bytes"
    PROGRAM_HEADER_COUNT = "there are at most 256 program headers"
    TRUNCATED_PROGRAM_HEADERS = "the program headers are complete"
    TRUNCATED_SEGMENT = "the bytes of a segment are in the file"
    SEGMENT_SIZE = "a segment has no more bytes in the file than in memory"
    NO_SEGMENTS = "there is a segment to load"
    OUTSIDE_MEMORY = "segments lie in memory"
    OVERLAP = "segments do not overlap"
    ENTRY = "the entry point lies in a segment"

    NO_MULTIBOOT_HEADER = (
        "a multiboot header stands in the first 8192 bytes, one of version 2 in the first 32768"
    )
    MULTIBOOT_FLAGS = "every feature the kernel requires is known"
    MULTIBOOT_ADDRESSES = "the multiboot address fields agree with each other and the file"
    MULTIBOOT_ARCHITECTURE = "a multiboot 2 header is for architecture 0, i386"
    MULTIBOOT_TAGS = "the tags of a multiboot 2 header are complete and lie in it"
    NO_ROOM = "kernel, and all that it is given, fit in memory"

    SYMBOL_MAP = "a list of symbols has lines of a hexadecimal address, a letter and a name"

    NO_SETUP_HEADER = "a Linux setup header (HdrS, protocol 2.00 or newer) stands at 0x1f1"
    SETUP_HEADER = "the fields of the setup header agree with each other and the file"
    ZIMAGE = "a Linux kernel is a bzImage, loaded at 1 MiB (LOADED_HIGH)"
    LINUX_64BIT = "a Linux kernel is 32-bit"
    COMMAND_LINE = "the command line is no longer than the kernel takes"


def one_line(text: str) -> str:
    """Spell out every character that does not print, so that the text stays on one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ImageError(Exception):
    """A file was refused: which file, which rule it broke, and one line that says what and where."""

    def __init__(self, file: str, rule: Rule, what: str) -> None:
        super().__init__(file, rule, what)
        self.file = file
        self.rule = rule
        self.what = what

    def __str__(self) -> str:
        return one_line(f"{self.file}: {self.what} (rule: {self.rule})")


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes at a physical address; memory beyond the bytes, up to `memory_size`, is zero."""

    address: PhysicalAddress
    data: bytes
    memory_size: int
    name: str

    @property
    def end(self) -> int:
        """The first physical address behind the segment."""
        return self.address + self.memory_size


@dataclass(frozen=True, slots=True, order=True)
class Symbol:
    """A name for `size` bytes at a linear address; the size of an assembly label is often 0."""

    value: LinearAddress
    size: int
    name: str
    kind: SymbolKind


@dataclass(frozen=True, slots=True)
class SymbolFile:
    """The symbols of one file, sorted by value, and the code they stand for.

    Processes overlap in linear addresses, so that an address alone names nothing: `code` holds the
    executable segments, each a linear start (p_vaddr) and bytes, to be compared with the guest's.
    A kernel is mapped in every process and patches its own code: with `by_address` nothing is compared,
    and a symbol covers the `size` bytes behind its value.
    """

    name: str
    symbols: tuple[Symbol, ...]
    code: tuple[tuple[LinearAddress, bytes], ...]
    by_address: bool = False


@dataclass(frozen=True, slots=True)
class Module:
    """A file handed to the kernel beside itself, and the string that goes with it."""

    string: str
    data: bytes

    @property
    def name(self) -> str:
        """The first word of the string."""
        words = self.string.split(maxsplit=1)
        return words[0] if words else "(unnamed module)"


@dataclass(frozen=True, slots=True)
class Initrd:
    """The initial RAM disk of a Linux kernel: a file system or a cpio archive, which nobody here reads."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class EntryState:
    """How the processor starts: interrupts off, paging off, and the registers named here.

    In `protected32` the segments are flat. Where `cs` (for CS) and `ds` (for DS, ES, FS, GS and SS)
    are None, the selectors are the machine's choice; where they are not, `gdt` is the base and limit
    of a table in the image that holds their descriptors.
    """

    mode: Literal["real16", "protected32"]
    eip: int
    cs: int | None
    registers: dict[str, int]
    ds: int | None = None
    gdt: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a format's loader finds, before it is named, hashed and made an image."""

    format: Format
    segments: tuple[Segment, ...]
    entry: EntryState
    symbols: tuple[SymbolFile, ...] = ()
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    memory_needed: int = 0


@dataclass(frozen=True, slots=True)
class Image:
    """Everything a machine must know to start a guest.

    `facts` is what the file says of itself, each a name and a value; `memory_needed` covers the segments
    and what the kernel says it takes beyond them.
    """

    name: str
    sha256: str
    format: Format
    segments: tuple[Segment, ...]
    entry: EntryState
    symbols: tuple[SymbolFile, ...]
    memory_needed: int
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


def digest(kernel: bytes, modules: Sequence[Module], command_line: str, initrd: Initrd | None = None) -> str:
    """SHA-256 of all that the guest is given: kernel, modules (string and data), command line, initrd.

    Every field is preceded by its length in 8 bytes, so that none can pass for part of another; there
    is one field more with an initrd than without.
    """
    whole = hashlib.sha256()
    for field in _fields(kernel, modules, command_line, initrd):
        whole.update(len(field).to_bytes(8, "little"))
        whole.update(field)
    return whole.hexdigest()


def _fields(
    kernel: bytes, modules: Sequence[Module], command_line: str, initrd: Initrd | None
) -> Iterable[bytes]:
    yield kernel
    for module in modules:
        yield module.string.encode("utf-8", "surrogatepass")
        yield module.data
    yield command_line.encode("utf-8", "surrogatepass")
    if initrd is not None:
        yield initrd.data
