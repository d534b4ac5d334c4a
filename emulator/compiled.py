"""The few primitives that the compiled model is built from.

Everything in `mmu/` and `timing/` is plain Python that Numba compiles. The functions here give
it raw memory, calls through addresses, and one decorator. Each also runs uncompiled, so that a
test can execute the same model without Numba (`NUMBA_DISABLE_JIT=1`).

All integers are signed 64-bit: Numba turns int64-with-uint64 arithmetic into floats.
"""

import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from emulator.jit import CALLABLE, WITH_NUMBA, carray, cfunc, intrinsic, ir, njit, overload, types
from emulator.saved_code import saved

Word: TypeAlias = Any  # a signed 64-bit integer, Python's or the compiler's

WORD_BITS = 64

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile `function` with Numba; no bounds checks, no exceptions."""
    return njit(cache=CALLABLE, error_model="numpy")(function)  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """Like `compiled`, for the few functions on the hot path: merged into their callers."""
    return njit(cache=CALLABLE, error_model="numpy", forceinline=True)(function)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Callback:
    """A C function: its address, and what keeps its code alive."""

    address: int
    keeps: Any = None


def callback(signature: Any) -> Callable[[Callable[..., Any]], Callback]:
    """A C function for Unicorn to call."""
    return lambda function: _callback(signature, function, f"{function.__module__}.{function.__qualname__}")


def _callback(signature: Any, function: Callable[..., Any], name: str) -> Callback:
    if not WITH_NUMBA or saved.address(name) is not None:
        return Callback(_saved_address(name))
    if CALLABLE:
        made = cfunc(signature)(function)
        return Callback(made.address, made)
    return Callback(_compile(signature, function, name))


def _compile(signature: Any, function: Callable[..., Any], name: str) -> int:
    from emulator.whole_module import callback_ir

    saved.save(name, *callback_ir(signature, function))
    return _saved_address(name)


def _saved_address(name: str) -> int:
    address = saved.address(name)
    if address is None:
        raise ImportError(f"{name} is not among the saved callbacks in {saved.folder}; remove that folder")
    return address


def for_python(signature: Any) -> Callable[[F], F]:
    """A compiled function for Python to call; the signature is given, so nothing compiles at run time.

    Its first argument is the state record's array, which knows its address (`timing.state.Record`); the
    others are integers or booleans.
    """
    return lambda function: _for_python(signature, function, f"{function.__module__}.{function.__qualname__}")


def _for_python(signature: Any, function: F, name: str) -> F:
    count = function.__code__.co_argcount
    if WITH_NUMBA and saved.address(name) is None:
        if CALLABLE:
            return njit(signature, cache=True, error_model="numpy")(function)  # type: ignore[no-any-return]
        _compile(types.int64(*[types.int64] * count), _entry(signature, function), name)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * count)(_saved_address(name))

    @functools.wraps(function)
    def enter(state: Any, *values: int) -> int:
        return int(call(state.address, *values))

    if WITH_NUMBA:  # compiled functions call it as well
        overload(enter, jit_options={"error_model": "numpy"}, strict=False)(lambda *_types: function)
    return enter  # type: ignore[return-value]


def _entry(signature: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """The way in from `ctypes`: the record's address and 64-bit integers instead of Numba's objects."""
    from numba.np.numpy_support import as_dtype

    record, *others = signature.args
    names = [f"a{number}" for number in range(len(others))]
    values = [f"{a} != 0" if kind == types.boolean else a for a, kind in zip(names, others, strict=True)]
    call = f"function({', '.join(['carray(as_pointer(address), (1,), dtype)', *values])})"
    result = f"{call}; return 0" if signature.return_type == types.void else f"return np.int64({call})"
    scope: dict[str, Any] = {
        "function": compiled(function),
        "carray": carray,
        "as_pointer": as_pointer,
        "dtype": as_dtype(record.dtype),
        "np": np,
    }
    exec(f"def entry({', '.join(['address', *names])}): {result}", scope)
    entry: Callable[..., Any] = scope["entry"]
    return entry


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
def call4(typing_context: Any, function: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Call `int64 f(int64, int64, int64, int64)` at an address."""
    return _call(4)(typing_context, function, a, b, c, d)


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


def _memory(bits: int, stores: bool) -> Any:
    """An intrinsic that loads from a host address, without sign, or stores there: one machine instruction."""

    def build(typing_context: Any, *arguments: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            kind = ir.IntType(bits)
            pointer = builder.inttoptr(values[0], kind.as_pointer())
            if stores:
                value = values[1] if bits == WORD_BITS else builder.trunc(values[1], kind)
                builder.store(value, pointer, align=1)
                return context.get_dummy_value()
            value = builder.load(pointer, align=1)
            return value if bits == WORD_BITS else builder.zext(value, ir.IntType(WORD_BITS))

        result = types.void if stores else types.int64
        return result(*[types.int64] * len(arguments)), codegen

    return build


@intrinsic  # type: ignore[untyped-decorator]
def _raw_load_u8(typing_context: Any, address: Any) -> Any:
    return _memory(8, stores=False)(typing_context, address)


@intrinsic  # type: ignore[untyped-decorator]
def _raw_load_u32(typing_context: Any, address: Any) -> Any:
    return _memory(32, stores=False)(typing_context, address)


@intrinsic  # type: ignore[untyped-decorator]
def _raw_load_i64(typing_context: Any, address: Any) -> Any:
    return _memory(64, stores=False)(typing_context, address)


@intrinsic  # type: ignore[untyped-decorator]
def _raw_store_u8(typing_context: Any, address: Any, value: Any) -> Any:
    return _memory(8, stores=True)(typing_context, address, value)


@intrinsic  # type: ignore[untyped-decorator]
def _raw_store_u32(typing_context: Any, address: Any, value: Any) -> Any:
    return _memory(32, stores=True)(typing_context, address, value)


@intrinsic  # type: ignore[untyped-decorator]
def _raw_store_i64(typing_context: Any, address: Any, value: Any) -> Any:
    return _memory(64, stores=True)(typing_context, address, value)


_MERGED = {"forceinline": True, "error_model": "numpy"}


@overload(load_u8, jit_options=_MERGED, strict=False)  # type: ignore[untyped-decorator]
def _load_u8(address: Any) -> Any:
    return lambda address: _raw_load_u8(address)


@overload(load_u32, jit_options=_MERGED, strict=False)  # type: ignore[untyped-decorator]
def _load_u32(address: Any) -> Any:
    return lambda address: _raw_load_u32(address)


@overload(load_i64, jit_options=_MERGED, strict=False)  # type: ignore[untyped-decorator]
def _load_i64(address: Any) -> Any:
    return lambda address: _raw_load_i64(address)


@overload(store_u8, jit_options=_MERGED, strict=False)  # type: ignore[untyped-decorator]
def _store_u8(address: Any, value: Any) -> Any:
    return lambda address, value: _raw_store_u8(address, value)


@overload(store_u32, jit_options=_MERGED, strict=False)  # type: ignore[untyped-decorator]
def _store_u32(address: Any, value: Any) -> Any:
    return lambda address, value: _raw_store_u32(address, value)


@overload(store_i64, jit_options=_MERGED, strict=False)  # type: ignore[untyped-decorator]
def _store_i64(address: Any, value: Any) -> Any:
    return lambda address, value: _raw_store_i64(address, value)
