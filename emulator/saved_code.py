"""Compiled callbacks on disk, as object code that LLVM alone can load.

Importing Numba, and letting it link what it has cached, takes longer than everything else before a guest's
first instruction. A callback is machine code behind one address, and needs neither:

    first start   Numba --> LLVM IR (`whole_module`) --> object code, one file each --> `complete`
    later starts  object code --> LLVM's linker --> address; Numba isn't imported (see `jit.py`)

    file          SHA-256, names of outside functions, 0, object code

The folder is Numba's own of this version (`compile_cache.py`). Whatever is wrong with it, Numba compiles.
"""

import contextlib
import ctypes
import hashlib
import importlib
import os
from pathlib import Path
from typing import Any, Final

import llvmlite.binding as llvm

from emulator.compile_cache import cache_folder, compiled_modules

PREFER_NUMBA: Final = "RINGTOLL_NUMBA"  # set: never use what is saved (tests, the model's developers)
COMPLETE: Final = "complete"
OBJECT: Final = ".o"
DIGEST: Final = 32  # bytes: SHA-256 of the rest
OPTIMIZATION: Final = 3  # as Numba compiles

_UNREACHABLE: Final = ctypes.CFUNCTYPE(None)(os.abort)
"""Stands for the functions of Python and Numba that report an exception: compiled code raises none."""


class SavedCode:
    """The object files of one folder. Without a folder nothing is saved or found."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._addresses: dict[str, int] = {}
        self._engine: Any = None
        self._target: Any = None

    @property
    def complete(self) -> bool:
        """Is every callback of this version there, as long as it was when the last one was saved?"""
        if self.folder is None:
            return False
        with contextlib.suppress(OSError, ValueError):
            lines = [line.rsplit(" ", 1) for line in (self.folder / COMPLETE).read_text().splitlines()]
            return all((self.folder / name).stat().st_size == int(size) for name, size in lines)
        return False

    def _file(self, name: str) -> Path | None:
        return None if self.folder is None else self.folder / (name + OBJECT)

    def address(self, name: str) -> int | None:
        """Load a callback: its address, or None if it isn't there or is of no use."""
        file = self._file(name)
        if name in self._addresses or file is None:
            return self._addresses.get(name)
        with contextlib.suppress(OSError, RuntimeError):
            data = file.read_bytes()
            if data[:DIGEST] != hashlib.sha256(data[DIGEST:]).digest():
                return None  # LLVM would end the process
            external, _, code = data[DIGEST:].partition(b"\0")
            self._link(name, external.decode(), code)
        return self._addresses.get(name)

    def save(self, name: str, ir: str, symbol: str) -> None:
        """Keep the function `symbol` of a module of LLVM IR under `name`: on disk, if there is a folder.

        Nothing happens if that isn't IR, or has no such function.
        """
        with contextlib.suppress(RuntimeError):
            module = llvm.parse_assembly(ir)
            for function in module.functions:
                if function.name == symbol:
                    function.name = name
                elif not function.is_declaration:
                    function.linkage = "internal"
            self._linker()
            manager = llvm.create_new_module_pass_manager()
            manager.add_global_dead_code_eliminate_pass()  # what has been merged into its callers
            options = llvm.create_pipeline_tuning_options(speed_level=0)
            manager.run(module, llvm.create_pass_builder(self._target, options))
            values = [*module.functions, *module.global_variables]
            external = " ".join(value.name for value in values if value.is_declaration)
            code = self._target.emit_object(module)
            self._link(name, external, code)
            data = external.encode() + b"\0" + code
            file = self._file(name)
            if file is not None:
                with contextlib.suppress(OSError):
                    self._write(file, hashlib.sha256(data).digest() + data)

    def finish(self) -> None:
        """See that every callback of the model has been compiled and saved; then say so."""
        if self.folder is None or self.complete:
            return
        for module in compiled_modules():
            importlib.import_module(module)
        files = sorted(self.folder.glob(f"*{OBJECT}"))
        with contextlib.suppress(OSError):
            self._write(
                self.folder / COMPLETE,
                "".join(f"{file.name} {file.stat().st_size}\n" for file in files).encode(),
            )

    def _link(self, name: str, external: str, code: bytes) -> None:
        engine = self._linker()
        for symbol in external.split():
            if llvm.address_of_symbol(symbol) is None:
                llvm.add_symbol(symbol, ctypes.cast(_UNREACHABLE, ctypes.c_void_p).value)
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        self._addresses[name] = int(engine.get_function_address(name))

    @staticmethod
    def _write(file: Path, data: bytes) -> None:
        """Another process sees the whole file or none."""
        temporary = file.with_name(f"{file.name}.{os.getpid()}")
        temporary.write_bytes(data)
        temporary.replace(file)

    def _linker(self) -> Any:
        if self._engine is None:
            llvm.initialize_native_target()
            llvm.initialize_native_asmprinter()
            self._target = llvm.Target.from_default_triple().create_target_machine(
                cpu=llvm.get_host_cpu_name(),
                features=llvm.get_host_cpu_features().flatten(),
                opt=OPTIMIZATION,
                codemodel="jitdefault",
                jit=True,
            )
            self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), self._target)
        return self._engine


saved: Final = SavedCode(cache_folder())
