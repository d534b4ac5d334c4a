"""A fragment: pieces of generated code made of steps; a fault goes on at the next step.

::

    piece ->  step 0 | step 1 | ... | step n | INT 0x7e: the fragment ends
              table:  start of step 1, 2, ...; the handler resumes at the first one behind the faulting EIP
"""

import functools
import struct
from dataclasses import dataclass, field
from typing import Any

import keystone

from tests.differential import layout as at

END = "int 0x7e"
PIECES = {"main": 0, "ring": 0x400, "inner": 0x800, "code16": 0}
SIZE = 0xA00


@functools.cache
def _assembler(bits: int) -> Any:
    mode = {16: keystone.KS_MODE_16, 32: keystone.KS_MODE_32}[bits]
    return keystone.Ks(keystone.KS_ARCH_X86, mode)


def assemble(source: str, address: int, bits: int = 32) -> bytes:
    """Machine code. Raises: AssertionError with the source."""
    if not source.strip():
        return b""
    try:
        code, _count = _assembler(bits).asm(source, address)
    except keystone.KsError as error:
        raise AssertionError(f"{error}: {source}") from error
    return bytes(code or b"")


@dataclass
class Fragment:
    """Made for one address; `pokes` are dwords that the driver stores before it begins."""

    seed: int
    base: int
    name: str = ""
    steps: dict[str, list[str]] = field(default_factory=dict)
    pokes: dict[int, int] = field(default_factory=dict)
    registers: list[int] = field(default_factory=lambda: [0] * 8)  # edi esi ebp esp ebx edx ecx eax
    flags: int = 2
    cr0: int = 0x80000011
    cr4: int = 0x90
    resume: bool = True

    def address(self, piece: str) -> int:
        """Where a piece begins."""
        return at.REAL_CODE if piece == "code16" else self.base + PIECES[piece]

    def add(self, piece: str, *steps: str) -> None:
        """More steps at the end of a piece."""
        self.steps.setdefault(piece, []).extend(steps)

    def poke(self, address: int, data: bytes) -> None:
        """Bytes, whole dwords of them, that the driver puts into memory."""
        data += bytes(-len(data) % 4)
        for offset in range(0, len(data), 4):
            self.pokes[address + offset] = struct.unpack_from("<I", data, offset)[0]

    def descriptor(self, table: int, selector: int, value: int) -> None:
        """A descriptor or gate in a table."""
        self.poke(table + (selector & ~7), struct.pack("<Q", value))

    def placed(self) -> list[tuple[str, int, str, bytes]]:
        """(piece, address, source, code) of every step, with the ends of the pieces."""
        result = []
        for piece, steps in self.steps.items():
            address, bits = self.address(piece), 16 if piece == "code16" else 32
            for source in [*steps, END]:
                code = assemble(source, address, bits)
                result.append((piece, address, source, code))
                address += len(code)
            assert address - self.address(piece) <= 0x400, f"{self.name}: {piece} is too long"
        return result

    def build(self) -> tuple[bytes, int]:
        """The fragment's memory, from `base` on, and the address of its header in it.

        Header: entry, EFLAGS, CR0, CR4, no-resume, eight registers, then counted tables: pokes, steps.
        """
        memory = bytearray(SIZE)
        placed = self.placed()
        for piece, address, _source, code in placed:
            if piece == "code16":
                self.poke_code(address, code)
            else:
                memory[address - self.base : address - self.base + len(code)] = code
        low = [address for piece, address, _source, _code in placed if piece == "code16"]
        if low:
            self.poke(at.REAL_STARTS, struct.pack(f"<{len(low) + 1}H", len(low), *low))
        starts = sorted(address for _piece, address, _source, _code in placed)
        words = [self.address("main"), self.flags, self.cr0, self.cr4, int(not self.resume), *self.registers]
        words += [len(self.pokes), *(x for pair in sorted(self.pokes.items()) for x in pair)]
        words += [len(starts), *starts]
        return bytes(memory) + struct.pack(f"<{len(words)}I", *(w & at.ALL for w in words)), self.base + SIZE

    def poke_code(self, address: int, code: bytes) -> None:
        """16-bit code, which goes below 64 KiB; steps need not begin at dwords."""
        for offset, byte in enumerate(code):
            word, shift = (address + offset) & ~3, 8 * ((address + offset) & 3)
            self.pokes[word] = self.pokes.get(word, 0) & ~(0xFF << shift) | byte << shift

    def text(self) -> str:
        """What the fragment does, for a report."""
        lines = [f"{self.name}: cr0 {self.cr0:#x} cr4 {self.cr4:#x} eflags {self.flags:#x}"]
        for piece, address, source, code in self.placed():
            lines.append(f"  {piece:6} {address:08x}  {code.hex():24} {' '.join(source.split())}")
        lines += [f"  [{where:#x}] = {value:#010x}" for where, value in sorted(self.pokes.items())]
        return "\n".join(lines)

    # -- the usual pieces

    def enter(self, ring: int, flags: int = 2, piece: str = "ring") -> None:
        """The last step of `main`: on in a ring, at the start of a piece."""
        if ring == 0:
            self.add("main", f"jmp {self.address(piece):#x}")
            return
        data, code = at.DATA_OF[ring], at.CODE_OF[ring]
        self.add(
            "main",
            f"mov ax, {at.DATA3}; mov ds, ax; mov es, ax; mov fs, ax; mov gs, ax; mov eax, 0x1234",
            f"push {data}; push {at.stack_of(ring):#x}; push {flags:#x}; push {code}; "
            f"push {self.address(piece):#x}; iretd",
        )
