"""What is said about a run when it is over: the summary for people, the statistics file for programs."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from rich.console import Console

import emulator
from emulator.cli.tables import WALKS, ledger_table, symbol_table, tlb_table
from emulator.timing.ledger import Ledger

SCHEMA = 1
TOP = 20  # symbols in the summary


class Measured(Protocol):
    """What the summary asks of a machine."""

    @property
    def cycles(self) -> int:
        """Modelled cycles."""

    @property
    def instructions(self) -> int:
        """Guest instructions."""

    @property
    def ledger(self) -> Ledger:
        """Where the cycles went."""

    def statistics(self) -> Mapping[str, int]:
        """Misses, faults, interrupts by name."""


def modelled_time(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def show_summary(machine: Measured, profile: str, mhz: float, console: Console) -> None:
    """Print cycles, time, instructions, where the cycles went, and the counts that aren't zero."""
    cycles, instructions = machine.cycles, machine.instructions
    per = f", {cycles / instructions:.2f} cycles each" if instructions else ""
    console.print(
        f"{cycles:,} cycles = {modelled_time(cycles / (mhz * 1e6))} on {profile}; "
        f"{instructions:,} instructions{per}",
        highlight=False,
        soft_wrap=True,
    )
    if machine.ledger.total():
        console.print(ledger_table(machine.ledger))
        statistics = machine.statistics()
        if any(statistics.get(f"{cause}_misses") for cause in WALKS):
            console.print(tlb_table(statistics, machine.ledger))
        if len(machine.ledger.by_symbol()) > 1:
            console.print(symbol_table(machine.ledger, TOP))
    counts = ", ".join(f"{name} {n:,}" for name, n in machine.statistics().items() if n)
    if counts:
        console.print(counts, highlight=False, soft_wrap=True)


def statistics_json(
    machine: Measured, profile: str, mhz: float, image: Mapping[str, Any], outcome: Mapping[str, Any]
) -> str:
    """The text of the `--stats` file. Modelled figures only: the same run gives the same bytes."""
    statistics = {
        "schema": SCHEMA,
        "kind": "statistics",
        "ringtoll": emulator.__version__,
        "profile": profile,
        "image": dict(image),
        "outcome": dict(outcome),
        "cycles": machine.cycles,
        "seconds": machine.cycles / (mhz * 1e6),
        "instructions": machine.instructions,
        "statistics": dict(machine.statistics()),
        "ledger": machine.ledger.to_json(),
    }
    return json.dumps(statistics, indent=2) + "\n"
