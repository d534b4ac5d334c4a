"""Compile a callback and everything that it calls as one LLVM module, optimised and translated once.

Numba makes every function ready to be called from Python: it links what the function calls into its module,
optimises that and generates code for it, so a function that ten others call is compiled eleven times. Only
callbacks are ever called here. So while one is compiled, inner functions stay LLVM IR:

    function --> IR --.
    function --> IR --+--> IR of the callback --> optimised --> object code, by `saved_code`

This replaces four methods of Numba's code library meanwhile. A Numba that lacks one compiles as always.
"""

import contextlib
import ctypes
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import llvmlite.binding as llvm

_UNREACHABLE: Final = ctypes.CFUNCTYPE(None)(os.abort)  # nobody calls an inner function from Python


def callback_ir(signature: Any, function: Callable[..., Any]) -> tuple[str, str]:
    """Optimised LLVM IR of a callback with all that it calls, and the name of its C function there."""
    from numba import cfunc
    from numba.core import codegen

    optimise = codegen.CPUCodeLibrary._optimize_final_module
    with _inner_functions_stay_ir():
        made = cfunc(signature)(function)
        library = made._library
        # Numba keeps the C function apart from the function itself: a call and a frame more at each entry
        merged = re.sub(
            r"(?m)^(attributes #\d+ = \{) noinline \}", r"\1 alwaysinline }", str(library._final_module)
        )
        library._final_module = llvm.parse_assembly(merged)
        optimise(library)
        return made.inspect_llvm(), made.native_name


@contextlib.contextmanager
def _inner_functions_stay_ir() -> Iterator[None]:
    from numba.core import codegen, cpu

    library = codegen.JITCodeLibrary
    replaced = (
        (library, "_optimize_final_module", lambda _self: None),
        (library, "_finalize_final_module", _finalize),
        (library, "get_pointer_to_function", _pointer),
        (cpu.CPUContext, "get_executable", _executable),
    )
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    try:
        for owner, name, function in replaced:
            setattr(owner, name, function)
        yield
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)


def _finalize(library: Any) -> None:
    """The module is whole. It doesn't go to the engine, which would generate code for it."""
    library._finalize_dynamic_globals()
    library._verify_declare_only_symbols()
    library._finalized = True


def _pointer(library: Any, _name: str) -> int:
    library._ensure_finalized()
    return 0


def _executable(_context: Any, library: Any, descriptor: Any, environment: Any) -> Any:
    from numba import _dynfunc

    return _dynfunc.make_function(
        descriptor.lookup_module(),
        descriptor.qualname.rsplit(".", 1)[-1],
        "part of a callback",
        ctypes.cast(_UNREACHABLE, ctypes.c_void_p).value,
        environment,
        (library,),
    )
