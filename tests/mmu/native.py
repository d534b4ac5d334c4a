"""Unicorn with its native MMU (QEMU's), one access at a time: the other opinion of the differential tests.

Its traps are worked around here: the pending exception is never cleared by itself, error codes have no API,
and a fault may leave A set in the entries that it walked (see test_differential.py).
"""

import ctypes
import struct
from dataclasses import dataclass
from typing import Any

from unicorn import UC_ARCH_X86, UC_HOOK_INTR, UC_MODE_32, Uc
from unicorn.unicorn_const import UC_CTL_IO_WRITE, UC_CTL_TLB_FLUSH
from unicorn.x86_const import (
    UC_CPU_X86_QEMU32,
    UC_X86_REG_CR0,
    UC_X86_REG_CR2,
    UC_X86_REG_CR3,
    UC_X86_REG_CR4,
    UC_X86_REG_CS,
    UC_X86_REG_EAX,
    UC_X86_REG_ECX,
    UC_X86_REG_ESP,
    UC_X86_REG_GDTR,
    UC_X86_REG_SS,
)

from emulator.cpu import layout
from tests.support import DIRECTORY, GDT, MEMORY, PG, PGE, PSE, STACK_KERNEL, STACK_USER, WP

STUBS = 0x50000  # a fresh stub for each access: the host's writes don't drop translated code


@dataclass(frozen=True)
class Access:
    """One access by a program; `value` is what a write writes."""

    kind: str  # read, write or fetch
    address: int
    value: int
    user: bool
    wp: bool

    def code(self) -> bytes:
        if self.kind == "fetch":
            return b"\xff\xe1"  # jmp ecx
        return (b"\xa1" if self.kind == "read" else b"\xa3") + struct.pack("<I", self.address)


class Native:
    """A machine of its own with a copy of the same memory."""

    def __init__(self, ram: bytes) -> None:
        self.uc = Uc(UC_ARCH_X86, UC_MODE_32, UC_CPU_X86_QEMU32)
        self.ram = ctypes.create_string_buffer(ram, MEMORY)
        self.uc.mem_map_ptr(0, MEMORY, 7, ctypes.addressof(self.ram))
        offsets = layout.discover()
        self.env = layout.env_address(self.uc, (offsets.cpu, offsets.env))
        self.fault: tuple[int, int, int] | None = None
        self.uc.hook_add(UC_HOOK_INTR, self._interrupt)
        self.uc.ctl_exits_enabled(True)
        self.uc.ctl_set_exits([])
        self.uc.reg_write(UC_X86_REG_GDTR, (0, GDT, 0x2F, 0))
        self.uc.reg_write(UC_X86_REG_CR0, 0x11)
        self.uc.reg_write(UC_X86_REG_CS, 8)
        self.uc.reg_write(UC_X86_REG_SS, 0x10)
        self.uc.reg_write(UC_X86_REG_CR3, DIRECTORY)
        self.uc.reg_write(UC_X86_REG_CR4, PSE | PGE)
        self.kernel = self.uc.context_save()
        self.stubs = STUBS

    def _interrupt(self, uc: Uc, vector: int, _data: Any) -> None:
        error = ctypes.c_uint32.from_address(self.env + layout.ERROR_CODE).value
        self.fault = (vector, uc.reg_read(UC_X86_REG_CR2), error)
        uc.emu_stop()

    def run(self, access: Access) -> tuple[int, int, int]:
        """(0x30, EAX, 0) if it succeeds, (14, CR2, error code) if not: as `support.Rig` logs it."""
        uc = self.uc
        uc.context_restore(self.kernel)
        ctypes.c_int32.from_address(self.env + layout.OLD_EXCEPTION).value = -1
        uc.reg_write(UC_X86_REG_CR0, 0x11 | PG | (WP if access.wp else 0))
        uc.ctl(UC_CTL_TLB_FLUSH, UC_CTL_IO_WRITE)
        frame = struct.pack("<5I", self.stubs + 1, 0x1B, 2, STACK_USER, 0x23)
        stub = (b"\xcf" if access.user else b"") + access.code()
        top = STACK_KERNEL - len(frame)
        self.write(top, frame)
        self.write(self.stubs, stub)
        uc.reg_write(UC_X86_REG_ESP, top)
        uc.reg_write(UC_X86_REG_EAX, access.value)
        uc.reg_write(UC_X86_REG_ECX, access.address)
        self.fault = None
        count = 1 + access.user + (access.kind == "fetch")
        uc.emu_start(self.stubs, 0xFFFFFFFF, count=count)
        self.stubs += 32
        if self.fault is not None:
            return self.fault
        return 0x30, uc.reg_read(UC_X86_REG_EAX), 0

    def read(self, at: int, size: int) -> bytes:
        return ctypes.string_at(ctypes.addressof(self.ram) + at, size)

    def write(self, at: int, data: bytes) -> None:
        ctypes.memmove(ctypes.addressof(self.ram) + at, data, len(data))
