"""Where a memory operand points, from capstone's detail and the registers (SDM vol. 1, 3.7.5)."""

from typing import Any, Final

import capstone
from capstone import x86_const

from emulator.cpu.registers import CS, DS, ES, FS, GS, HF_CS32, SS, Registers

SEGMENTS: Final = {
    x86_const.X86_REG_ES: ES, x86_const.X86_REG_CS: CS, x86_const.X86_REG_SS: SS,
    x86_const.X86_REG_DS: DS, x86_const.X86_REG_FS: FS, x86_const.X86_REG_GS: GS,
}  # fmt: skip
_NAMES: Final = ["AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"]
GENERAL: Final = {getattr(x86_const, f"X86_REG_E{name}"): number for number, name in enumerate(_NAMES)}
WORD: Final = {getattr(x86_const, f"X86_REG_{name}"): number for number, name in enumerate(_NAMES)}
_STACK_BASES: Final = (x86_const.X86_REG_ESP, x86_const.X86_REG_EBP, x86_const.X86_REG_BP)
_DESTINATIONS: Final = (x86_const.X86_REG_EDI, x86_const.X86_REG_DI)
_STRING_STORES: Final = ("movs", "stos", "scas", "cmps", "insb", "insw", "insd")


def decode_at_eip(registers: Registers, code: bytes) -> Any:
    """The instruction at CS:EIP with capstone's detail, or None."""
    mode = capstone.CS_MODE_32 if registers.hflags & HF_CS32 else capstone.CS_MODE_16
    decoder = capstone.Cs(capstone.CS_ARCH_X86, mode)
    decoder.detail = True
    return next(decoder.disasm(code, registers.linear_eip, 1), None)


def linear_address(registers: Registers, instruction: Any, operand: Any) -> int:
    """Linear address of a memory operand, before the instruction has changed its registers."""
    memory = operand.mem
    base, index = memory.base, memory.index
    address = memory.disp
    for register, scale in ((base, 1), (index, memory.scale)):
        if register in GENERAL:
            address += registers.general(GENERAL[register]) * scale
        elif register in WORD:
            address += (registers.general(WORD[register]) & 0xFFFF) * scale
    if base in WORD or index in WORD:
        address &= 0xFFFF
    mnemonic = instruction.mnemonic.split()[-1]
    if mnemonic.startswith("bt") and instruction.operands[1].type == x86_const.X86_OP_REG:
        bit = registers.general(GENERAL.get(instruction.operands[1].reg, 0))
        address += ((bit - (1 << 32) if bit >> 31 else bit) >> 5) * 4
    segment = SEGMENTS.get(memory.segment)
    if segment is None:
        segment = SS if base in _STACK_BASES else DS
        if mnemonic.startswith(_STRING_STORES) and base in _DESTINATIONS:
            segment = ES
    return int(address + registers.base(segment)) & 0xFFFFFFFF
