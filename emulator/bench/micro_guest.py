"""Guests of a few instructions that do one thing many times: the image of each, made by Keystone.

::

    0x100000  code      set-up, then `again: BODY; dec dword ptr [COUNT]; jnz again`, then exit by port 0xf4
    0x110000  GDT       0, kernel code 08, kernel data 10, user code 18, user data 20, TSS 28
    0x111000  IDT       32-bit gates, filled by the guest
    0x112000  TSS       SS0:ESP0
    0x113000  page directory: 0 - 4 MB and the local APIC's 4 MB as large pages, PAGE's table
    0x114000  page table of PAGE
    0x115000  COUNT

All linear addresses below 4 MB are physical; PAGE is the one page whose entry a guest changes.
"""

import struct
from dataclasses import dataclass
from typing import Final

from keystone import KS_ARCH_X86, KS_MODE_32, Ks

from loader import Image, load_image

MEMORY: Final = 16 << 20
CODE: Final = 0x100000
GDT, IDT, TSS, DIRECTORY, TABLE, COUNT = (0x110000 + 0x1000 * i for i in range(6))
POINTERS: Final = COUNT + 8
STACK: Final = 0x200000
USER_STACK: Final = 0x240000
PAGE: Final = 0x400000
FRAME: Final = 0x300000
LAPIC: Final = 0xFEE00000
DESCRIPTORS: Final = (0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF, 0x00CFFB000000FFFF, 0x00CFF3000000FFFF)
TSS_LIMIT: Final = 103

SET_UP: Final = f"""
    mov esp, {STACK}
    lgdt [{POINTERS}]; lidt [{POINTERS + 8}]
    push 8; lea eax, [flat]; push eax; retf
flat:
    mov eax, 0x23; mov ds, ax; mov es, ax; mov eax, 0x10; mov ss, ax
    mov eax, 0x28; ltr ax
    mov eax, {DIRECTORY}; mov cr3, eax
    mov eax, cr4; or eax, 0x10; mov cr4, eax
    mov eax, cr0; or eax, 0x80010000; mov cr0, eax
    mov al, 0xff; out 0x21, al; out 0xa1, al
"""
AGAIN: Final = f"dec dword ptr [{COUNT}]; jnz again; mov al, 0; out 0xf4, al; hlt;"
TO_USER: Final = f"""
    push 0x23; push {USER_STACK}; push 0x3002; push 0x1b; lea eax, [user]; push eax; iretd
user:
"""


def gate(vector: int, handler: str, *, user: bool = False) -> str:
    """Guest code that puts an interrupt gate into the IDT, for INT n from ring 3 too if `user`."""
    return f"""
        lea eax, [{handler}]; mov ebx, eax; and eax, 0xffff; or eax, 0x80000
        mov [{IDT + 8 * vector}], eax
        and ebx, 0xffff0000; or ebx, {0xEE00 if user else 0x8E00}
        mov [{IDT + 8 * vector + 4}], ebx
    """


@dataclass(frozen=True, slots=True)
class MicroGuest:
    """What is done `count` times: `body`, after `prepare`; `handlers` stand behind the exit."""

    body: str
    prepare: str = ""
    handlers: str = ""

    def image(self, name: str, count: int) -> Image:
        """The guest that does it `count` times and exits with status 0."""
        source = f"{SET_UP}{self.prepare}\nagain:\n{self.body}\n{AGAIN}\n{self.handlers}"
        code = bytes(Ks(KS_ARCH_X86, KS_MODE_32).asm(source, CODE, as_bytes=True)[0])
        data = code.ljust(GDT - CODE, b"\0") + _tables(count)
        return load_image(data, name=name, memory_bytes=MEMORY, format="flat", address=CODE)


def _tables(count: int) -> bytes:
    tss_descriptor = (0x8900 | TSS >> 16) << 32 | (TSS & 0xFFFF) << 16 | TSS_LIMIT
    gdt = struct.pack("<6Q", *DESCRIPTORS, tss_descriptor)
    tss = struct.pack("<IIH", 0, STACK, 0x10)
    directory = bytearray(4096)
    struct.pack_into("<I", directory, 0, 0x87)
    struct.pack_into("<I", directory, 4 * (PAGE >> 22), TABLE | 7)
    struct.pack_into("<I", directory, 4 * (LAPIC >> 22), LAPIC & 0xFFC00000 | 0x93)
    table = struct.pack("<I", FRAME | 7)
    pointers = struct.pack("<HIxxHI", len(gdt) - 1, GDT, 0x7FF, IDT)
    rest = struct.pack("<II", count, 0) + pointers
    return b"".join(part.ljust(4096, b"\0") for part in (gdt, b"", tss, bytes(directory), table)) + rest
