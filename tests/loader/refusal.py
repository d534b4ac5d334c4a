"""What the tests of the loaders share: loading with 16 MiB, and expecting one rule to be named."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from loader import Image, ImageError, Rule, load_image
from loader.image import one_line

MEMORY = 16 << 20


def load(data: bytes, **options: Any) -> Image:
    return load_image(data, **{"name": "kernel", "memory_bytes": MEMORY, **options})


@contextmanager
def refused(rule: Rule, *words: str, file: str = "kernel") -> Iterator[None]:
    with pytest.raises(ImageError) as caught:
        yield
    error = caught.value
    assert (error.rule, error.file) == (rule, file), str(error)
    assert len(str(error).splitlines()) == 1
    assert str(error).startswith(f"{one_line(file)}: ")
    for word in words:
        assert word in str(error)
