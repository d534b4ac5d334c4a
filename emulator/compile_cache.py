"""Where compiled code is kept: one folder for each version of the model's sources.

Numba notices a change only in the file that holds a function, not in the functions that it calls, so a
changed TLB would go on running in an old block hook. The folder's name is a digest of all the sources, of the
compiler and of this processor, and it is outside the package, which may be installed where nobody can write.
"""

import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

import llvmlite.binding as llvm

FIRST_TIME: Final = "ringtoll: compiling the model's callbacks, once for this version (10 to 40 seconds)"
COMPILED_SOURCES: Final = (
    "compiled.py",
    "mmu/*.py",
    "timing/*.py",
    "cpu/sysenter.py",
    "cpu/quick_delivery.py",
)
FORM: Final = "2"  # of the object files (saved_code.py)


def _sources() -> list[Path]:
    root = Path(__file__).parent
    return [path for pattern in COMPILED_SOURCES for path in sorted(root.glob(pattern))]


def compiled_modules() -> list[str]:
    """The names of the modules that hold everything compiled."""
    root = Path(__file__).parent.parent
    names = (".".join(path.relative_to(root).with_suffix("").parts) for path in _sources())
    return [name.removesuffix(".__init__") for name in names]


def _compiler() -> str:
    """Numba's version, without importing it, and what else decides the machine code."""
    found = importlib.util.find_spec("numba")
    places = (found.submodule_search_locations or []) if found is not None else []
    version = b"".join(Path(place, "_version.py").read_bytes() for place in places)
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    host = (llvm.get_default_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    return f"{FORM} {sys.version} {version!r} {llvm.llvm_version_info} {host} {settings}"


@functools.cache
def sources_digest() -> str:
    """A digest of everything that is compiled, and of what compiles it."""
    digest = hashlib.sha256(_compiler().encode())
    for path in _sources():
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _candidates() -> list[Path]:
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(chosen)]
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 (no HOME: no error)
    return [Path(home) / "ringtoll", Path(tempfile.gettempdir()) / f"ringtoll-{os.getuid()}"]


def cache_folder() -> Path | None:
    """The folder of this version, or None if there is no writable one: then each start compiles."""
    for candidate in _candidates():
        folder = candidate / sources_digest()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
            return folder
    return None


def say_first_time(*, complete: bool) -> None:
    """Before a long wait, say what for."""
    folder = cache_folder()
    if not complete and folder is not None and not any(folder.iterdir()):
        print(FIRST_TIME, file=sys.stderr, flush=True)
