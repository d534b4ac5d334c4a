"""What all tests share."""

import gc
import os
from collections.abc import Iterator
from unittest import mock

import pytest

from emulator.saved_code import PREFER_NUMBA

with mock.patch.dict(
    os.environ, {PREFER_NUMBA: "1"}
):  # here tests call compiled functions; processes do as usual
    import emulator.jit  # noqa: F401

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
