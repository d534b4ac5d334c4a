"""Supervisor accesses that the processor makes by itself at CPL 3: loading a segment reads a descriptor.

The soft-TLB fill sees only a page and CPL 3. When the page holds a descriptor table it asks here: is
the instruction at EIP one that loads a segment, and is none of its own operands in that page?
"""

from typing import Final

import capstone
from capstone import x86_const

from emulator.cpu.registers import CS, DS, ES, FS, GS, HF_CS32, SS, Registers

LOADS_SEGMENT: Final = frozenset(
    [
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
        "pop",
        "mov",
        "int",
        "int1",
        "int3",
        "into",
        "str",
        "ltr",
        "lldt",
    ]
)
_SEGMENTS: Final = {
    x86_const.X86_REG_ES: ES, x86_const.X86_REG_CS: CS, x86_const.X86_REG_SS: SS,
    x86_const.X86_REG_DS: DS, x86_const.X86_REG_FS: FS, x86_const.X86_REG_GS: GS,
}  # fmt: skip
_GENERAL: Final = {
    getattr(x86_const, f"X86_REG_E{name}"): number
    for number, name in enumerate(["AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"])
}


def loads_descriptor(registers: Registers, code: bytes, page: int) -> bool:
    """Is the access to linear `page` (an address) the descriptor load of the instruction `code`?"""
    mode = capstone.CS_MODE_32 if registers.hflags & HF_CS32 else capstone.CS_MODE_16
    decoder = capstone.Cs(capstone.CS_ARCH_X86, mode)
    decoder.detail = True
    instruction = next(decoder.disasm(code, registers.linear_eip, 1), None)
    if instruction is None or instruction.mnemonic not in LOADS_SEGMENT:
        return False
    operands = instruction.operands
    if instruction.mnemonic in ("mov", "pop"):
        target = operands[0] if operands else None
        if target is None or target.type != x86_const.X86_OP_REG or target.reg not in _SEGMENTS:
            return False
    for operand in operands:
        if operand.type == x86_const.X86_OP_MEM:
            memory = operand.mem
            address = memory.disp
            address += registers.general(_GENERAL[memory.base]) if memory.base in _GENERAL else 0
            address += (
                registers.general(_GENERAL[memory.index]) * memory.scale if memory.index in _GENERAL else 0
            )
            segment = _SEGMENTS.get(memory.segment, DS)
            if (address + registers.base(segment)) & 0xFFFFF000 == page:
                return False
    return True
