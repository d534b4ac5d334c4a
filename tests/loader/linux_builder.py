"""Tiny bzImages, whose setup header can be given any value."""

import struct
from dataclasses import dataclass

from elf_builder import CODE, MIB


@dataclass
class BzImage:
    """A bzImage of the newest protocol, in which one sector of setup holds the version string."""

    code: bytes = CODE.ljust(64, b"\xf4")
    version: int = 0x20F
    magic: bytes = b"HdrS"
    setup_sects: int = 2
    syssize: int | None = None
    version_string: bytes = b"6.1.0-test (builder) #1\0"
    loadflags: int = 1
    code32_start: int = MIB
    initrd_addr_max: int = 0x7FFFFFFF
    kernel_alignment: int = 0x200000
    relocatable: int = 1
    xloadflags: int = 0
    cmdline_size: int = 2047
    pref_address: int = 2 * MIB
    init_size: int = MIB
    header_length: int = 0x6A

    def build(self) -> bytes:
        """The bytes of the file."""
        setup = bytearray(512 * ((self.setup_sects or 4) + 1))
        size = -(-len(self.code) // 16) if self.syssize is None else self.syssize
        for offset, format, value in (
            (0x1F1, "B", self.setup_sects),
            (0x1F4, "I", size),
            (0x1FE, "H", 0xAA55),
            (0x200, "B", 0xEB),
            (0x201, "B", self.header_length),
            (0x206, "H", self.version),
            (0x20E, "H", 0x200),
            (0x211, "B", self.loadflags),
            (0x214, "I", self.code32_start),
            (0x22C, "I", self.initrd_addr_max),
            (0x230, "I", self.kernel_alignment),
            (0x234, "B", self.relocatable),
            (0x236, "H", self.xloadflags),
            (0x238, "I", self.cmdline_size),
            (0x24C, "I", len(self.code)),
            (0x258, "Q", self.pref_address),
            (0x260, "I", self.init_size),
        ):
            struct.pack_into(f"<{format}", setup, offset, value)
        setup[0x202:0x206] = self.magic
        setup[0x400 : 0x400 + len(self.version_string)] = self.version_string
        return bytes(setup) + self.code
