"""Supervisor accesses that the processor makes by itself at CPL 3: loading a segment reads a descriptor.

The soft-TLB fill sees only a page and CPL 3. When the page holds a descriptor table it asks here: is
the instruction at EIP one that loads a segment, and is none of its own operands in that page?
"""

from typing import Final

from capstone import x86_const

from emulator.cpu.operands import SEGMENTS, decode_at_eip, linear_address
from emulator.cpu.registers import Registers

LOADS_SEGMENT: Final = frozenset(
    {
        "iretd",
        "iret",
        "retf",
        "lcall",
        "ljmp",
        "lar",
        "lsl",
        "verr",
        "verw",
        "les",
        "lds",
        "lss",
        "lfs",
        "lgs",
    }
    | {"pop", "mov", "int", "int1", "int3", "into", "str", "ltr", "lldt"}
)


def loads_descriptor(registers: Registers, code: bytes, page: int) -> bool:
    """Is the access to linear `page` (an address) the descriptor load of the instruction `code`?"""
    instruction = decode_at_eip(registers, code)
    if instruction is None or instruction.mnemonic not in LOADS_SEGMENT:
        return False
    operands = instruction.operands
    if instruction.mnemonic in ("mov", "pop"):
        target = operands[0] if operands else None
        if target is None or target.type != x86_const.X86_OP_REG or target.reg not in SEGMENTS:
            return False
    return not any(
        operand.type == x86_const.X86_OP_MEM
        and linear_address(registers, instruction, operand) & 0xFFFFF000 == page
        for operand in operands
    )
