"""The few primitives that the compiled model is built from.

Everything in `mmu/` and `timing/` is plain Python that Numba compiles. The functions here give
it raw memory, calls through addresses, and one decorator. Each also runs uncompiled, so that a
test can execute the same model without Numba (`NUMBA_DISABLE_JIT=1`).

All integers are signed 64-bit: Numba turns int64-with-uint64 arithmetic into floats.
"""

import ctypes
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic, overload

from emulator.compile_cache import use_cache

use_cache()

Word: TypeAlias = Any  # a signed 64-bit integer, Python's or the compiler's

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile `function` with Numba, cached on disk; no bounds checks, no exceptions."""
    return njit(cache=True, error_model="numpy")(function)  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """Like `compiled`, for the few functions on the hot path: merged into their callers."""
    return njit(cache=True, error_model="numpy", forceinline=True)(function)  # type: ignore[no-any-return]


def callback(signature: Any) -> Callable[[F], Any]:
    """A C function for Unicorn to call, with its `address`."""
    return cfunc(signature, cache=True)  # type: ignore[no-any-return]


def for_python(signature: Any) -> Callable[[F], F]:
    """A compiled function for Python to call; the signature is given, so nothing compiles at run time."""
    return njit(signature, cache=True, error_model="numpy")  # type: ignore[no-any-return]


@intrinsic  # type: ignore[untyped-decorator]
def as_pointer(typing_context: Any, address: Any) -> Any:
    """An int64 address as a void pointer."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), codegen


def _call(count: int) -> Any:
    """An intrinsic that calls a C function `int64 f(int64 × count)` by its address."""

    def build(typing_context: Any, function: Any, *arguments: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            i64 = ir.IntType(64)
            pointer = builder.inttoptr(values[0], ir.FunctionType(i64, [i64] * count).as_pointer())
            return builder.call(pointer, list(values[1:]))

        return types.int64(types.int64, *([types.int64] * count)), codegen

    return build


@intrinsic  # type: ignore[untyped-decorator]
def call1(typing_context: Any, function: Any, a: Any) -> Any:
    """Call `int64 f(int64)` at an address."""
    return _call(1)(typing_context, function, a)


@intrinsic  # type: ignore[untyped-decorator]
def call3(typing_context: Any, function: Any, a: Any, b: Any, c: Any) -> Any:
    """Call `int64 f(int64, int64, int64)` at an address."""
    return _call(3)(typing_context, function, a, b, c)


@intrinsic  # type: ignore[untyped-decorator]
def call_ctl(typing_context: Any, function: Any, engine: Any, control: Any) -> Any:
    """Call the variadic `uc_ctl(engine, int control, ...)` at an address, with no further arguments."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        i64, i32 = ir.IntType(64), ir.IntType(32)
        kind = ir.FunctionType(i32, [i64, i32], var_arg=True)
        pointer = builder.inttoptr(values[0], kind.as_pointer())
        result = builder.call(pointer, [values[1], builder.trunc(values[2], i32)])
        return builder.sext(result, i64)

    return types.int64(types.int64, types.int64, types.int64), codegen


def load_u8(address: int) -> int:
    """The byte at a host address."""
    return ctypes.c_uint8.from_address(int(address)).value


def load_u32(address: int) -> int:
    """The unsigned 32-bit value at a host address, as a signed 64-bit integer."""
    return ctypes.c_uint32.from_address(int(address)).value


def load_i64(address: int) -> int:
    """The 64-bit value at a host address."""
    return ctypes.c_int64.from_address(int(address)).value


def store_u8(address: int, value: int) -> None:
    """Write a byte to a host address."""
    ctypes.c_uint8.from_address(int(address)).value = int(value)


def store_u32(address: int, value: int) -> None:
    """Write 32 bits to a host address."""
    ctypes.c_uint32.from_address(int(address)).value = int(value) & 0xFFFFFFFF


def store_i64(address: int, value: int) -> None:
    """Write 64 bits to a host address."""
    ctypes.c_int64.from_address(int(address)).value = int(value)


@overload(load_u8, inline="always", strict=False)  # type: ignore[untyped-decorator]
def _load_u8(address: Any) -> Any:
    return lambda address: np.int64(carray(as_pointer(address), (1,), dtype=np.uint8)[0])


@overload(load_u32, inline="always", strict=False)  # type: ignore[untyped-decorator]
def _load_u32(address: Any) -> Any:
    return lambda address: np.int64(carray(as_pointer(address), (1,), dtype=np.uint32)[0])


@overload(load_i64, inline="always", strict=False)  # type: ignore[untyped-decorator]
def _load_i64(address: Any) -> Any:
    return lambda address: carray(as_pointer(address), (1,), dtype=np.int64)[0]


@overload(store_u8, inline="always", strict=False)  # type: ignore[untyped-decorator]
def _store_u8(address: Any, value: Any) -> Any:
    def implementation(address: Any, value: Any) -> None:
        carray(as_pointer(address), (1,), dtype=np.uint8)[0] = np.uint8(value)

    return implementation


@overload(store_u32, inline="always", strict=False)  # type: ignore[untyped-decorator]
def _store_u32(address: Any, value: Any) -> Any:
    def implementation(address: Any, value: Any) -> None:
        carray(as_pointer(address), (1,), dtype=np.uint32)[0] = np.uint32(value)

    return implementation


@overload(store_i64, inline="always", strict=False)  # type: ignore[untyped-decorator]
def _store_i64(address: Any, value: Any) -> Any:
    def implementation(address: Any, value: Any) -> None:
        carray(as_pointer(address), (1,), dtype=np.int64)[0] = value

    return implementation
