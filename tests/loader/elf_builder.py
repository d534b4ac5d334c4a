"""Tiny ELF and multiboot files, written with struct."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

MIB = 1 << 20
CODE = b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp to the hlt
MULTIBOOT_MAGIC = 0x1BADB002
MULTIBOOT2_MAGIC = 0xE85250D6


@dataclass
class Load:
    """A program header and its bytes; sizes and addresses that are None follow from the data."""

    physical: int = MIB
    data: bytes = CODE
    linear: int | None = None
    file_size: int | None = None
    memory_size: int | None = None
    flags: int = 5
    type: int = 1
    offset: int | None = None


@dataclass
class Elf:
    """An ELF file; every field of the header can be given a wrong value."""

    loads: Sequence[Load] = field(default_factory=lambda: [Load()])
    entry: int = MIB
    magic: bytes = b"\x7fELF"
    elf_class: int = 1
    byte_order: int = 1
    type: int = 2
    machine: int = 3
    header_entry_size: int = 32
    header_count: int | None = None
    header_offset: int = 52
    symbols: Sequence[tuple[str, int, int, int, int]] | None = None  # name, value, size, info, section
    symbol_entry_size: int = 16
    string_table: int = 2
    section_entry_size: int = 40
    section_count: int = 3

    def build(self) -> bytes:
        """The bytes of the file."""
        body = bytearray()
        start = 52 + 32 * len(self.loads)
        headers = b""
        for load in self.loads:
            offset = start + len(body) if load.offset is None else load.offset
            size = len(load.data) if load.file_size is None else load.file_size
            linear = load.physical if load.linear is None else load.linear
            memory = size if load.memory_size is None else load.memory_size
            headers += struct.pack(
                "<8I", load.type, offset, linear, load.physical, size, memory, load.flags, 0x1000
            )
            body += load.data
        section_offset = 0
        if self.symbols is not None:
            section_offset = self._append_symbols(body, start)
        count = len(self.loads) if self.header_count is None else self.header_count
        identity = self.magic + bytes([self.elf_class, self.byte_order, 1]) + bytes(9)
        order = ">" if self.byte_order == 2 else "<"
        header = identity + struct.pack(
            order + "HHIIIIIHHHHHH",
            self.type,
            self.machine,
            1,
            self.entry,
            self.header_offset,
            section_offset,
            0,
            52,
            self.header_entry_size,
            count,
            self.section_entry_size,
            self.section_count if self.symbols is not None else 0,
            0,
        )
        return header + headers + bytes(body)

    def _append_symbols(self, body: bytearray, start: int) -> int:
        """Write symbols, names and section headers; return where the section headers begin."""
        assert self.symbols is not None
        names, table = bytearray(b"\0"), bytearray(16)
        for name, value, size, info, section in self.symbols:
            at = len(names) if name else 0
            names += name.encode("utf-8", "surrogateescape") + b"\0" if name else b""
            table += struct.pack("<IIIBBH", at, value, size, info, 0, section)
        table_at = start + len(body)
        body += table
        names_at = start + len(body)
        body += names
        sections = struct.pack("<10I", *[0] * 10)
        sections += struct.pack(
            "<10I", 0, 2, 0, 0, table_at, len(table), self.string_table, 1, 4, self.symbol_entry_size
        )
        sections += struct.pack("<10I", 0, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
        body += sections
        return start + len(body) - len(sections)


def multiboot_header(flags: int = 0, addresses: Sequence[int] = (), *, checksum: int | None = None) -> bytes:
    """A multiboot 1 header, by default with the right checksum."""
    right = -(MULTIBOOT_MAGIC + flags) & 0xFFFFFFFF
    header = struct.pack("<III", MULTIBOOT_MAGIC, flags, right if checksum is None else checksum)
    return header + struct.pack(f"<{len(addresses)}I", *addresses)


def multiboot2_header(tags: bytes = b"", *, checksum: int | None = None, architecture: int = 0) -> bytes:
    """A multiboot 2 header around tags, the end tag behind them, by default with the right checksum."""
    length = 16 + len(tags) + 8
    right = -(MULTIBOOT2_MAGIC + architecture + length) & 0xFFFFFFFF
    sum_ = right if checksum is None else checksum
    return (
        struct.pack("<4I", MULTIBOOT2_MAGIC, architecture, length, sum_) + tags + struct.pack("<HHI", 0, 0, 8)
    )


def tag(kind: int, *words: int, optional: bool = False) -> bytes:
    """A tag of a multiboot 2 header, padded to 8 bytes."""
    data = struct.pack(f"<HHI{len(words)}I", kind, optional, 8 + 4 * len(words), *words)
    return data + bytes(-len(data) % 8)


def multiboot2_elf(tags: bytes = b"", **fields: object) -> bytes:
    """An ELF kernel with one segment: code, then a multiboot 2 header."""
    before = 52 + 32  # the ELF headers
    load = Load(data=CODE + bytes(-(before + len(CODE)) % 8) + multiboot2_header(tags), memory_size=0x3000)
    values: dict[str, object] = {"loads": [load], **fields}
    return Elf(**values).build()  # type: ignore[arg-type]


def multiboot_elf(flags: int = 0, addresses: Sequence[int] = (), **fields: object) -> bytes:
    """An ELF kernel whose one segment begins with a multiboot header; the entry lies behind it."""
    header = multiboot_header(flags, addresses)
    load = Load(data=header + CODE, memory_size=0x3000)
    values: dict[str, object] = {"loads": [load], "entry": MIB + len(header), **fields}
    return Elf(**values).build()  # type: ignore[arg-type]


FUNCTION, OBJECT, LABEL, FILE, SECTION = 0x12, 0x11, 0x10, 0x04, 0x03
