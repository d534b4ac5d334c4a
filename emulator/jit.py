"""Numba's names for the model's modules: Numba's own, or stand-ins when everything compiled is on disk.

With stand-ins, types and decorators do nothing, a compiled function is the plain Python function that it is
written as, and only `callback` and `for_python` (`compiled.py`) lead to machine code. Nothing else calls
compiled functions outside the tests, which have Numba (`RINGTOLL_NUMBA`).
"""

import os
from typing import TYPE_CHECKING, Any, Final

from emulator.compile_cache import say_first_time
from emulator.saved_code import PREFER_NUMBA, saved

CALLABLE: Final = any(os.environ.get(name) for name in (PREFER_NUMBA, "NUMBA_DISABLE_JIT"))
"""May tests call every compiled function? Each is compiled by itself then, besides the callbacks."""
WITH_NUMBA: Final = CALLABLE or not saved.complete


class StandIn:
    """Has every attribute, can be called with everything, and is always itself."""

    def __getattr__(self, name: str) -> "StandIn":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_arguments: Any, **_named: Any) -> "StandIn":
        """A type with parameters, or a signature."""
        return self


def _decorator(*_arguments: Any, **_named: Any) -> Any:
    """A decorator with arguments that leaves the function as it is."""
    return lambda function: function


if TYPE_CHECKING or WITH_NUMBA:
    import numba
    from llvmlite import ir as ir
    from numba import carray as carray
    from numba import cfunc as cfunc
    from numba import from_dtype as from_dtype
    from numba import njit as njit
    from numba import types as types
    from numba.extending import intrinsic as intrinsic
    from numba.extending import overload as overload

    say_first_time(complete=saved.complete)
    if saved.folder is not None:
        numba.config.CACHE_DIR = str(saved.folder)
else:
    carray = cfunc = from_dtype = ir = types = StandIn()
    njit = overload = _decorator

    def intrinsic(function: Any) -> Any:
        """A decorator without arguments that leaves the function as it is."""
        return function
