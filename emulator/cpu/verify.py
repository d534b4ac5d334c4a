"""The sampling self-check: does the model see the linear pages that the instructions name?

Every N-th access that a memory hook reports, the instruction at EIP is decoded and its operands are
evaluated; the linear page that the model derived from the physical address must be one of theirs.
It checks the reverse map and the one-alias rule in whole-kernel runs (`ringtoll boot --verify N`).
"""

from dataclasses import dataclass, field
from typing import Any, Final

import capstone
from capstone import x86_const

from emulator.cpu import layout
from emulator.cpu.registers import CS, DS, EBP, ES, ESP, FS, GS, HF_CS32, SS, Registers

PAGE_MASK: Final = 0xFFFFF000
_SEGMENTS: Final = {
    x86_const.X86_REG_ES: ES, x86_const.X86_REG_CS: CS, x86_const.X86_REG_SS: SS,
    x86_const.X86_REG_DS: DS, x86_const.X86_REG_FS: FS, x86_const.X86_REG_GS: GS,
}  # fmt: skip
_GENERAL: Final = {
    getattr(x86_const, f"X86_REG_E{name}"): number
    for number, name in enumerate(["AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"])
}
_WORD: Final = {
    getattr(x86_const, f"X86_REG_{name}"): number
    for number, name in enumerate(["AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"])
}
_STACK: Final = ("push", "call", "pop", "ret", "leave", "iret", "enter", "lcall")
_DESCRIPTORS: Final = ("ltr", "lldt", "iret", "lcall", "ljmp", "retf", "lar", "lsl", "verr", "verw", "l")
_SEGMENT_LOADS: Final = frozenset({"mov", "pop"})
_STATE_SIZE: Final = {
    "fxsave": 512,
    "fxrstor": 512,
    "fnsave": 108,
    "frstor": 108,
    "fnstenv": 28,
    "fldenv": 28,
}


@dataclass
class Verification:
    """What was found."""

    checked: int = 0
    wrong: int = 0
    undecoded: int = 0
    examples: list[str] = field(default_factory=list)


class Verifier:
    """Checks samples of one processor's accesses."""

    def __init__(self, registers: Registers, code_at: Any) -> None:
        """`code_at(linear, size)` gives instruction bytes."""
        self.registers, self.code_at = registers, code_at
        self.result = Verification()
        self._decoders = {}
        for bits, mode in ((16, capstone.CS_MODE_16), (32, capstone.CS_MODE_32)):
            self._decoders[bits] = capstone.Cs(capstone.CS_ARCH_X86, mode)
            self._decoders[bits].detail = True

    def check(self, linear: int, size: int, _unused: int) -> int:
        """One access of `size` bytes that the model took to be at `linear`."""
        registers = self.registers
        eip = registers.linear_eip
        decoder = self._decoders[32 if registers.hflags & HF_CS32 else 16]
        instruction = next(decoder.disasm(self.code_at(eip, 15), eip, 1), None)
        if instruction is None:
            self.result.undecoded += 1
            return 0
        self.result.checked += 1
        if linear & PAGE_MASK not in self._pages(instruction, size):
            self.result.wrong += 1
            if len(self.result.examples) < 8:
                text = f"{instruction.mnemonic} {instruction.op_str}"
                self.result.examples.append(f"{eip:08x} {text}: model says {linear:08x}")
        return 0

    def _pages(self, instruction: Any, size: int) -> set[int]:
        registers, mnemonic = self.registers, instruction.mnemonic.split()[-1]
        span = max(size, _STATE_SIZE.get(mnemonic, 0))
        found: set[int] = set()
        for operand in instruction.operands:
            if operand.type == x86_const.X86_OP_MEM:
                address = self._address(instruction, operand, mnemonic)
                found |= {(address + offset) & PAGE_MASK for offset in (0, size - 1, span - 1)}
        if mnemonic.startswith(_STACK):
            top = registers.base(SS) + registers.general(ESP)
            frame = registers.base(SS) + registers.general(EBP)
            found |= {a & PAGE_MASK for a in (top - 36, top - 4, top, top + 31, frame, frame + 4)}
        if mnemonic.startswith(_DESCRIPTORS) or mnemonic in _SEGMENT_LOADS:
            for table in (layout.GDT, layout.LDT, layout.TR):
                _, base, limit = registers.table(table)
                found |= {page & PAGE_MASK for page in range(base, base + min(limit, 0xFFFF) + 1, 4096)}
                found.add((base + min(limit, 0xFFFF)) & PAGE_MASK)
        return found

    def _address(self, instruction: Any, operand: Any, mnemonic: str) -> int:
        registers, memory = self.registers, operand.mem
        base = memory.base
        address = memory.disp
        for register, scale in ((base, 1), (memory.index, memory.scale)):
            if register in _GENERAL:
                address += registers.general(_GENERAL[register]) * scale
            elif register in _WORD:
                address += (registers.general(_WORD[register]) & 0xFFFF) * scale
        if base in _WORD or memory.index in _WORD:
            address &= 0xFFFF
        if mnemonic.startswith("bt") and instruction.operands[1].type == x86_const.X86_OP_REG:
            bit = registers.general(_GENERAL.get(instruction.operands[1].reg, 0))
            address += ((bit - (1 << 32) if bit >> 31 else bit) >> 5) * 4
        segment = _SEGMENTS.get(memory.segment)
        if segment is None:
            stack = base in (x86_const.X86_REG_ESP, x86_const.X86_REG_EBP, x86_const.X86_REG_BP)
            segment = SS if stack else DS
            if mnemonic[:4] in ("movs", "stos", "scas", "cmps", "insb", "insd", "insw") and base in (
                x86_const.X86_REG_EDI,
                x86_const.X86_REG_DI,
            ):
                segment = ES
        return int(address + registers.base(segment)) & 0xFFFFFFFF
