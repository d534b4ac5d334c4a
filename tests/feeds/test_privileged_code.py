"""Both feeds count the same in the generated privileged code of `tests.differential`."""

import pytest

from emulator.machine import Feed, Machine
from loader import load_image
from tests.cpu.support import P4, profile
from tests.differential import image
from tests.differential import layout as at
from tests.differential.scenarios import generate
from tests.feeds.compare import compare

BATCH = 150


@pytest.mark.parametrize("first", range(0, 600, BATCH))
def test_generated_privileged_code_costs_the_same(first: int) -> None:
    built, _ = image.make(range(first, first + BATCH), lambda seed, base: generate(seed, base, ""))

    def make(feed: Feed) -> Machine:
        machine = Machine(profile(P4), memory_bytes=at.RAM, feed=feed)
        machine.load(load_image(built, memory_bytes=at.RAM, format="multiboot"))
        return machine

    difference, outcome = compare(make, window=20_000, limit=60_000_000)
    assert difference is None, str(difference)
    assert outcome.kind == "exit", outcome
