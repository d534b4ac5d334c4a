"""What all tests share."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from unittest import mock

import pytest

from emulator.saved_code import PREFER_NUMBA, saved

COMPILE = "from emulator.saved_code import saved; saved.finish()"

with mock.patch.dict(
    os.environ, {PREFER_NUMBA: "1"}
):  # here tests call compiled functions; processes do as usual
    import emulator.jit  # noqa: F401


def pytest_configure(config: pytest.Config) -> None:
    """Have the callbacks compiled, as any process does, before workers wait for each other's."""
    if not hasattr(config, "workerinput") and not saved.complete:
        subprocess.run([sys.executable, "-c", COMPILE], check=True)


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
