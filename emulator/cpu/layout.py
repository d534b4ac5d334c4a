"""Unicorn's private layout: the register file and three flags that its public API does not offer.

Everything here is discovered or checked on a scratch engine when the first machine is made. What differs
is never used wrongly: `public_state.py` does without, more slowly, with the same results. Another version
of Unicorn is refused. (tests/cpu/test_contracts.py states each behaviour.)

::

    of the wheel of Unicorn 2.1.4

    uc_struct --+440--> CPUState --+35408--> env:
        0    regs[8]       u64 each: eax ecx edx ebx esp ebp esi edi
        128  eip           136 eflags (without condition codes)   168 cc_op   176 hflags   180 hflags2
        184  segs[6]       stride 24: u32 selector; u64 base @8; u32 limit @16; u32 flags @20
        328  ldt  352 tr  376 gdt  400 idt   (same form)          424 cr[5] u64
        608  fpus, fpuc u16   778 fp_status.float_exception_flags   810 sse_status's   816 mxcsr
        5384 error_code    5388 exception_is_int   5496 old_exception
"""

import contextlib
import ctypes
import functools
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import unicorn
from unicorn import UC_ARCH_X86, UC_HOOK_INTR, UC_HOOK_TLB_FILL, UC_MODE_32, UC_TLB_VIRTUAL, Uc, UcError
from unicorn.unicorn_py3 import unicorn as binding
from unicorn.x86_const import (
    UC_CPU_X86_QEMU32,
    UC_X86_REG_CR4,
    UC_X86_REG_EAX,
    UC_X86_REG_EBX,
    UC_X86_REG_ECX,
    UC_X86_REG_EDX,
    UC_X86_REG_EIP,
    UC_X86_REG_GDTR,
    UC_X86_REG_MXCSR,
)

uclib: Any = binding.uclib

REGISTERS: Final = 0
EIP: Final = 128
EFLAGS: Final = 136
FLAGS_STATE: Final = 168
HFLAGS: Final = 176
HFLAGS2: Final = 180
SEGMENTS: Final = 184
SEGMENT_STRIDE: Final = 24
LDT: Final = 328
TR: Final = 352
GDT: Final = 376
IDT: Final = 400
CONTROL: Final = 424
A20_MASK: Final = 496
ERROR_CODE: Final = 5384
IS_INT: Final = 5388
OLD_EXCEPTION: Final = 5496
FPU_STATUS: Final = 608
FPU_CONTROL: Final = 610
FP_FLAGS: Final = 778
SSE_FLAGS: Final = 810
MXCSR: Final = 816

_MAGIC: Final = (0x5CA1AB1E, 0x0DDBA110, 0x7EEDFACE, 0x1BADB002)
_REGISTERS: Final = (UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX)
_FAULT_ADDRESS: Final = 0x2B7A5E3C
_SUPPORTED: Final = "2.1.4"


class LayoutError(Exception):
    """This Unicorn isn't the one whose layout we know."""


@dataclass(frozen=True)
class Offsets:
    """What has to be found: offsets inside `uc_struct`, and the way from there to `env`."""

    cpu: int  # uc_struct -> pointer to CPUState
    env: int  # CPUState -> env
    invalid_address: int  # uc_struct: the linear address of the last failed fill (CR2)
    skip_sync: int  # uc_struct: "don't sync EIP before the next memory hook"


def handle(engine: Uc) -> int:
    """Address of the engine's `uc_struct`."""
    return int(engine._uch.value)


def _peek(memory: int, address: int, size: int) -> bytes:
    try:
        return os.pread(memory, size, address)
    except (OSError, OverflowError):
        return b""


def find_registers(handle_: int, contents: Callable[[], bytes]) -> int:
    """Write four magic registers through the API and look for them in `contents()`: the offset of the first.

    Raises: LayoutError.
    """
    values = [ctypes.c_uint64(value) for value in (*_MAGIC, 0, 0, 0, 0)]
    engine = ctypes.c_void_p(handle_)

    def put(numbers: Sequence[Any]) -> None:
        for register, value in zip(_REGISTERS, numbers, strict=True):
            uclib.uc_reg_write(engine, ctypes.c_int(register), ctypes.byref(value))

    put(values[:4])
    at = contents().find(struct.pack("<4Q", *_MAGIC))
    put(values[4:])
    if at < 0:
        raise LayoutError("register file not found")
    return at


def _find_env(memory: int, engine: Uc) -> tuple[int, int]:
    """Look for the register file behind every pointer in `uc_struct`."""
    engine.reg_write(UC_X86_REG_EAX, 0)  # the first access makes the processor
    top = _peek(memory, handle(engine), 8192)
    for offset in (440, *range(0, len(top) - 7, 8)):
        (pointer,) = struct.unpack_from("<Q", top, offset)
        if pointer < 0x10000 or pointer >> 47:
            continue
        with contextlib.suppress(LayoutError):
            contents = functools.partial(_peek, memory, pointer, 0x40000)
            return offset, find_registers(handle(engine), contents)
    raise LayoutError("register file not found")


def _find_invalid_address(memory: int) -> int:
    """Fault a fill at a known linear address and look for that address."""
    engine = Uc(UC_ARCH_X86, UC_MODE_32)
    engine.mem_map(0, 0x10000)
    engine.ctl_set_tlb_mode(UC_TLB_VIRTUAL)
    engine.mem_write(0x1000, b"\xa1" + struct.pack("<I", _FAULT_ADDRESS))

    def fill(_engine: Any, address: int, _access: int, entry: Any, _data: Any) -> bool:
        if address >> 16:
            return False
        entry.paddr, entry.perms = address, 7
        return True

    engine.hook_add(UC_HOOK_TLB_FILL, fill)
    with contextlib.suppress(UcError):
        engine.emu_start(0x1000, 0x2000)
    top = _peek(memory, handle(engine), 8192)
    found = [o for o in range(0, len(top) - 7, 8) if struct.unpack_from("<Q", top, o)[0] == _FAULT_ADDRESS]
    if len(found) != 1:
        raise LayoutError(f"address of a failed fill found {len(found)} times in uc_struct")
    return found[0]


def _find_skip_sync(memory: int) -> int:
    """A register write of EIP sets `skip_sync_pc_on_exit`, the highest byte that goes from 0 to 1."""
    engine = Uc(UC_ARCH_X86, UC_MODE_32)
    engine.mem_map(0, 0x10000)
    engine.mem_write(0x1000, b"\x90" * 4)
    engine.emu_start(0x1000, 0x1002)
    before = _peek(memory, handle(engine), 20000)
    engine.reg_write(UC_X86_REG_EIP, 0x1000)
    after = _peek(memory, handle(engine), 20000)
    found = [o for o, (a, b) in enumerate(zip(before, after, strict=False)) if a == 0 and b == 1]
    if not found:
        raise LayoutError("skip_sync_pc_on_exit not found")
    return found[-1]


def check_env(engine: Uc, env_of: Callable[[Uc], int]) -> None:
    """The offsets inside `env` are constants; see that they hold what the API says. Raises: LayoutError."""
    engine.reg_write(UC_X86_REG_GDTR, (0, 0x12345678, 0x4321, 0))
    engine.reg_write(UC_X86_REG_EIP, 0x00345678)
    checks = {
        "gdt.base": (GDT + 8, 8, 0x12345678),
        "gdt.limit": (GDT + 16, 4, 0x4321),
        "eip": (EIP, 8, 0x00345678),
    }
    _expect(env_of(engine), checks)


def _expect(env: int, checks: dict[str, tuple[int, int, int]]) -> None:
    for name, (offset, size, expected) in checks.items():
        value = int.from_bytes(ctypes.string_at(env + offset, size), "little")
        if value != expected:
            raise LayoutError(f"{name} expected at env+{offset}: {value:#x} != {expected:#x}")


def check_exception(env_of: Callable[[Uc], int]) -> None:
    """Raise #GP(0x1238) by loading a selector beyond the GDT; see the error code and the vector.

    Raises: LayoutError.
    """
    engine = Uc(UC_ARCH_X86, UC_MODE_32, UC_CPU_X86_QEMU32)
    engine.mem_map(0, 0x10000)
    engine.mem_write(0x1000, b"\x66\xb8\x38\x12\x8e\xd8")  # mov ax, 0x1238; mov ds, ax
    engine.reg_write(UC_X86_REG_GDTR, (0, 0x8000, 0x1F, 0))
    seen: list[int] = []

    def interrupt(uc: Uc, vector: int, _data: Any) -> None:
        seen.append(vector)
        uc.emu_stop()

    engine.hook_add(UC_HOOK_INTR, interrupt)
    with contextlib.suppress(UcError):
        engine.emu_start(0x1000, 0x1010)
    env = env_of(engine)
    error = ctypes.c_uint32.from_address(env + ERROR_CODE).value
    old = ctypes.c_int32.from_address(env + OLD_EXCEPTION).value
    if seen[:1] != [13] or error != 0x1238 or old != 13:
        raise LayoutError(f"#GP(1238): vectors {seen}, error code {error:#x}, old exception {old}")


def check_fpu(env_of: Callable[[Uc], int]) -> None:
    """Divide by zero and inexactly with x87 and SSE instructions; see the registers and softfloat's flags.

    Raises: LayoutError.
    """
    engine = Uc(UC_ARCH_X86, UC_MODE_32, UC_CPU_X86_QEMU32)
    engine.mem_map(0, 0x10000)
    engine.mem_write(0x2000, struct.pack("<4f", 1, 0, 1, 3))
    engine.reg_write(UC_X86_REG_CR4, 0x200)
    engine.reg_write(UC_X86_REG_MXCSR, 0x1FA0)
    # fninit; fldpi; fadd st, st(0); fldpi; faddp; fld1; fldz; fdivp
    code = b"\xdb\xe3\xd9\xeb\xd8\xc0\xd9\xeb\xde\xc1\xd9\xe8\xd9\xee\xde\xf9"
    # movups xmm0, [0x2000]; shufps xmm1, xmm0, 0x30; divps xmm0, xmm1
    code += b"\x0f\x10\x05\x00\x20\x00\x00\x0f\xc6\xc8\x30\x0f\x5e\xc1"
    engine.mem_write(0x1000, code)
    try:
        engine.emu_start(0x1000, 0x1000 + len(code))
    except UcError as error:
        raise LayoutError(f"x87 and SSE instructions: {error}") from None
    checks = {
        "fpus": (FPU_STATUS, 2, 0x0004),
        "fpuc": (FPU_CONTROL, 2, 0x037F),
        "softfloat's x87 flags": (FP_FLAGS, 1, 0x24),
        "softfloat's SSE flags": (SSE_FLAGS, 1, 0x25),
        "mxcsr": (MXCSR, 4, 0x1FA0),
    }
    _expect(env_of(engine), checks)


def env_address(engine: Uc, offsets: tuple[int, int]) -> int:
    """Address of the register file of an engine."""
    cpu = ctypes.c_uint64.from_address(handle(engine) + offsets[0]).value
    return int(cpu) + offsets[1]


PUBLIC: Final = "public"
CHOICE: Final = "RINGTOLL_LAYOUT"  # "public": as if the private layout had not been found


@functools.cache
def choose() -> tuple[Offsets | None, str]:
    """The private layout, or None where it can't be used, and why; then `public_state` is used.

    Raises: LayoutError if Unicorn's version is another.
    """
    if unicorn.__version__ != _SUPPORTED:
        raise LayoutError(f"Unicorn {unicorn.__version__} found, {_SUPPORTED} needed")
    if os.environ.get(CHOICE) == PUBLIC:
        return None, f"{CHOICE}={PUBLIC} is set"
    try:
        return discover(), ""
    except (LayoutError, OSError) as error:
        return None, str(error)


@functools.cache
def discover() -> Offsets:
    """Find the layout on scratch engines, once a process.

    Raises: LayoutError, naming what wasn't as expected.
    """
    if unicorn.__version__ != _SUPPORTED:
        raise LayoutError(f"Unicorn {unicorn.__version__} found, {_SUPPORTED} needed")
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    try:
        engine = Uc(UC_ARCH_X86, UC_MODE_32, UC_CPU_X86_QEMU32)
        way = _find_env(memory, engine)
        check_env(engine, lambda engine: env_address(engine, way))
        check_exception(lambda engine: env_address(engine, way))
        check_fpu(lambda engine: env_address(engine, way))
        return Offsets(way[0], way[1], _find_invalid_address(memory), _find_skip_sync(memory))
    finally:
        os.close(memory)
