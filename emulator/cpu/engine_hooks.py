"""Callbacks of one Unicorn instance: compiled ones by address, rare events to Python, device memory."""

import ctypes
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from unicorn import (
    UC_HOOK_CODE,
    UC_HOOK_INSN,
    UC_HOOK_INSN_INVALID,
    UC_HOOK_INTR,
    Uc,
    UcError,
)
from unicorn.x86_const import UC_X86_INS_CPUID, UC_X86_INS_IN, UC_X86_INS_OUT

from emulator.cpu import layout
from emulator.cpu.public_state import PublicState
from emulator.memory.ram import PhysicalMemory
from emulator.timing.register_page import on_register_read
from emulator.timing.state import StateView

UC_ERR_OK: Final = 0
_uclib = layout.uclib
_uclib.uc_hook_add.restype = ctypes.c_int
_uclib.uc_emu_start.restype = ctypes.c_int
_VOID = None
_i32, _u32, _i64, _u64, _ptr = (
    ctypes.c_int32,
    ctypes.c_uint32,
    ctypes.c_int64,
    ctypes.c_uint64,
    ctypes.c_void_p,
)


def function_address(function: Any) -> int:
    """Address of a C function or a ctypes callback."""
    return int(ctypes.cast(function, _ptr).value or 0)


class EngineError(Exception):
    """Unicorn refused something that it must do for us."""


class EngineHooks:
    """What an engine calls."""

    uc: Uc
    ram: PhysicalMemory
    state: StateView
    failure: BaseException | None
    _handle: int
    _keep: list[Any]
    public: PublicState | None = None  # where the private layout isn't used

    def stop(self) -> None:
        """Leave `run` at the next opportunity."""
        _uclib.uc_emu_stop(self._c)

    @property
    def _c(self) -> ctypes.c_void_p:
        return _ptr(self._handle)

    def _check(self, status: int, what: str) -> None:
        if status != UC_ERR_OK:
            raise EngineError(f"{what}: {UcError(status)}")

    def _hook(
        self, kind: int, callback: int, instruction: int | None = None, begin: int = 1, end: int = 0
    ) -> int:
        """Install a compiled callback."""
        if self.public is not None:
            callback = self.public.wrap(kind, callback)
        return self._add_hook(kind, callback, instruction, begin, end)

    def _add_hook(self, kind: int, callback: int, instruction: int | None, begin: int, end: int) -> int:
        handle = ctypes.c_size_t()
        arguments = [self._c, ctypes.byref(handle), _i32(kind), _ptr(callback), _ptr(self.state.address)]
        arguments += [_u64(begin), _u64(end)]
        if instruction is not None:
            arguments.append(_i32(instruction))
        self._check(_uclib.uc_hook_add(*arguments), f"hook {kind}")
        return int(handle.value)

    def guard(self, function: Callable[..., Any], default: Any) -> Callable[..., Any]:
        """Wrap a callback: an exception is kept for the run loop, and the engine stops."""
        if self.public is not None:
            function = self.public.around(function)

        def guarded(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except BaseException as failure:
                self.failure = self.failure or failure
                self.stop()
                return default

        return guarded

    def callback(self, function: Callable[[int, int, int], int]) -> int:
        """Address of an int64 f(int64, int64, int64) for compiled code to call."""
        pointer = ctypes.CFUNCTYPE(_i64, _i64, _i64, _i64)(self.guard(function, -1))
        self._keep.append(pointer)
        return function_address(pointer)

    def _python_hook(
        self, kind: int, pointer: Any, instruction: int | None = None, begin: int = 1, end: int = 0
    ) -> None:
        self._keep.append(pointer)
        self._add_hook(kind, function_address(pointer), instruction, begin, end)

    def on_interrupt(self, function: Callable[[int], None]) -> None:
        """Call `function(vector)` for every exception and software interrupt but page faults and #UD."""
        guarded = self.guard(lambda _uc, vector, _data: function(vector), None)
        self._python_hook(UC_HOOK_INTR, ctypes.CFUNCTYPE(_VOID, _ptr, _u32, _ptr)(guarded))

    def on_invalid_instruction(self, function: Callable[[], None]) -> None:
        """Call `function()` for an undefined opcode."""

        def invalid(_uc: Any, _data: Any) -> bool:
            function()
            return True

        pointer = ctypes.CFUNCTYPE(ctypes.c_bool, _ptr, _ptr)(self.guard(invalid, False))
        self._python_hook(UC_HOOK_INSN_INVALID, pointer)

    def on_cpuid(self, function: Callable[[], None]) -> None:
        """Call `function()` in place of CPUID."""

        def cpuid(_uc: Any, _data: Any) -> int:
            function()
            return 1

        pointer = ctypes.CFUNCTYPE(_i32, _ptr, _ptr)(self.guard(cpuid, 1))
        self._python_hook(UC_HOOK_INSN, pointer, instruction=UC_X86_INS_CPUID)

    def on_ports(self, read: Callable[[int, int], int], write: Callable[[int, int, int], None]) -> None:
        """Call `read(port, size)` for IN and INS, `write(port, value, size)` for OUT and OUTS."""
        inp = self.guard(lambda _uc, port, size, _data: read(port, size) & 0xFFFFFFFF, 0xFFFFFFFF)
        out = self.guard(lambda _uc, port, size, value, _data: write(port, value, size), None)
        inp_pointer = ctypes.CFUNCTYPE(_u32, _ptr, _u32, _i32, _ptr)(inp)
        out_pointer = ctypes.CFUNCTYPE(_VOID, _ptr, _u32, _i32, _u32, _ptr)(out)
        self._python_hook(UC_HOOK_INSN, inp_pointer, instruction=UC_X86_INS_IN)
        self._python_hook(UC_HOOK_INSN, out_pointer, instruction=UC_X86_INS_OUT)

    def on_code(self, address: int, function: Callable[[int], None], size: int = 1) -> None:
        """Call `function(linear)` before each instruction at `size` linear addresses from `address` on."""

        def before(_uc: Any, at: int, _size: int, _data: Any) -> None:
            self.state.hooked_at, self.state.hooked_block = at & 0xFFFFFFFF, self.state.blocks
            function(at & 0xFFFFFFFF)

        guarded = self.guard(before, None)
        pointer = ctypes.CFUNCTYPE(_VOID, _ptr, _u64, _u32, _ptr)(guarded)
        self._python_hook(UC_HOOK_CODE, pointer, begin=address, end=address + size - 1)

    def on_compiled_code(self, address: int, callback: int) -> None:
        """Call compiled code before the instruction at one linear address."""
        self._hook(UC_HOOK_CODE, callback, begin=address, end=address)

    def on_every_instruction(self, callback: int) -> int:
        """Call compiled code before every instruction that is translated while the hook's bounds are open.

        Returns: where its two bounds are, both -2 (never) now; 0 and -1 open them.
        Raises: EngineError.
        """
        begin, end = 0x5EED5EED00000000, 0x5EED5EED00000001
        hook = self._hook(UC_HOOK_CODE, callback, begin=begin, end=end)
        found = ctypes.string_at(hook, 96).find(struct.pack("<QQ", begin, end))
        if found < 0:
            raise EngineError("the bounds of a hook aren't where they are in Unicorn 2.1.4")
        for at in (hook + found, hook + found + 8):
            _i64.from_address(at).value = -2
        return hook + found

    def map_devices(
        self,
        read: Callable[[int, int], int],
        write: Callable[[int, int, int], None],
        holes: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Everything above RAM is device memory: `read(physical, size)`, `write(physical, value, size)`.

        `holes` are (address, size) ranges left out, sorted, for `map_register_page`.
        """
        start = self.ram.size
        for address, size in (*holes, (1 << 32, 0)):
            if address > start:
                base = start
                inp = self.guard(lambda _uc, at, width, _data, base=base: read(base + at, width), 0xFFFFFFFF)
                out = self.guard(
                    lambda _uc, at, width, value, _data, base=base: write(base + at, value, width), None
                )
                self.uc.mmio_map(base, address - base, inp, None, out, None)
            start = address + size

    def map_register_page(
        self,
        address: int,
        page: NDArray[Any],
        write: Callable[[int, int, int], None],
        refresh: Callable[[int], None],
        volatile: Sequence[tuple[int, int]],
    ) -> None:
        """A page of device registers; loads are compiled as far as they need no Python.

        `page` holds the current values. `write(offset, value, size)` is called before a store lands in it,
        `refresh(offset)` before a load from one of the `volatile` ranges, each (offset, size).
        """
        marks: NDArray[Any] = np.zeros(len(page), dtype=np.uint8)
        for offset, length in volatile:
            marks[offset : offset + length] = 1

        def store(_uc: Any, offset: int, width: int, value: int, _data: Any) -> None:
            value &= (1 << 8 * width) - 1
            write(offset, value, width)
            page[offset : offset + width] = list(value.to_bytes(width, "little"))

        def before_load(offset: int, _b: int, _c: int) -> int:
            refresh(offset)
            return 0

        pointer = ctypes.CFUNCTYPE(_VOID, _ptr, _u64, _u32, _u64, _ptr)(self.guard(store, None))
        self._keep += [page, marks, pointer]
        s = self.state
        s.register_page, s.register_volatile = int(page.ctypes.data), int(marks.ctypes.data)
        s.register_refresh = self.callback(before_load)
        status = _uclib.uc_mmio_map(
            self._c,
            _u64(address),
            ctypes.c_size_t(len(page)),
            _ptr(on_register_read.address),
            _ptr(s.address),
            _ptr(function_address(pointer)),
            None,
        )
        self._check(status, "map a register page")
