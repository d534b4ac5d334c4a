"""The fragment of a seed."""

import random

from tests.differential import crossings, instructions, modes, numeric, paging
from tests.differential import layout as at
from tests.differential.fragment import Fragment
from tests.differential.registry import SCENARIOS

MODULES = (crossings, instructions, modes, numeric, paging)


def generate(seed: int, base: int, only: str = "") -> Fragment:
    """The fragment of a seed, placed at an address; `only` overrules the choice of its scenario."""
    r = random.Random(seed)
    name = r.choice(sorted(SCENARIOS))
    fragment = Fragment(seed, base, only or name)
    values = (0, 1, 0x7FFFFFFF, 0x80000000, at.ALL)
    fragment.registers = [r.choice((*values, r.getrandbits(32))) for _ in range(8)]
    SCENARIOS[fragment.name](r, fragment)
    return fragment
