"""Decoded blocks and their access plans as one file: plain arrays, with a check over all of them.

    file       SHA-256 of the digest and of what follows | the fields of `Plans`, one .npy after the other

    hashes     of code and width, ascending    --+ the same number of each,
    keys       where the code is, its width      | in the same order
    rows       a block record as it begins     --+
    sections --> entries                       what rows point to
    code       all code bytes

A file is what somebody wrote: nothing in it is executed, every number that compiled code uses as an index is
looked at, and a file that isn't whole or isn't of this digest is none.
"""

import hashlib
import io
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.timing.plan_entries import (
    ENTRY_ALIGNED,
    ENTRY_LOAD,
    ENTRY_OPAQUE,
    ENTRY_OPERATE,
    ENTRY_STEP,
    ENTRY_SUM,
    FLAG_WRITE,
    IMMEDIATE,
    STORES,
    TEMPORARIES,
    ZERO,
)
from emulator.timing.state import BLOCK, ENTRY, SECTION

KEY: Final = np.dtype([("at", "u4"), ("size", "u4"), ("bits", "u1"), ("special", "u1")])
"""`special`: a row isn't enough, the block must be decoded."""
MAX_BYTES: Final = 64 << 20
MAX_BLOCKS: Final = 1 << 18
MAX_SECTIONS: Final = 1 << 19
MAX_ENTRIES: Final = 1 << 20
# what a run changes in a record, as it is in the beginning; the rest follows from the code
FRESH: Final = {
    **dict.fromkeys(("fetched", "symbol", "target", "alternative"), 0),
    **dict.fromkeys(("extra", "extras", "stamp", "stamps", "plans", "physical", "piece", "more"), 0),
    **{"counter": 1, "hooked": -1, "plan": -1, "steps": -1},
}
CHECK: Final = 32  # bytes of SHA-256
GENERAL: Final = 16  # registers of an operand, with those of 16-bit addressing

Array = NDArray[Any]


class Plans(NamedTuple):
    """Blocks with their plans. `rows["section"]` counts in `sections`, their "first" in `entries`."""

    hashes: Array
    keys: Array
    rows: Array
    sections: Array
    entries: Array
    code: Array


DTYPES: Final = Plans(
    np.dtype("u8"), KEY, BLOCK, SECTION, ENTRY, np.dtype("u1")  # type: ignore[arg-type]
)  # fmt: skip


def empty() -> Plans:
    """No plans."""
    return Plans(*(np.zeros(0, dtype=dtype) for dtype in DTYPES))


def code_hash(code: bytes, bits: int) -> int:
    """64 bits that stand for a block's code."""
    return int.from_bytes(hashlib.blake2b(code, digest_size=8, salt=bytes([bits])).digest(), "little")


def freshen(rows: Array) -> None:
    """Make records as new."""
    for name, value in FRESH.items():
        rows[name] = value


# -- the file


def encode(plans: Plans, digest: bytes) -> bytes:
    """A file's content."""
    room = io.BytesIO()
    for array in plans:
        np.lib.format.write_array(room, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    data = room.getvalue()
    return hashlib.sha256(digest + data).digest() + data


def decode(data: bytes, digest: bytes) -> Plans | None:
    """What is in a file; None if it is damaged, of another digest, or points outside itself."""
    if hashlib.sha256(digest + data[CHECK:]).digest() != data[:CHECK]:
        return None
    room = io.BytesIO(data[CHECK:])
    try:
        arrays = [np.lib.format.read_array(room, allow_pickle=False) for _ in DTYPES]
    except (ValueError, EOFError, MemoryError):
        return None
    if any(a.dtype != dtype or a.ndim != 1 for a, dtype in zip(arrays, DTYPES, strict=True)):
        return None
    plans = Plans(*arrays)
    if not _sound(plans):
        return None
    freshen(plans.rows)
    return plans


def _within(first: Array, count: Array, length: int) -> bool:
    """Do all ranges lie in an array of that length?"""
    first, count = first.astype("i8"), count.astype("i8")
    return bool(np.all((first >= 0) & (count >= 0) & (first + count <= length)))


def _sound(p: Plans) -> bool:
    if not len(p.hashes) == len(p.keys) == len(p.rows) <= MAX_BLOCKS:
        return False
    if len(p.sections) > MAX_SECTIONS or len(p.entries) > MAX_ENTRIES:
        return False
    return (
        bool(np.all(p.hashes[1:] >= p.hashes[:-1]))
        and _within(p.keys["at"], p.keys["size"], len(p.code))
        and _within(p.rows["section"], p.rows["sections"], len(p.sections))
        and _within(p.sections["first"], p.sections["count"], len(p.entries))
        and _sound_rows(p)
        and _sound_entries(p)
    )


def _sound_rows(p: Plans) -> bool:
    rows = p.rows
    planned = rows["sections"] > 0
    first = p.sections[rows["section"][planned]]
    counts = rows["entries"][planned]
    registers = [rows[name] for name in ("base", "index")]
    return bool(
        np.all(rows["entry"][planned] == first["first"])
        and np.all((counts == -1) | (counts == first["count"]))
        and np.all(rows["entries"][~planned] == 0)
        and np.all((rows["segment"] >= 0) & (rows["segment"] <= 5))
        and all(np.all((register >= -1) & (register < GENERAL)) for register in registers)
    )


def _sound_entries(p: Plans) -> bool:
    """Indices as `timing.plan` uses them: registers in a plain section, temporaries in a sliced one."""
    e = p.entries
    limits = np.full(len(e), ZERO)
    limits[ranges(*_parts(p.sections[p.sections["sliced"] != 0]))] = TEMPORARIES - 1
    results = np.isin(e["kind"], (ENTRY_LOAD, ENTRY_SUM, ENTRY_OPERATE, ENTRY_STEP))
    immediate = (e["kind"] == ENTRY_OPERATE) & (e["second"] == IMMEDIATE)
    writes = np.concatenate(([0], np.cumsum(e["flags"] & FLAG_WRITE, dtype="i8")))
    first, count = _parts(p.sections)
    return bool(
        np.all(e["kind"] <= ENTRY_OPAQUE)
        and np.all(e["first"] <= limits)
        and np.all((e["second"] <= limits) | immediate)
        and np.all(e["segment"] <= 5)
        and np.all(e["result"][results] < TEMPORARIES)
        and np.all(e["result"][e["kind"] == ENTRY_ALIGNED] <= 5)
        and np.all(e["stores"] <= STORES)
        and np.all(writes[first + count] - writes[first] <= STORES)
    )


# -- several files' plans as one


def _parts(sections: Array) -> tuple[Array, Array]:
    return sections["first"].astype("i8"), sections["count"].astype("i8")


def ranges(first: Array, count: Array) -> Array:
    """The numbers first .. first + count of each pair, one after the other."""
    ends = np.cumsum(count, dtype="i8")
    total = int(ends[-1]) if len(ends) else 0
    numbers: Array = np.arange(total) + np.repeat(first.astype("i8") - (ends - count), count)
    return numbers


def select(p: Plans, order: Array) -> Plans:
    """Some of the blocks, in another order, and only what belongs to them."""
    keys, rows = p.keys[order], p.rows[order]
    code = p.code[ranges(keys["at"], keys["size"])]
    keys["at"] = np.cumsum(keys["size"]) - keys["size"]
    sections = p.sections[ranges(rows["section"], rows["sections"])]
    rows["section"] = np.cumsum(rows["sections"]) - rows["sections"]
    entries = p.entries[ranges(*_parts(sections))]
    sections["first"] = np.cumsum(sections["count"]) - sections["count"]
    planned = rows["sections"] > 0
    rows["section"][~planned] = 0
    rows["entry"] = 0
    rows["entry"][planned] = sections["first"][rows["section"][planned]]
    return Plans(p.hashes[order], keys, rows, sections, entries, code)


def join(a: Plans, b: Plans) -> Plans:
    """The blocks of both, in that order."""
    keys, rows, sections = b.keys.copy(), b.rows.copy(), b.sections.copy()
    keys["at"] += len(a.code)
    rows["section"] += len(a.sections)
    rows["entry"] += len(a.entries)
    sections["first"] += len(a.entries)
    b = b._replace(keys=keys, rows=rows, sections=sections)
    return Plans(*(np.concatenate(pair) for pair in zip(a, b, strict=True)))


def entries_of(p: Plans) -> Array:
    """The number of entries of each block."""
    before: Array = np.concatenate(([0], np.cumsum(p.sections["count"], dtype="i8")))
    first = p.rows["section"].astype("i8")
    entries: Array = before[first + p.rows["sections"]] - before[first]
    return entries


def limited(p: Plans, limit: int = MAX_BYTES) -> Plans:
    """As many of the first blocks as fit in `limit` bytes and in memory, in order of their hashes."""
    count = p.rows["sections"].astype("i8")
    entries = entries_of(p)
    fixed = sum(dtype.itemsize for dtype in DTYPES[:3])
    size = fixed + p.keys["size"] + count * SECTION.itemsize + entries * ENTRY.itemsize
    fits = (
        (np.cumsum(size) <= limit - 4096)  # the heads of the arrays
        & (np.cumsum(count) <= MAX_SECTIONS)
        & (np.cumsum(entries) <= MAX_ENTRIES)
        & (np.arange(len(p.keys)) < MAX_BLOCKS)
    )
    kept = np.flatnonzero(fits)
    return select(p, kept[np.argsort(p.hashes[kept], kind="stable")])
