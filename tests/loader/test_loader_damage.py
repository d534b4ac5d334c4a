"""Whatever the bytes are, the end is an image or an ImageError: soon, and in little memory."""

import itertools
import tracemalloc
from typing import Any

import pytest
from elf_builder import (
    CODE,
    FUNCTION,
    MIB,
    Elf,
    Load,
    multiboot2_elf,
    multiboot2_header,
    multiboot_elf,
    multiboot_header,
    tag,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from linux_builder import BzImage
from refusal import MEMORY

from loader import ImageError, Module, load_image

FORMATS = ["auto", "elf", "multiboot", "multiboot2", "bzimage", "linux", "flat"]
SOON = 2000  # milliseconds; a busy host is no failure
SYMBOLS = [("start", MIB, 2, FUNCTION, 1), ("loop", MIB + 2, 0, FUNCTION, 1)]
TAGS = tag(1, 1, 4, 6) + tag(4, 3) + tag(5, 80, 25, 0, optional=True) + tag(10, MIB, 8 * MIB, 4096, 1)
FILES = {
    "elf": Elf(symbols=SYMBOLS, loads=[Load(), Load(physical=2 * MIB, data=b"data")]).build(),
    "multiboot": multiboot_elf(symbols=SYMBOLS),
    "multiboot 2": multiboot2_elf(TAGS, symbols=SYMBOLS),
    "addresses 2": multiboot2_header(tag(2, MIB, MIB, 0, 0) + tag(3, MIB + 4) + TAGS) + CODE,
    "bzimage": BzImage().build(),
    "addresses": multiboot_header(1 << 16, [MIB, MIB, 0, 0, MIB + 32]) + CODE,
    "boot sector": CODE.ljust(510, b"\0") + b"\x55\xaa",
}


def attempt(data: bytes, **options: Any) -> None:
    """Load; let through whatever is not an ImageError, and check what an image promises."""
    try:
        image = load_image(data, name="file", memory_bytes=MEMORY, **options)
    except ImageError:
        return
    spans = sorted((s.address, s.end) for s in image.segments if s.memory_size)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert all(len(s.data) <= s.memory_size for s in image.segments)
    assert max(end for _, end in spans) <= image.memory_needed <= MEMORY
    eip = image.entry.eip
    assert any(start <= eip < end for start, end in spans)


@settings(deadline=SOON)
@given(st.binary(max_size=4096), st.sampled_from(FORMATS))
def test_random_bytes(data: bytes, format: str) -> None:
    attempt(data, format=format)


@settings(deadline=SOON)
@given(st.binary(max_size=256))
def test_random_bytes_behind_an_elf_identity(data: bytes) -> None:
    attempt(FILES["elf"][:20] + data)


@settings(deadline=SOON)
@given(st.binary(max_size=256), st.integers(0, 0xFFFFFFFF))
def test_random_bytes_behind_a_multiboot_header(data: bytes, flags: int) -> None:
    attempt(multiboot_header(flags & 0xFFFF0003) + data)


@settings(deadline=SOON)
@given(st.binary(max_size=256))
def test_random_tags_of_a_multiboot_2_header(data: bytes) -> None:
    attempt(multiboot2_header(data) + CODE)
    attempt(multiboot2_elf(data))


@settings(deadline=SOON)
@given(st.binary(min_size=0x72, max_size=0x72), st.integers(0x200, 0x210), st.binary(max_size=64))
def test_a_random_setup_header(header: bytes, version: int, initrd: bytes) -> None:
    data = bytearray(BzImage().build())
    data[0x1F1:0x263] = header
    data[0x202:0x206] = b"HdrS"
    data[0x206:0x208] = version.to_bytes(2, "little")
    data[0x211] |= 1
    attempt(bytes(data), initrd=initrd, append="x" * 20)


@settings(deadline=SOON)
@given(st.integers(0, 0x71), st.integers(0, 0xFFFFFFFF), st.binary(max_size=64))
def test_any_word_of_a_setup_header_replaced(at: int, value: int, initrd: bytes) -> None:
    data = bytearray(BzImage().build())
    data[0x1F1 + at : 0x1F5 + at] = value.to_bytes(4, "little")
    attempt(bytes(data), initrd=initrd, append="x" * 20)


@settings(deadline=SOON)
@given(st.integers(-1, 1 << 33), st.sampled_from(["bzimage", "multiboot 2"]))
def test_any_memory_size_for(memory_bytes: int, name: str) -> None:
    options: dict[str, Any] = {"initrd": bytes(5000)} if name == "bzimage" else {}
    try:
        image = load_image(FILES[name], memory_bytes=memory_bytes, **options)
    except ImageError:
        return
    assert image.memory_needed <= memory_bytes


changes = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 7)), min_size=1, max_size=8)


@settings(max_examples=400, deadline=SOON)
@given(st.sampled_from(sorted(FILES)), changes)
def test_flipped_bits(name: str, flips: list[tuple[int, int]]) -> None:
    data = bytearray(FILES[name])
    for at, bit in flips:
        data[at % len(data)] ^= 1 << bit
    attempt(bytes(data))


@settings(max_examples=400, deadline=SOON)
@given(
    st.sampled_from(["elf", "multiboot", "multiboot 2"]), st.integers(4, 1 << 10), st.integers(0, 0xFFFFFFFF)
)
def test_any_word_replaced(name: str, at: int, value: int) -> None:
    data = bytearray(FILES[name])
    at = at % (len(data) - 4) & ~1
    data[at : at + 4] = value.to_bytes(4, "little")
    attempt(bytes(data))


@pytest.mark.parametrize("name", FILES)
def test_every_truncation(name: str) -> None:
    for size in range(len(FILES[name])):
        attempt(FILES[name][:size])


@pytest.mark.parametrize("name", ["elf", "multiboot", "multiboot 2", "addresses 2"])
def test_every_byte_set_to_an_extreme(name: str) -> None:
    for at, value in itertools.product(range(len(FILES[name])), (0, 0x7F, 0x80, 0xFF)):
        data = bytearray(FILES[name])
        data[at] = value
        attempt(bytes(data))


@settings(deadline=SOON)
@given(changes, st.text(max_size=20), st.text(max_size=20))
def test_damaged_modules_and_odd_strings(flips: list[tuple[int, int]], append: str, string: str) -> None:
    data = bytearray(FILES["elf"])
    for at, bit in flips:
        data[at % len(data)] ^= 1 << bit
    attempt(FILES["multiboot"], append=append, modules=[Module(string, bytes(data))])


@settings(deadline=SOON)
@given(st.integers(-1, 1 << 33))
def test_any_memory_size(memory_bytes: int) -> None:
    try:
        image = load_image(FILES["multiboot"], memory_bytes=memory_bytes)
    except ImageError:
        return
    assert image.memory_needed <= memory_bytes


def test_a_file_that_claims_4_gib_costs_no_memory() -> None:
    kernel = Elf(loads=[Load(memory_size=0xFFF00000 - 1)], symbols=SYMBOLS).build()
    tracemalloc.start()
    try:
        load_image(kernel, memory_bytes=1 << 32)
        with pytest.raises(ImageError):
            load_image(kernel, memory_bytes=MEMORY)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MIB
