"""ELF32 executables for the i386 (System V ABI, Intel386 supplement; gABI chapters 4 and 5).

::

    file                              physical memory (p_paddr)     linear (p_vaddr)
    +--------------------+ 0
    | ELF header, 52     |
    +--------------------+ e_phoff
    | program headers,   |            +------------------+
    | e_phnum times 32   |            | zero (bss)       |
    +--------------------+ p_offset   +------------------+
    | p_filesz bytes     | ---------> | p_filesz bytes   | ......> kept only to name code
    +--------------------+            +------------------+         and to convert e_entry
    | sections, symbols  |                p_memsz in all
    +--------------------+

Nothing is allocated by what a header claims: sizes are checked against the file and the memory first.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any, Final

from elftools.common.exceptions import ELFError
from elftools.common.utils import struct_parse
from elftools.elf.descriptions import describe_e_machine, describe_e_type
from elftools.elf.elffile import ELFFile

from loader.image import EntryState, ImageError, PhysicalAddress, Rule, Segment
from loader.placement import Span, check_placement

MAGIC: Final = b"\x7fELF"
HEADER_SIZE: Final = 52
PROGRAM_HEADER_SIZE: Final = 32
MOST_PROGRAM_HEADERS: Final = 256
SECTION_HEADER_SIZE: Final = 40
EI_CLASS, EI_DATA, EI_NIDENT = 4, 5, 16
ELFCLASS32, ELFDATA2LSB = 1, 1
PF_X, PF_W, PF_R = 1, 2, 4


@dataclass(frozen=True, slots=True)
class ProgramSegment:
    """One PT_LOAD program header, checked against the file."""

    index: int
    offset: int
    linear: int
    physical: int
    file_size: int
    memory_size: int
    flags: int

    @property
    def name(self) -> str:
        """Its number and its permissions, as readelf writes them."""
        bits = ((PF_R, "r"), (PF_W, "w"), (PF_X, "x"))
        return f"segment {self.index} " + "".join(c if self.flags & bit else "-" for bit, c in bits)


@dataclass(frozen=True, slots=True)
class ElfFile:
    """An ELF file whose header and program headers obey the rules."""

    name: str
    data: bytes
    entry: int
    segments: tuple[ProgramSegment, ...]
    section_offset: int
    section_count: int
    section_entry_size: int

    def contents(self, segment: ProgramSegment) -> bytes:
        """The bytes that a segment has in the file."""
        return self.data[segment.offset : segment.offset + segment.file_size]


def is_elf(data: bytes) -> bool:
    """Whether the file begins as an ELF file does."""
    return data.startswith(MAGIC)


def parse_elf(data: bytes, name: str) -> ElfFile:
    """Check the structure of an executable: everything that does not depend on the memory."""
    _check_identity(data, name)
    try:
        elf = ELFFile(io.BytesIO(data))
        header: Any = elf.header
        _check_header(header, name)
        headers = _program_headers(elf, data, name)
    except (ELFError, struct.error, ValueError, LookupError) as error:
        raise ImageError(name, Rule.TRUNCATED_HEADER, f"damaged ELF header: {error}") from error
    segments = tuple(_segment(index, entry, data, name) for index, entry in headers)
    if not segments:
        raise ImageError(name, Rule.NO_SEGMENTS, f"none of its {header.e_phnum} program headers is a PT_LOAD")
    return ElfFile(
        name=name,
        data=data,
        entry=header.e_entry,
        segments=segments,
        section_offset=header.e_shoff,
        section_count=header.e_shnum,
        section_entry_size=header.e_shentsize,
    )


def _check_identity(data: bytes, name: str) -> None:
    if not is_elf(data):
        raise ImageError(
            name, Rule.NOT_ELF, f"not an ELF file: it begins with {data[:4].hex(' ') or 'nothing'}"
        )
    if len(data) >= EI_NIDENT:
        if data[EI_CLASS] != ELFCLASS32:
            found = {2: "ELF64, a 64-bit file"}.get(data[EI_CLASS], f"unknown ELF class {data[EI_CLASS]}")
            raise ImageError(name, Rule.ELF_CLASS, f"{found}; the machine is 32-bit (EI_CLASS at offset 4)")
        if data[EI_DATA] != ELFDATA2LSB:
            found = {2: "big endian"}.get(data[EI_DATA], f"unknown byte order {data[EI_DATA]}")
            raise ImageError(name, Rule.ELF_BYTE_ORDER, f"{found} (EI_DATA at offset 5)")
    if len(data) < HEADER_SIZE:
        what = f"truncated ELF header: the file has {len(data)} of {HEADER_SIZE} bytes"
        raise ImageError(name, Rule.TRUNCATED_HEADER, what)


def _check_header(header: Any, name: str) -> None:
    if header.e_machine != "EM_386":
        machine = describe_e_machine(header.e_machine)
        what = f"made for another machine: {machine} ({header.e_machine}, e_machine at offset 18)"
        raise ImageError(name, Rule.ELF_MACHINE, what)
    if header.e_type != "ET_EXEC":
        advice = {
            "ET_REL": "link it first",
            "ET_DYN": "link it with -no-pie -static",
        }.get(header.e_type, "only an executable can be loaded")
        what = f"not an executable but {describe_e_type(header.e_type)} ({header.e_type}); {advice}"
        raise ImageError(name, Rule.ELF_TYPE, what)
    if header.e_phnum == 0:
        raise ImageError(name, Rule.NO_SEGMENTS, "no program headers (e_phnum is 0), so nothing to load")
    if header.e_phentsize != PROGRAM_HEADER_SIZE:
        what = f"program headers of {header.e_phentsize} bytes (e_phentsize at offset 42)"
        raise ImageError(name, Rule.PROGRAM_HEADER_SIZE, what)
    if header.e_phnum > MOST_PROGRAM_HEADERS:
        what = f"an absurd number of program headers: {header.e_phnum} (e_phnum at offset 44)"
        raise ImageError(name, Rule.PROGRAM_HEADER_COUNT, what)


def _program_headers(elf: Any, data: bytes, name: str) -> list[tuple[int, Any]]:
    start, count = elf.header.e_phoff, elf.header.e_phnum
    end = start + count * PROGRAM_HEADER_SIZE
    if end > len(data):
        what = f"truncated: {count} program headers end at {end:#x}, the file at {len(data):#x}"
        raise ImageError(name, Rule.TRUNCATED_PROGRAM_HEADERS, what)
    offsets = range(start, end, PROGRAM_HEADER_SIZE)
    every = (struct_parse(elf.structs.Elf_Phdr, elf.stream, offset) for offset in offsets)
    return [(index, entry) for index, entry in enumerate(every) if entry.p_type == "PT_LOAD"]


def _segment(index: int, entry: Any, data: bytes, name: str) -> ProgramSegment:
    segment = ProgramSegment(
        index=index,
        offset=entry.p_offset,
        linear=entry.p_vaddr,
        physical=entry.p_paddr,
        file_size=entry.p_filesz,
        memory_size=entry.p_memsz,
        flags=entry.p_flags,
    )
    if segment.file_size > segment.memory_size:
        what = f"{segment.name}: {segment.file_size:#x} bytes in the file, {segment.memory_size:#x} in memory"
        raise ImageError(name, Rule.SEGMENT_SIZE, what)
    end = segment.offset + segment.file_size
    if segment.file_size and end > len(data):
        what = f"truncated: {segment.name} ends at file offset {end:#x}, the file at {len(data):#x}"
        raise ImageError(name, Rule.TRUNCATED_SEGMENT, what)
    return segment


def place_elf(elf: ElfFile, memory_bytes: int) -> tuple[Segment, ...]:
    """Put the segments at their physical addresses; a segment of no size takes no place."""
    spans = (Span(segment.physical, segment.memory_size, segment.name) for segment in elf.segments)
    check_placement(elf.name, spans, memory_bytes)
    return tuple(
        Segment(PhysicalAddress(segment.physical), elf.contents(segment), segment.memory_size, segment.name)
        for segment in elf.segments
        if segment.memory_size
    )


def physical_entry(elf: ElfFile) -> tuple[int, tuple[str, ...]]:
    """The entry point without paging, and a note where it had to be converted.

    Higher-half kernels often give e_entry as a linear address: it is moved by the distance
    between p_vaddr and p_paddr of the segment it lies in. A physical reading comes first.
    """
    entry = elf.entry
    if entry == 0:
        raise ImageError(elf.name, Rule.ENTRY, "no entry point (e_entry is 0)")
    if any(s.physical <= entry < s.physical + s.memory_size for s in elf.segments):
        return entry, ()
    for s in elf.segments:
        if s.linear <= entry < s.linear + s.memory_size:
            converted = entry - s.linear + s.physical
            return converted, (f"entry {entry:#x} is linear; started at physical {converted:#x}",)
    raise ImageError(elf.name, Rule.ENTRY, f"entry point {entry:#x} lies outside every segment")


def protected_entry(eip: int, **registers: int) -> EntryState:
    """Flat 32-bit protected mode at `eip`."""
    return EntryState(mode="protected32", eip=eip, cs=None, registers=registers)
