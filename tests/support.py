"""A small guest machine for tests: paging, two rings, a log, and a page-fault handler that skips.

    linear = physical    0 - 4 MB      one 4 MB page for both rings: tables, handlers, program, stacks, log
                         4 MB and up   nothing, until a test maps it; FRAMES is free memory

One page for all that isn't under test takes one entry of each TLB (a Pentium III has two for 4 MB code).

    int 0x30   append (0x30, EAX, EBX) to the log
    int 0x31   go on in ring 0          int 0x32   go on in ring 3
    #PF        append (14, CR2, error code), go on at EDI
    other      append (vector, error code or 0, EIP), go on at EDI

A program starts in ring 0 at PROGRAM. Keystone assembles it, after `EXIT` and friends are put in by the test.
"""

import functools
import gc
import importlib
import importlib.util
import struct
import sys
from types import ModuleType
from typing import Any
from unittest import mock

import keystone
import numpy as np

from emulator.machine import Machine, Outcome
from emulator.timing.profile import load_profile, profile_names
from emulator.timing.schema import Profile
from emulator.timing.state import StateView
from loader import load_image

PENTIUM4 = "pentium4-willamette-1400"
PENTIUM3 = "pentium3-katmai-550"
PROFILES = profile_names()

MEMORY = 16 << 20
DIRECTORY = 0x10000
TABLES = 0x11000  # up to fifteen page tables
RUNTIME = 0x20000
GDT = 0x30000
IDT = 0x31000
TSS = 0x32000
STACK_INNER = 0x36000  # ESP0
STACK_KERNEL = 0x38000
LOG_POINTER = 0x3F000
LOG = 0x40000
BOOT = 0x100000
PROGRAM = 0x200000
STACK_USER = 0x3FF000
FRAMES = 0x400000  # free physical memory for tests

P, W, U, A, D, BIG, G = 1, 2, 4, 0x20, 0x40, 0x80, 0x100
WP = 1 << 16
PG = 1 << 31
PSE, PGE = 1 << 4, 1 << 7

EXIT = "int 0x31; mov al, 0; out 0xf4, al; hlt;"
TO_KERNEL = "int 0x31;"
TO_USER = "int 0x32;"


@functools.cache
def profile(name: str) -> Profile:
    return load_profile(name)


def record(view: StateView) -> Any:
    """A state record as the model's functions take it, compiled or not."""
    return view.array.view(np.recarray)[0]


def uncompiled(module: ModuleType, *used: str) -> ModuleType:
    """A copy of a module of the model, and of modules that it uses, whose functions are plain Python."""
    spec = importlib.util.spec_from_file_location(f"{module.__name__}_uncompiled", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    replaced = {name: uncompiled(importlib.import_module(name)) for name in used}
    with (
        mock.patch("emulator.compiled.compiled", lambda function: function),
        mock.patch("emulator.compiled.inlined", lambda function: function),
        mock.patch.dict(sys.modules, replaced),
    ):
        spec.loader.exec_module(copy)
    return copy


@functools.cache
def assemble(source: str, origin: int) -> bytes:
    code, _count = keystone.Ks(keystone.KS_ARCH_X86, keystone.KS_MODE_32).asm(source, origin)
    return bytes(code)


def machine(name: str = PENTIUM4, **options: Any) -> Machine:
    return Machine(profile(name), **({"memory_bytes": MEMORY} | options))


def flat(code: bytes, address: int) -> Any:
    return load_image(code, memory_bytes=MEMORY, format="flat", address=address)


def _append(kind: str, first: str, second: str) -> str:
    """Assembly that appends a record; EAX and ESI are saved, ESI is the log's end."""
    return f"""
        push eax; push esi
        mov esi, [{LOG_POINTER}]
        {kind}; mov [esi], eax
        {first}; mov [esi + 4], eax
        {second}; mov [esi + 8], eax
        add esi, 12; mov [{LOG_POINTER}], esi
        pop esi; pop eax
    """


_FAULT_NUMBERS = {vector: vector in (8, 10, 11, 12, 13, 14, 17) for vector in range(20)}


def _handlers() -> dict[int, str]:
    """Source of every handler by vector. Behind `_append`'s two pushes the frame begins at ESP + 8."""
    made = {}
    for vector, has_error in _FAULT_NUMBERS.items():
        number = f"mov eax, {vector}"
        if vector == 14:
            record = _append(number, "mov eax, cr2", "mov eax, [esp + 8]")
        elif has_error:
            record = _append(number, "mov eax, [esp + 8]", "mov eax, [esp + 12]")
        else:
            record = _append(number, "xor eax, eax", "mov eax, [esp + 8]")
        made[vector] = record + ("add esp, 4;" if has_error else "") + "mov [esp], edi; iretd"
    made[0x30] = _append("mov eax, 0x30", "mov eax, [esp + 4]", "mov eax, ebx") + "iretd"
    made[0x31] = f"mov ecx, [esp]; mov esp, {STACK_KERNEL}; jmp ecx"
    # IRET would make them null, and then no access is allowed
    made[0x32] = "mov ecx, 0x23; mov ds, ecx; mov es, ecx;"
    made[0x32] += f"mov ecx, [esp]; push 0x23; push {STACK_USER}; push 2; push 0x1b; push ecx; iretd"
    return made


@functools.cache
def _runtime() -> tuple[bytes, dict[int, int]]:
    """The handlers' code and where each begins."""
    code, at = b"", {}
    for vector, source in _handlers().items():
        code += b"\x90" * (-len(code) % 16)
        at[vector] = RUNTIME + len(code)
        code += assemble(source, at[vector])
    return code, at


def gate(offset: int, dpl: int = 3, kind: int = 14) -> bytes:
    return struct.pack("<HHHH", offset & 0xFFFF, 8, 0x8000 | dpl << 13 | kind << 8, offset >> 16)


@functools.cache
def _boot(cr0: int, cr4: int) -> bytes:
    return assemble(
        f"""lgdt [{GDT + 0x100}]; lidt [{GDT + 0x108}]; mov ax, 0x28; ltr ax; mov esp, {STACK_KERNEL}
            mov eax, {DIRECTORY}; mov cr3, eax
            mov eax, cr4; or eax, {cr4}; mov cr4, eax
            mov eax, cr0; or eax, {cr0}; mov cr0, eax
            mov eax, {PROGRAM}; jmp eax""",
        BOOT,
    )


@functools.cache
def _freeze() -> None:
    gc.collect()
    gc.freeze()  # what is there already need not be looked at again


def collect() -> None:
    """Free dead machines: each is some ten megabytes in a cycle of few objects."""
    _freeze()
    gc.collect()


class Rig:
    """A machine with the layout above; map pages, then run a program."""

    def __init__(
        self, name: str = PENTIUM4, *, wp: bool = True, cr4: int = PSE | PGE, **options: Any
    ) -> None:
        collect()
        self.machine = machine(name, **options)
        self.cr0 = PG | (WP if wp else 0)
        self.cr4 = cr4
        self._tables: dict[int, int] = {}
        ram = self.machine.ram
        code, at = _runtime()
        ram.write(RUNTIME, code)
        for vector, address in at.items():
            ram.write(IDT + 8 * vector, gate(address))
        segments = [
            (0, 0, 0),
            *((0, 0xFFFFF, high) for high in (0xC09A, 0xC092, 0xC0FA, 0xC0F2)),
            (TSS, 103, 0x89),
        ]
        for index, (base, limit, high) in enumerate(segments):
            words = (
                (base << 16 | limit & 0xFFFF) & 0xFFFFFFFF,
                (base & 0xFF000000 | base >> 16 & 0xFF | limit & 0xF0000 | high << 8) & 0xFFFFFFFF,
            )
            ram.write(GDT + 8 * index, struct.pack("<II", *words))
        ram.write(GDT + 0x100, struct.pack("<HI", 0x2F, GDT))
        ram.write(GDT + 0x108, struct.pack("<HI", 0x7FF, IDT))
        ram.write(TSS + 4, struct.pack("<II", STACK_INNER, 0x10))
        ram.write(TSS + 102, struct.pack("<H", 104))
        ram.write(LOG_POINTER, struct.pack("<I", LOG))
        self.big(0, 0, P | W | U)

    # -- mappings

    def big(self, linear: int, physical: int, bits: int) -> None:
        """A 4 MB page."""
        self.poke(DIRECTORY + 4 * (linear >> 22), physical & 0xFFC00000 | bits | BIG)

    def small(self, linear: int, physical: int, bits: int, directory_bits: int = P | W | U) -> None:
        """A 4 KB page; its table is made when the first page of the 4 MB area is mapped."""
        area = linear >> 22
        if area not in self._tables:
            self._tables[area] = TABLES + 4096 * len(self._tables)
            self.poke(DIRECTORY + 4 * area, self._tables[area] | directory_bits)
        self.poke(self.pte_at(linear), physical & 0xFFFFF000 | bits)

    def pde_at(self, linear: int) -> int:
        return DIRECTORY + 4 * (linear >> 22)

    def pte_at(self, linear: int) -> int:
        return self._tables[linear >> 22] + 4 * (linear >> 12 & 0x3FF)

    # -- memory

    def peek(self, physical: int) -> int:
        return int(struct.unpack("<I", self.machine.ram.read(physical, 4))[0])

    def poke(self, physical: int, value: int) -> None:
        self.machine.ram.write(physical, struct.pack("<I", value))

    # -- running

    def load(self, program: str | bytes) -> None:
        code = program if isinstance(program, bytes) else assemble(program, PROGRAM)
        self.machine.ram.write(PROGRAM, code)
        self.machine.load(flat(_boot(self.cr0, self.cr4), BOOT))

    def run(self, program: str | bytes, *, max_cycles: int = 500_000_000) -> list[tuple[int, int, int]]:
        """Run a program to its exit, check the invariants of every run, and give the log."""
        self.load(program)
        outcome = self.machine.run(max_cycles=max_cycles)
        assert outcome == Outcome("exit", 0, "the guest ended with status 0"), outcome
        check(self.machine)
        return self.log()

    def log(self) -> list[tuple[int, int, int]]:
        size = self.peek(LOG_POINTER) - LOG
        words = struct.unpack(f"<{size // 4}I", self.machine.ram.read(LOG, size))
        return list(zip(words[::3], words[1::3], words[2::3], strict=True))


def check(machine: Machine) -> None:
    """The ledger adds up, and every access that was reported could be modelled."""
    if machine.state.accounting:
        machine.ledger.check(machine.cycles)
        assert machine.host_statistics()["unmapped_model"] == 0


def logged(*values: int) -> list[tuple[int, int, int]]:
    """The log of `int 0x30` with these values in EAX and 0 in EBX."""
    return [(0x30, value, 0) for value in values]
