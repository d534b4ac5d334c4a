"""The plans of earlier runs, on disk beside the compiled code: a block that is known needs no decoder.

What is kept of a block depends on its bytes, its width and the profile, and on nothing that a run found out:
so a run is the same with the cache, with one that another guest filled, and without. (Where a block's
sections were split while it ran is not kept for that reason; it is rare.)

    RINGTOLL_PLANS    unset: in the folder of `compile_cache`; empty: no cache; else: in this folder

A cache that can't be read is none, and one that can't be written isn't: never an error.
"""

import contextlib
import hashlib
import os
from bisect import bisect_left
from pathlib import Path
from typing import Any, Final

import capstone
import numpy as np

from emulator.compile_cache import cache_folder, sources_digest
from emulator.cpu.plan_file import (
    DTYPES,
    MAX_BYTES,
    Plans,
    code_hash,
    decode,
    empty,
    encode,
    join,
    limited,
    select,
)
from emulator.timing.costs import Costs
from emulator.timing.schema import Profile

PLACE: Final = "RINGTOLL_PLANS"
SUFFIX: Final = ".plans"
# what decides over plans and records, beside what is compiled
SOURCES: Final = (
    *("plan*.py", "disassemble.py", "decode.py", "blocks.py", "pieces.py", "fpu.py"),
    *("classify.py", "mnemonics.py", "kinds.py", "features.py"),
)
MISSING: Final = -1


def folder() -> Path | None:
    """Where the files are; None: nowhere."""
    chosen = os.environ.get(PLACE)
    if chosen is None:
        return cache_folder()
    if not chosen:
        return None
    path = Path(chosen)
    with contextlib.suppress(OSError):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.stat().st_uid == os.getuid():
            return path
    return None


def plans_digest(profile: Profile, costs: Costs) -> bytes:
    """A digest of everything that plans and records follow from, but for the code."""
    features = profile.cpuid.feature_edx.value, profile.cpuid.feature_ecx.value
    rest = (capstone.__version__, capstone.cs_version(), *features, sorted(costs.classes.items()), costs.rep)
    formats = [np.dtype(dtype).descr for dtype in DTYPES]
    digest = hashlib.sha256(f"{sources_digest()} {rest} {formats}".encode())
    for pattern in SOURCES:
        for path in sorted(Path(__file__).parent.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.digest()


class PlanCache:
    """The file of one profile."""

    def __init__(self, where: Path | None, digest: bytes, limit: int = MAX_BYTES) -> None:
        """`limit`: bytes of all files in the folder."""
        self.digest, self.limit = digest, limit
        self.file = None if where is None else where / (digest.hex()[:16] + SUFFIX)
        self.plans = empty()
        self._hashes: Any = memoryview(b"").cast("Q")
        self._code = b""

    def load(self) -> None:
        """Take in what is on disk."""
        self.plans = self._read()
        self._hashes = self.plans.hashes.data
        self._code = self.plans.code.tobytes()

    def find(self, code: bytes, bits: int) -> int:
        """The row of a block, or MISSING."""
        hashes = self._hashes
        wanted = code_hash(code, bits)
        at = bisect_left(hashes, wanted)
        if at == len(hashes) or hashes[at] != wanted:
            return MISSING
        start, size, width, _ = self.plans.keys[at].item()
        if width != bits or self._code[start : start + size] != code:
            return MISSING
        return at

    def save(self, new: Plans, taken: list[int]) -> None:
        """Write what is new, then what this run has used (rows), then the rest, as far as it fits."""
        if self.file is None:
            return
        old = self._read()  # another process may have written since
        rest = ~np.isin(old.hashes, new.hashes)
        used = np.isin(old.hashes, self.plans.hashes[taken])
        order = np.concatenate((np.flatnonzero(rest & used), np.flatnonzero(rest & ~used)))
        data = encode(limited(join(new, select(old, order)), self.limit), self.digest)
        temporary = self.file.with_name(f"{self.file.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            try:
                temporary.write_bytes(data)
                temporary.replace(self.file)  # another process sees the whole file or none
            finally:
                temporary.unlink(missing_ok=True)
            self._prune()

    def _read(self) -> Plans:
        if self.file is not None:
            with contextlib.suppress(OSError):
                if self.file.stat().st_size <= MAX_BYTES:
                    return decode(self.file.read_bytes(), self.digest) or empty()
        return empty()

    def _prune(self) -> None:
        """Files of other profiles and versions go when all together are too large, the oldest first."""
        assert self.file is not None
        left = self.limit
        found = [(path.stat(), path) for path in self.file.parent.glob(f"*{SUFFIX}*")]
        for status, path in sorted(found, key=lambda pair: -pair[0].st_mtime_ns):
            left -= status.st_size
            if left < 0 and path != self.file:
                path.unlink()
