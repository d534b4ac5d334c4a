"""What all tests share."""

import gc
from collections.abc import Iterator

import pytest

_EVERY = 25  # tests between two collections
_count = 0


@pytest.fixture(autouse=True)
def _machines_go_with_their_tests() -> Iterator[None]:
    """A machine is a cycle of callbacks that owns megabytes which the collector can't see: help it."""
    global _count
    yield
    _count += 1
    if _count % _EVERY == 0:
        gc.collect()
