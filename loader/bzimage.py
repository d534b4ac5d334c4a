"""Linux's bzImage, entered by the 32-bit boot protocol (Linux's Documentation/arch/x86/boot.rst).

::

    file                                            physical memory
    +--------------------------+ 0
    | boot sector              |
    |   0x1f1 setup header ----|---- copied ------> boot_params (see boot_params.py)
    | real-mode code, not run  |                               init_size, >= 2.10
    +--------------------------+ 512 (setup_sects + 1)       +---------------------+
    | protected-mode code:     |                             | where the kernel    |
    |   decompressor, payload  |                             | unpacks itself      |
    +--------------------------+                             +---------------------+ pref_address, or
                          |                                  .                       the next multiple of
                          |          +---------------------+ .                       kernel_alignment
                          +--------> | as in the file      | <- EIP = code32_start
                                     +---------------------+ 0x100000

A bzImage is always loaded at 1 MiB, as QEMU and LILO do: a relocatable kernel moves itself up to
pref_address, and one that is not does too. An image for the 64-bit kernel is told by bit 0 of
xloadflags (2.12 and newer); an older one says so itself when it has started.
"""

import struct
from typing import Final, NamedTuple

from loader.boot_params import LOADED_HIGH, SETUP_HEADER, Kernel, start_linux
from loader.elf import parse_elf, physical_entry, place_elf
from loader.image import Contents, ImageError, Initrd, PhysicalAddress, Rule, Segment
from loader.placement import ADDRESS_SPACE, HIGH_MEMORY, Span, check_placement
from loader.symbols import symbols_of

MAGIC: Final = b"HdrS"
MAGIC_OFFSET: Final = 0x202
SECTOR: Final = 512
DEFAULT_SETUP_SECTORS: Final = 4
PARAGRAPH: Final = 16
XLF_KERNEL_64: Final = 1 << 0
OLDEST: Final = 0x200
KNOWN_COMPRESSION: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x89LZO", "lzo"),
    (b"BZh", "bzip2"),
    (b"\x5d\0\0", "lzma"),
    (b"\x7fELF", "none"),
)

# Before these versions the field is not there, and this holds instead.
LONGEST_LINE: Final = 255  # before 2.06
INITRD_MAX: Final = 0x37FFFFFF  # before 2.03

# vmlinux has no setup header: what its bzImage would say.
VMLINUX_VERSION: Final = 0x20C
VMLINUX_LINE: Final = 2047
VMLINUX_HEADER: Final = struct.Struct("<13x2s2x4sH")


class SetupHeader(NamedTuple):
    """The fields of the setup header that are read, from 0x1f1 to 0x264."""

    setup_sects: int
    syssize: int
    version: int
    kernel_version: int
    loadflags: int
    code32_start: int
    initrd_addr_max: int
    kernel_alignment: int
    relocatable_kernel: int
    xloadflags: int
    cmdline_size: int
    payload_offset: int
    payload_length: int
    pref_address: int
    init_size: int

    @property
    def code_offset(self) -> int:
        """Where the protected-mode code begins in the file."""
        return ((self.setup_sects or DEFAULT_SETUP_SECTORS) + 1) * SECTOR

    @property
    def runs_at(self) -> int:
        """Where the kernel unpacks itself, when it is loaded at 1 MiB."""
        if self.version < 0x20A:
            return HIGH_MEMORY
        if not self.relocatable_kernel:
            return self.pref_address
        alignment = self.kernel_alignment
        return max((HIGH_MEMORY + alignment - 1) & -alignment, self.pref_address)

    @property
    def runs_to(self) -> int:
        """The end of the memory that the kernel takes before it knows its memory map; 0 if not told."""
        return self.runs_at + self.init_size if self.version >= 0x20A else 0


HEADER: Final = struct.Struct("<B2xI14xH6xHxB2xI20xIIBxHI12xII8xQI")


def is_bzimage(data: bytes) -> bool:
    """Whether the setup header's magic number stands where it must."""
    return data[MAGIC_OFFSET : MAGIC_OFFSET + len(MAGIC)] == MAGIC


def parse_header(data: bytes, name: str) -> SetupHeader:
    """The setup header, checked against the file."""
    if not is_bzimage(data):
        what = f"no HdrS at {MAGIC_OFFSET:#x}: not a Linux kernel, or one older than protocol 2.00"
        raise ImageError(name, Rule.NO_SETUP_HEADER, what)
    if len(data) < SETUP_HEADER + HEADER.size:
        what = f"truncated: the file ends at {len(data):#x}, in the setup header"
        raise ImageError(name, Rule.TRUNCATED_HEADER, what)
    header = SetupHeader._make(HEADER.unpack_from(data, SETUP_HEADER))
    _check_kind(header, name)
    _check_fields(header, data, name)
    return header


def _check_kind(header: SetupHeader, name: str) -> None:
    if header.version < OLDEST:
        what = f"boot protocol {protocol(header)} is older than 2.00"
        raise ImageError(name, Rule.NO_SETUP_HEADER, what)
    if not header.loadflags & LOADED_HIGH:
        what = "a zImage, made to be loaded below 1 MiB (bit 0 of loadflags at 0x211)"
        raise ImageError(name, Rule.ZIMAGE, what)
    if header.version >= 0x20C and header.xloadflags & XLF_KERNEL_64:
        what = "an x86-64 kernel (bit 0 of xloadflags at 0x236); the machine is 32-bit"
        raise ImageError(name, Rule.LINUX_64BIT, what)


def _check_fields(header: SetupHeader, data: bytes, name: str) -> None:
    code = len(data) - header.code_offset
    if code <= 0:
        what = f"truncated: its code begins at {header.code_offset:#x}, the file ends at {len(data):#x}"
        raise ImageError(name, Rule.TRUNCATED_SEGMENT, what)
    if header.version >= 0x204 and code <= (header.syssize - 1) * PARAGRAPH:
        what = f"truncated: {code:#x} of {header.syssize * PARAGRAPH:#x} bytes of code (syssize at 0x1f4)"
        raise ImageError(name, Rule.TRUNCATED_SEGMENT, what)
    alignment = header.kernel_alignment
    if header.version >= 0x20A and header.relocatable_kernel and alignment.bit_count() != 1:
        what = f"kernel_alignment at 0x230 is {alignment:#x}, not a power of two"
        raise ImageError(name, Rule.SETUP_HEADER, what)
    entry = header.code32_start
    if not HIGH_MEMORY <= entry < HIGH_MEMORY + code:
        what = f"code32_start {entry:#x} lies outside [{HIGH_MEMORY:#x}, {HIGH_MEMORY + code:#x})"
        raise ImageError(name, Rule.ENTRY, what)


def load_bzimage(
    data: bytes, name: str, memory_bytes: int, command_line: str, initrd: Initrd | None
) -> Contents:
    """Place the protected-mode code and all that it is given."""
    header = parse_header(data, name)
    code = data[header.code_offset :]
    check_placement(name, [Span(HIGH_MEMORY, len(code), "kernel")], memory_bytes)
    memory = min(memory_bytes, ADDRESS_SPACE)
    if header.runs_to > memory:
        what = (
            f"the kernel runs at {header.runs_at:#x} and takes {header.init_size:#x} bytes (init_size), "
            f"up to {header.runs_to:#x}; memory ends at {memory:#x}"
        )
        raise ImageError(name, Rule.NO_ROOM, what)
    end = max(HIGH_MEMORY + len(code), header.runs_to)
    kernel = Kernel(
        segments=(Segment(PhysicalAddress(HIGH_MEMORY), code, len(code), "kernel"),),
        entry=header.code32_start,
        end=end,
        header=data[SETUP_HEADER : MAGIC_OFFSET + data[MAGIC_OFFSET - 1]],
        version=header.version,
        loadflags=header.loadflags,
        longest_line=header.cmdline_size if header.version >= 0x206 else LONGEST_LINE,
        initrd_max=header.initrd_addr_max if header.version >= 0x203 else INITRD_MAX,
    )
    segments, entry = start_linux(name, kernel, memory_bytes, command_line, initrd)
    return Contents("bzimage", segments, entry, facts=_facts(header, data, kernel), memory_needed=end)


def load_vmlinux(
    data: bytes, name: str, memory_bytes: int, command_line: str, initrd: Initrd | None
) -> Contents:
    """A kernel as its linker left it, ELF, with the symbols that a bzImage lacks."""
    elf = parse_elf(data, name)
    placed = place_elf(elf, memory_bytes)
    eip, converted = physical_entry(elf)
    kernel = Kernel(
        segments=placed,
        entry=eip,
        end=max(segment.end for segment in placed),
        header=VMLINUX_HEADER.pack(b"\x55\xaa", MAGIC, VMLINUX_VERSION),
        version=VMLINUX_VERSION,
        loadflags=LOADED_HIGH,
        longest_line=VMLINUX_LINE,
        initrd_max=INITRD_MAX,
    )
    segments, entry = start_linux(name, kernel, memory_bytes, command_line, initrd)
    symbols, damage = symbols_of(elf)
    return Contents("linux", segments, entry, symbols, converted + damage)


def protocol(header: SetupHeader) -> str:
    """The version of the boot protocol, as boot.rst writes it."""
    return f"{header.version >> 8}.{header.version & 0xFF:02}"


def version_string(header: SetupHeader, data: bytes) -> str:
    """What `file` and `uname` call the kernel; empty if the image does not say."""
    start = header.kernel_version + SECTOR
    if not header.kernel_version or start >= header.code_offset:
        return ""
    return data[start : header.code_offset].split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _facts(header: SetupHeader, data: bytes, kernel: Kernel) -> tuple[tuple[str, str], ...]:
    facts = [
        ("kernel version", version_string(header, data) or "not told"),
        ("boot protocol", protocol(header)),
        ("longest command line", str(kernel.longest_line)),
        ("initrd ends by", f"{kernel.initrd_max:#x}"),
    ]
    if header.version >= 0x208:
        start = header.code_offset + header.payload_offset
        found = (what for magic, what in KNOWN_COMPRESSION if data.startswith(magic, start))
        facts.append(("compression", next(found, "unknown") if header.payload_length else "no payload"))
    if header.version >= 0x20A:
        facts.append(("runs at", f"{header.runs_at:#x}, up to {header.runs_to:#x}"))
        facts.append(("relocatable", "yes" if header.relocatable_kernel else "no"))
    return tuple(facts)
