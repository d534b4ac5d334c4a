"""Reading back what `boot --stats` has written; nothing is reported whose sums don't add up."""

from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from emulator.cli.errors import CliError
from emulator.cli.summary import SCHEMA
from emulator.timing.causes import CAUSES

KIND: Final = "statistics"


class LedgerFile(Struct, frozen=True):
    """Cycles, as `Ledger.to_json` gives them; zeros are left out."""

    total: int
    by_cause: dict[str, int]
    by_ring: dict[str, int]
    by_ring_and_cause: dict[str, dict[str, int]]
    by_symbol: dict[str, dict[str, int]]


class Statistics(Struct, frozen=True):
    """A `--stats` file."""

    schema: int
    kind: str
    profile: str
    image: dict[str, Any]
    outcome: dict[str, Any]
    cycles: int
    seconds: float
    instructions: int
    statistics: dict[str, int]
    ledger: LedgerFile


def read_statistics(path: Path) -> Statistics:
    """Read and check a file. Raises: CliError, OSError."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Statistics)
    except msgspec.DecodeError as error:
        raise CliError(f"{path} is not a file of `ringtoll boot --stats`: {error}") from error
    if (found.schema, found.kind) != (SCHEMA, KIND):
        what = f"{found.kind} of schema {found.schema}"
        raise CliError(f"{path}: {what}; this version reads {KIND} of schema {SCHEMA}")
    _check(found, path)
    return found


def _check(found: Statistics, path: Path) -> None:
    ledger = found.ledger
    parts = {
        "causes": ledger.by_cause,
        "rings": ledger.by_ring,
        **{f"ring {ring}": causes for ring, causes in ledger.by_ring_and_cause.items()},
    }
    totals = {name: sum(cycles.values()) for name, cycles in parts.items()}
    totals["symbols"] = sum(sum(causes.values()) for causes in ledger.by_symbol.values())
    for name, total in totals.items():
        ring = name.removeprefix("ring ")
        wanted = ledger.by_ring.get(ring) if name != ring else found.cycles
        if total != wanted:
            raise CliError(f"{path}: the cycles of its {name} sum to {total}, not to {wanted}")
    named = set(ledger.by_cause).union(*ledger.by_symbol.values(), *ledger.by_ring_and_cause.values())
    if unknown := sorted(named - set(CAUSES)):
        raise CliError(f"{path}: no such cause: {', '.join(unknown)}")
