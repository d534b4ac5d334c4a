"""Where Numba keeps the compiled callbacks: one folder for each version of the model's sources.

Numba notices a change only in the file that holds a function, not in the functions that it calls, so a
changed TLB would go on running in an old block hook. The folder's name is a digest of all the sources,
and it is outside the package, which may be installed where nobody can write.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

import numba

FIRST_TIME: Final = "ringtoll: compiling the model's callbacks, once for this version (10 to 40 seconds)"
COMPILED_SOURCES: Final = (
    "compiled.py",
    "mmu/*.py",
    "timing/*.py",
    "cpu/sysenter.py",
    "cpu/quick_delivery.py",
)


def sources_digest() -> str:
    """A digest of everything that is compiled, and of the compiler's version."""
    root = Path(__file__).parent
    digest = hashlib.sha256(f"numba {numba.__version__}".encode())
    for pattern in COMPILED_SOURCES:
        for path in sorted(root.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _candidates() -> list[Path]:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 (no HOME: no error)
    return [Path(home) / "ringtoll", Path(tempfile.gettempdir()) / f"ringtoll-{os.getuid()}"]


def use_cache() -> None:
    """Point Numba at the folder of this version. Without a writable one, callbacks compile at each start."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    for candidate in _candidates():
        folder = candidate / sources_digest()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
            numba.config.CACHE_DIR = str(folder)
            if not any(folder.iterdir()):
                print(FIRST_TIME, file=sys.stderr, flush=True)
            return
