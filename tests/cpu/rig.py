"""A bare Unicorn, set up as `emulator.cpu.engine` does, for the tests of what we rely on in it."""

import dataclasses
import struct
from collections.abc import Callable
from typing import Any

from unicorn import (
    UC_ARCH_X86,
    UC_HOOK_BLOCK,
    UC_HOOK_INTR,
    UC_HOOK_MEM_READ,
    UC_HOOK_MEM_WRITE,
    UC_HOOK_TLB_FILL,
    UC_MODE_32,
    UC_TLB_VIRTUAL,
    Uc,
    UcError,
)
from unicorn import x86_const as x86

from emulator.cpu import layout
from emulator.cpu.registers import CS, SS, Registers
from tests.cpu.support import assemble

CODE, DATA, GDT, RAM = 0x10000, 0x20000, 0x40000, 0x100000
READ, WRITE, EXECUTE = 1, 2, 4
FLAT_CODE0, FLAT_DATA0, FLAT_CODE3, FLAT_DATA3 = 0x00CF9B00, 0x00CF9300, 0x00CFFB00, 0x00CFF300
HLT = "; hlt"


class Rig:
    """A Unicorn as `engine.Engine` sets it up, with hooks that write down what they see."""

    def __init__(self, source: str) -> None:
        self.code = assemble(source + HLT, CODE)
        self.uc = Uc(UC_ARCH_X86, UC_MODE_32, x86.UC_CPU_X86_QEMU32)
        self.uc.mem_map(0, RAM)
        self.uc.mem_write(CODE, self.code)
        self.uc.ctl_set_tlb_mode(UC_TLB_VIRTUAL)
        self.uc.ctl_exits_enabled(True)
        self.uc.ctl_set_exits([])
        offsets = layout.discover()
        self.offsets = offsets
        self.handle = layout.handle(self.uc)
        self.registers = Registers(layout.env_address(self.uc, (offsets.cpu, offsets.env)))
        self.fills: list[tuple[int, int]] = []
        self.blocks: list[tuple[int, int]] = []
        self.log: list[Any] = []
        self.translate: Callable[[int, int], tuple[int, int] | None] = lambda page, kind: (page, 7)
        self.uc.hook_add(UC_HOOK_TLB_FILL, self._fill)
        self.uc.hook_add(UC_HOOK_BLOCK, self._block)
        self.uc.mem_write(GDT, struct.pack("<5Q", 0, 0xCF9B000000FFFF, 0xCF93000000FFFF, 0, 0))
        self.uc.reg_write(x86.UC_X86_REG_GDTR, (0, GDT, 0x1F, 0))
        self.uc.reg_write(x86.UC_X86_REG_ESP, 0x30000)
        self.registers.eip = CODE

    def _fill(self, _uc: Uc, address: int, kind: int, entry: Any, _data: Any) -> bool:
        self.fills.append((address & 0xFFFFFFFF, kind))
        found = self.translate(address & 0xFFFFFFFF, kind)
        if found is None:
            return False
        entry.paddr, entry.perms = found
        return True

    def _block(self, _uc: Uc, address: int, size: int, _data: Any) -> None:
        self.blocks.append((address, size))

    def run(self, at: int | None = None) -> int:
        try:
            self.uc.emu_start(self.registers.eip if at is None else at, 0xFFFFFFFF)
        except UcError as error:
            return int(error.errno)
        return 0

    def fills_of(self, page: int) -> list[int]:
        return [kind for address, kind in self.fills if address == page]

    def ring(self, level: int) -> None:
        """Change the ring without flushing anything."""
        r = self.registers
        r.set_segment(CS, 0x1B if level else 8, 0, 0xFFFFFFFF, FLAT_CODE3 if level else FLAT_CODE0)
        r.set_segment(SS, 0x23 if level else 16, 0, 0xFFFFFFFF, FLAT_DATA3 if level else FLAT_DATA0)
        r.update_mode(protected=True)


def size(source: str) -> int:
    return len(assemble(source, CODE))


def memory(rig: Rig) -> list[tuple[int, int, int]]:
    """(kind, address, size) of what the memory hook reports."""
    seen: list[tuple[int, int, int]] = []

    def access(_uc: Uc, kind: int, address: int, length: int, _value: int, _data: Any) -> None:
        seen.append((kind, address, length))
        rig.log.append(("access", address, bytes(rig.uc.mem_read(DATA + 0x1000, 4))))

    rig.uc.hook_add(UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, access)
    return seen


@dataclasses.dataclass
class Seen:
    vector: int
    software: bool
    eip: int
    error: int


def interrupts(rig: Rig) -> list[Seen]:
    seen: list[Seen] = []

    def interrupt(uc: Uc, vector: int, _data: Any) -> None:
        r = rig.registers
        seen.append(Seen(vector, r.software_interrupt, r.eip - CODE, r.error_code))
        uc.emu_stop()

    rig.uc.hook_add(UC_HOOK_INTR, interrupt)
    return seen
