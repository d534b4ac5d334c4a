"""Instruction texts: capstone's, but for the targets of near branches."""

import capstone
from hypothesis import given
from hypothesis import strategies as st

from emulator.cpu.classify import classify
from emulator.cpu.decode import whole_instructions
from emulator.cpu.disassemble import TARGET, disassemble

MODES = {16: capstone.CS_MODE_16, 32: capstone.CS_MODE_32}


def test_near_branches_to_anywhere_have_one_text() -> None:
    for code in (b"\x74\x10", b"\x74\xf0", b"\x0f\x84\0\0\0\x80"):
        assert disassemble(code, 32) == ((0, len(code), "je", TARGET),)
    assert disassemble(b"\xe8\0\0\0\0", 32)[0][2:] == ("call", TARGET)
    assert disassemble(b"\xe2\xfe", 16)[0][2:] == ("loop", TARGET)


def test_other_branches_keep_what_they_go_to() -> None:
    assert disassemble(b"\xff\xd0", 32)[0][2:] == ("call", "eax")
    assert disassemble(b"\xff\x25\0\0\1\0", 32)[0][2:] == ("jmp", "dword ptr [0x10000]")
    assert disassemble(b"\xea\x78\x56\x34\x12\x08\0", 32)[0][2:] == ("ljmp", "8:0x12345678")


@given(st.binary(max_size=40), st.sampled_from((16, 32)))
def test_every_other_text_is_capstones(code: bytes, bits: int) -> None:
    expected = list(capstone.Cs(capstone.CS_ARCH_X86, MODES[bits]).disasm_lite(code, 0))
    found = disassemble(code, bits)
    assert [line[:3] for line in found] == [line[:3] for line in expected]
    assert whole_instructions(code, bits) == sum(line[1] for line in expected)
    for (_, _, name, text), (_, _, _, theirs) in zip(found, expected, strict=True):
        assert text in (theirs, TARGET)
        assert classify(name, text) == classify(name, theirs)
