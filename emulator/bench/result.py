"""The form of every benchmark's result, and its JSON.

The fields stand in the order of the file. Nothing of the host (time, path, name) may enter a result of
modelled cycles, so that two runs give the same bytes.
"""

from pathlib import Path

import msgspec
from msgspec import UNSET, Struct, UnsetType

from emulator.bench.errors import BenchError

SCHEMA = 1

Number = int | float


class ImageInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """What ran: the SHA-256 covers the kernel, its modules and its command line."""

    name: str
    sha256: str


class Point(Struct, frozen=True, forbid_unknown_fields=True):
    """Where on which curve a row stands, for benchmarks that draw some."""

    mechanism: str
    data_pages: int
    code_pages: int
    measure: str


class Row(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One measured operation; `ledger` explains the run whose value is the median."""

    name: str
    title: str
    unit: str = "cycles"
    min: Number
    median: Number
    max: Number
    runs: int
    published: Number | None = None
    bare: Number | UnsetType = UNSET
    ratio: float | None = None
    reference: float | UnsetType = UNSET
    seconds: Number | UnsetType = UNSET
    ledger: dict[str, int] = {}
    misses: dict[str, int] | UnsetType = UNSET
    point: Point | UnsetType = UNSET


class Result(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A benchmark's result."""

    schema: int = SCHEMA
    benchmark: str
    ringtoll: str
    profile: str
    image: ImageInfo
    options: dict[str, str | int]
    rows: list[Row]
    notes: list[str]

    def row(self, name: str) -> Row | None:
        """The row of that name, if there is one."""
        return next((row for row in self.rows if row.name == name), None)


def encode(result: Result) -> bytes:
    """The JSON text, the same bytes for the same result."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n"


def decode(data: bytes) -> Result:
    """Read a result back; a BenchError if it is none, or one of another schema."""
    try:
        result = msgspec.json.decode(data, type=Result)
    except msgspec.DecodeError as error:
        raise BenchError(f"not a benchmark result: {error}") from error
    if result.schema != SCHEMA:
        raise BenchError(f"a result of schema {result.schema}; this version reads schema {SCHEMA}")
    return result


def read(path: Path) -> Result:
    """Read a result from a file."""
    return decode(path.read_bytes())
