"""The register file by Unicorn's public API: what is used where its private layout isn't found (`layout.py`).

    engine's env --uc_context_save--> copy, which compiled code and Python use in place of env
                 <--uc_context_restore-- if they have changed it

A context is env's beginning, byte for byte, with all that has no register number in the API: cached mode
bits, hidden parts of segments, error codes. The copy is made anew before every callback that looks at it
and given back behind it, so it is much slower, with the same results.

A failed fill's exact address isn't told either, only its page. Hooks with bounds find it: those of 64 bytes
each, appended while the fill's hooks are being called, and then, by the one that is, those of one byte.
"""

import ctypes
import functools
from collections.abc import Callable
from typing import Any, Final

from unicorn import (
    UC_ARCH_X86,
    UC_HOOK_BLOCK,
    UC_HOOK_CODE,
    UC_HOOK_INSN,
    UC_HOOK_TLB_FILL,
    UC_MODE_32,
    Uc,
)
from unicorn.x86_const import UC_CPU_X86_QEMU32

from emulator.cpu.layout import (
    LayoutError,
    check_env,
    check_exception,
    check_fpu,
    find_registers,
    handle,
    uclib,
)

PAGE: Final = 4096
CHUNK: Final = 64
_EDGE_GENERATED: Final = 1 << 15
_ptr, _u64, _i32 = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int32
_FILL: Final = ctypes.CFUNCTYPE(ctypes.c_bool, _ptr, _u64, _i32, _ptr, _ptr)
PROTOTYPES: Final = {
    UC_HOOK_BLOCK: ctypes.CFUNCTYPE(None, _ptr, _u64, ctypes.c_uint32, _ptr),
    UC_HOOK_CODE: ctypes.CFUNCTYPE(None, _ptr, _u64, ctypes.c_uint32, _ptr),
    UC_HOOK_TLB_FILL: _FILL,
    UC_HOOK_INSN: ctypes.CFUNCTYPE(ctypes.c_int64, _ptr, _ptr),
    _EDGE_GENERATED: ctypes.CFUNCTYPE(None, _ptr, _ptr, _ptr, _ptr),
}
"""Compiled callbacks that look at registers. What those of memory use changes only between blocks."""


def _call(name: str, *arguments: Any) -> None:
    status = uclib[name](*arguments)
    if status:
        raise LayoutError(f"{name} failed with status {status}")


@functools.cache
def check() -> None:
    """See on scratch engines that a context has registers and exceptions where env has them.

    Raises: LayoutError.
    """
    copies: list[PublicState] = []  # they own the memory that is looked at

    def copy_of(engine: Uc) -> int:
        copies.append(PublicState(handle(engine)))
        return copies[-1].address

    check_env(Uc(UC_ARCH_X86, UC_MODE_32, UC_CPU_X86_QEMU32), copy_of)
    check_exception(copy_of)
    check_fpu(copy_of)


class PublicState:
    """A copy of one engine's register file."""

    def __init__(self, engine: int) -> None:
        """`engine`: address of its `uc_struct`.

        Raises: LayoutError, if a context isn't a copy of the register file.
        """
        self._handle = _ptr(engine)
        self._context = _ptr()
        size = uclib["uc_context_size"]
        size.restype, size.argtypes = ctypes.c_size_t, [_ptr]
        _call("uc_context_alloc", self._handle, ctypes.byref(self._context))
        total = int(size(self._handle))
        at = self._context.value or 0

        def contents() -> bytes:
            _call("uc_context_save", self._handle, self._context)
            return ctypes.string_at(at, total)

        offset = find_registers(engine, contents)
        self.address, self._size = at + offset, total - offset
        self._save, self._restore = uclib["uc_context_save"], uclib["uc_context_restore"]
        self._before = b""
        self.fault_address = 0
        self._probes: list[tuple[Any, Any]] = []  # handle, callback
        self._keep: list[Any] = []
        self.refresh()

    def give_back(self) -> None:
        """Write the copy to the engine if it was changed."""
        now = ctypes.string_at(self.address, self._size)
        if self._before and now != self._before:
            self._restore(self._handle, self._context)
            self._before = now

    def refresh(self) -> None:
        """Make the copy anew, after giving back what was changed."""
        self.give_back()
        self._save(self._handle, self._context)
        self._before = ctypes.string_at(self.address, self._size)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` with a fresh copy, given back behind it."""

        def called(*arguments: Any) -> Any:
            self.refresh()
            result = function(*arguments)
            self.give_back()
            return result

        return called

    def wrap(self, kind: int, callback: int) -> int:
        """The address of a hook that calls a compiled one with a fresh copy."""
        prototype = PROTOTYPES.get(kind)
        if prototype is None:
            return callback
        called = self.around(prototype(callback))
        pointer = prototype(self._probing(called) if kind == UC_HOOK_TLB_FILL else called)
        self._keep.append(pointer)
        return int(ctypes.cast(pointer, _ptr).value or 0)

    def _probing(self, fill: Callable[..., Any]) -> Callable[..., Any]:
        """A fill that looks for the exact address when it fails."""

        def called(engine: Any, address: int, kind: int, entry: Any, data: Any) -> bool:
            done = bool(fill(engine, address, kind, entry, data))
            if not done:
                self.forget_probes()
                page = address & ~(PAGE - 1)
                self.fault_address = page & 0xFFFFFFFF
                for begin in range(page, page + PAGE, CHUNK):
                    self._probe(begin, CHUNK)
            return done

        return called

    def _probe(self, begin: int, size: int) -> None:
        """Append a hook for failed fills in `size` bytes."""

        def called(*_arguments: Any) -> bool:
            self.fault_address = begin & 0xFFFFFFFF
            if size > 1:
                for at in range(begin, begin + size):
                    self._probe(at, 1)
            return False

        pointer, hook = _FILL(called), ctypes.c_size_t()
        first, last = _u64(begin), _u64(begin + size - 1)
        kind = _i32(UC_HOOK_TLB_FILL)
        _call("uc_hook_add", self._handle, ctypes.byref(hook), kind, pointer, None, first, last)
        self._probes.append((hook, pointer))

    def __del__(self) -> None:
        if self._context:
            uclib["uc_context_free"](self._context)

    def forget_probes(self) -> None:
        """Remove the hooks that have found an address."""
        for hook, _ in self._probes:
            _call("uc_hook_del", self._handle, hook)
        self._probes.clear()
