"""The scenarios: functions that fill a fragment, one a subject."""

import random
from collections.abc import Callable

from tests.differential import layout as at
from tests.differential.fragment import Fragment

SNAPSHOT = f"int {at.SNAPSHOT_VECTOR}"
Scenario = Callable[[random.Random, Fragment], None]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Registers a scenario under its function's name."""
    SCENARIOS[function.__name__] = function
    return function


def random_selector(r: random.Random) -> int:
    """Any selector of the tables, mostly with a random RPL."""
    return r.choice(at.SELECTORS) | r.choice((0, 1, 2, 3, 3))


def random_ring(r: random.Random) -> int:
    """0 and 3 are the common ones."""
    return r.choice((0, 0, 1, 2, 3, 3))


def far(opcode: int, selector: int, offset: int) -> str:
    """JMP (0xea) or CALL (0x9a) ptr16:32, which keystone can't write."""
    return f".byte {opcode:#x}; .long {offset:#x}; .short {selector:#x}"
