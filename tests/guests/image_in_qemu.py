"""Starts an `Image` in QEMU just as our loaders place it, without a BIOS: a second opinion on loaders.

::

    0xffff0000  ROM, 64 KiB: real mode -> lgdt -> protected mode -> registers -> jmp to the entry
    segments    put into RAM by QEMU's `loader` device at reset, each at its own address
"""

import os
import selectors
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from keystone import KS_ARCH_X86, KS_MODE_32, Ks

from loader import EntryState, Image

QEMU = "qemu-system-i386"
ROM_SIZE = 0x10000
ROM = 0x100000000 - ROM_SIZE
RESET = 0xFFF0
CODE32 = 0x100
GDT, GDT_POINTER, IMAGE_GDT_POINTER = 0x800, 0x840, 0x850


def rom(entry: EntryState) -> bytes:
    """Puts a processor that was reset into the entry state, and jumps."""
    assert entry.mode == "protected32"
    image = bytearray(b"\xf4" * ROM_SIZE)
    image[RESET : RESET + 3] = b"\xe9" + struct.pack("<H", -(RESET + 3) & 0xFFFF)  # jmp 0: ROM's first byte
    real = bytes.fromhex("fa 2e660f0116") + struct.pack("<H", GDT_POINTER)  # cli; lgdt dword cs:[...]
    real += bytes.fromhex("0f20c0 0c01 0f22c0")  # mov eax, cr0; or al, 1; mov cr0, eax
    real += b"\x66\xea" + struct.pack("<IH", ROM + CODE32, 0x08)  # jmp dword 8:CODE32
    image[: len(real)] = real
    flat = struct.pack("<4Q", 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF, 0)
    image[GDT : GDT + 32] = flat
    image[GDT_POINTER : GDT_POINTER + 6] = struct.pack("<HI", 31, ROM + GDT)
    code, data = entry.cs or 0x08, entry.ds or 0x10
    lines = [f"mov ax, {data if entry.gdt is None else 0x10}", "mov ds, ax"]
    if entry.gdt is not None:
        base, limit = entry.gdt
        image[IMAGE_GDT_POINTER : IMAGE_GDT_POINTER + 6] = struct.pack("<HI", limit, base)
        lines += [f"lgdt [{ROM + IMAGE_GDT_POINTER:#x}]", f"mov ax, {data}"]
    lines += [f"mov {name}, ax" for name in ("ds", "es", "fs", "gs", "ss")]
    registers = dict.fromkeys(("eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp"), 0) | entry.registers
    lines += [f"mov {name}, {value:#x}" for name, value in registers.items()]
    protected = bytes(Ks(KS_ARCH_X86, KS_MODE_32).asm("; ".join(lines), ROM + CODE32, as_bytes=True)[0])
    protected += b"\xea" + struct.pack("<IH", entry.eip, code)
    image[CODE32 : CODE32 + len(protected)] = protected
    return bytes(image)


def command(image: Image, folder: Path, memory_bytes: int, *options: str) -> list[str]:
    """The command line that runs an image; its files go into the folder."""
    (folder / "rom").write_bytes(rom(image.entry))
    words = [QEMU, "-M", "pc", "-m", f"{memory_bytes >> 20}M", "-bios", str(folder / "rom"), "-nographic"]
    words += ["-no-reboot", "-nodefaults", "-serial", "stdio", "-monitor", "none", "-accel", "tcg"]
    for number, segment in enumerate(image.segments):
        if segment.data:  # RAM is zero where nothing is put
            path = folder / f"segment{number}"
            path.write_bytes(segment.data)
            words += ["-device", f"loader,file={path},addr={segment.address:#x},force-raw=on"]
    return [*words, *options]


class Console:
    """A guest in QEMU, and what it has written to COM1."""

    def __init__(self, words: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        self.output = b""

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())

    def expect(self, text: str, after: int = 0, seconds: float = 240) -> int:
        """Wait for a text; the offset in the output behind it."""
        return self._until(lambda: self.output.find(text.encode(), after), seconds, repr(text)) + len(
            text.encode()
        )

    def _until(self, found: Callable[[], int], seconds: float, what: str) -> int:
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while (at := found()) < 0:
                left = deadline - time.monotonic()
                if left <= 0 or (selector.select(left) and not self._read()):
                    raise AssertionError(f"no {what} in:\n{self.output.decode(errors='replace')}")
        return at

    def _read(self) -> bool:
        assert self.process.stdout is not None
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        self.output += data
        return bool(data)
