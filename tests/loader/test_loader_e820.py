"""The memory map that kernels are told is the machine's."""

import pytest

from emulator.firmware.e820 import e820_map
from loader.e820 import lower_kib, memory_map, upper_kib


@pytest.mark.parametrize("memory_bytes", [1 << 20, (1 << 20) + 4096, 64 << 20, 3 << 30])
def test_it_is_the_machines_but_for_the_apics_pages(memory_bytes: int) -> None:
    machine = [(e.base, e.end, int(e.type)) for e in e820_map(memory_bytes, apic=False)]
    assert memory_map(memory_bytes) == machine


@pytest.mark.parametrize(
    ("memory_bytes", "lower", "upper"),
    [
        (0, 0, 0),
        (0x80000, 512, 0),
        (1 << 20, 639, 0),
        (64 << 20, 639, 63 << 10),
        (1 << 40, 639, (4 << 20) - 1024),
    ],
)
def test_the_sizes_below_and_above_are_in_kib(memory_bytes: int, lower: int, upper: int) -> None:
    assert (lower_kib(memory_bytes), upper_kib(memory_bytes)) == (lower, upper)
