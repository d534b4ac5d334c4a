"""What tests with third-party guests need: for want of it they are skipped, but in CI they fail."""

import os
import shutil
from typing import NoReturn

import pytest
from debian import Guests, Unavailable, fetch


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def guests() -> Guests:
    """Debian's packages, fetched once for all tests that ask."""
    try:
        return fetch()
    except Unavailable as error:
        _missing(f"no third-party guests: {error}")


@pytest.fixture(scope="session")
def qemu() -> None:
    """The second opinion."""
    if shutil.which("qemu-system-i386") is None:
        _missing("there is no qemu-system-i386")
