"""Debian's packages, once for all tests that ask."""

import shutil

import pytest
from debian import Guests, Unavailable, fetch


@pytest.fixture(scope="session")
def guests() -> Guests:
    """The fetched guests; the test is skipped where they cannot be had."""
    try:
        return fetch()
    except Unavailable as error:
        pytest.skip(f"no third-party guests: {error}")


@pytest.fixture(scope="session")
def qemu() -> None:
    """Skips the test where there is no QEMU."""
    if shutil.which("qemu-system-i386") is None:
        pytest.skip("there is no qemu-system-i386")
