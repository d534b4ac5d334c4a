"""INVLPG's operand, as the block hook finds it after the instruction."""

import ctypes

import numpy as np
import pytest

from emulator.cpu.classify import address
from emulator.timing import after
from emulator.timing.state import BLOCK, StateView
from tests.support import record

REGISTERS = {
    "eax": 0x11112222,
    "ecx": 3,
    "edx": 0xFFFFFFF0,
    "ebx": 0x12340010,
    "ebp": 0x300,
    "esi": 0x56780F00,
}
NUMBERS = {"eax": 0, "ecx": 1, "edx": 2, "ebx": 3, "ebp": 5, "esi": 6}


@pytest.mark.parametrize(
    ("operand", "flat", "based"),
    [
        ("[0x12345]", 0x12345, 0x12345 + 0x10000),
        ("[eax]", 0x11112222, 0x11122222),
        ("[eax + ecx*4 + 8]", 0x11112236, 0x11122236),
        ("[edx + 0x20]", 0x10, 0x10010),
        ("[ebp - 4]", 0x2FC, 0x202FC),  # by SS
        ("fs:[ecx]", 0x40000003, 0x40000003),  # FS counts without ADDSEG too
        ("[bx + si]", 0x0F10, 0x10F10),
        ("[bx + 0x7ff8]", 0x8008, 0x18008),
        ("[bp + si + 0x7fff]", 0x91FF, 0x291FF),
        ("[bx - 0x20]", 0xFFF0, 0x1FFF0),
    ],
)
def test_the_operand_is_evaluated_as_the_processor_does(operand: str, flat: int, based: int) -> None:
    view = StateView()
    registers = (ctypes.c_uint64 * 8)()
    for name, value in REGISTERS.items():
        registers[NUMBERS[name]] = value
    segments = (ctypes.c_uint8 * (24 * 6))()
    for index, base in ((2, 0x20000), (3, 0x10000), (4, 0x40000000)):
        ctypes.c_uint64.from_buffer(segments, 24 * index + 8).value = base
    records = np.zeros(2, dtype=BLOCK)
    row = records[1]
    row["base"], row["index"], row["scale"], row["displacement"], row["segment"] = address(operand)
    hflags = ctypes.c_uint32(0)
    view.at_registers, view.at_segments = ctypes.addressof(registers), ctypes.addressof(segments)
    view.at_hflags, view.block_records, view.last_block = (
        ctypes.addressof(hflags),
        int(records.ctypes.data),
        1,
    )
    assert after.invlpg_operand(record(view)) == flat
    hflags.value = after.HFLAGS_ADDSEG
    assert after.invlpg_operand(record(view)) == based
