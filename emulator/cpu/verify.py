"""The sampling self-check: does the model see the linear pages that the instructions name?

Every N-th access that a memory hook reports, the instruction at EIP is decoded and its operands are
evaluated; the linear page that the model derived from the physical address must be one of theirs.
It checks the reverse map and the one-alias rule in whole-kernel runs (`ringtoll boot --verify N`).
"""

from dataclasses import dataclass, field
from typing import Any, Final

from capstone import x86_const

from emulator.cpu import layout
from emulator.cpu.operands import decode_at_eip, linear_address
from emulator.cpu.registers import EBP, ESP, SS, Registers

PAGE_MASK: Final = 0xFFFFF000
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

    def check(self, linear: int, size: int, _unused: int) -> int:
        """One access of `size` bytes that the model took to be at `linear`."""
        eip = self.registers.linear_eip
        instruction = decode_at_eip(self.registers, self.code_at(eip, 15))
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
                address = linear_address(registers, instruction, operand)
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
