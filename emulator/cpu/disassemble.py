"""Instruction texts of a block, for decoder and planner: both ask for the same block, one after the other.

Capstone's Python side costs more than its decoder. A near branch's target tells neither of them anything, and
there are tens of thousands of different ones: without it there are a third fewer texts.
"""

import functools
from typing import Final

import capstone

Line = tuple[int, int, str, str]
"""Offset, size, mnemonic with prefixes, operands."""

_DECODERS: Final = {
    16: capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_16),
    32: capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_32),
}
_JUMPS: Final = "jmp call jcxz jecxz ja jae jb jbe je jg jge jl jle jne jno jnp jns jo jp js"
_NEAR: Final = frozenset([*_JUMPS.split(), "loop", "loope", "loopne"])
TARGET: Final = "0"


@functools.lru_cache(maxsize=1)
def disassemble(code: bytes, bits: int) -> tuple[Line, ...]:
    """What capstone makes of the bytes, as far as it can decode them; near branches go to `TARGET`."""
    return tuple(
        (offset, size, name, TARGET if name in _NEAR and operands[:1].isdigit() else operands)
        for offset, size, name, operands in _DECODERS[bits].disasm_lite(code, 0)
    )
