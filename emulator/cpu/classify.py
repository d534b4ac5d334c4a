"""From the text of one instruction to everything the decoder wants to know about it.

Capstone's text form is several times cheaper than its operand objects, and there are few distinct texts:
some 6000 in a Linux boot. So each text is looked at once (see `decode.py`).
"""

import re
from typing import Final, NamedTuple

from emulator.cpu.fpu import CLASSES, LOADS, STATUS
from emulator.cpu.kinds import (
    AFTER_FLAGS,
    AFTER_HALT,
    AFTER_INTERRUPT,
    AFTER_INVLPG,
    AFTER_MOV_CR,
    AFTER_MOV_CR3,
    AFTER_MOV_DR,
    AFTER_NONE,
    AFTER_RING,
    AFTER_SEGMENT,
    BRANCH_CALL,
    BRANCH_CALL_INDIRECT,
    BRANCH_COND,
    BRANCH_FAR,
    BRANCH_JUMP,
    BRANCH_JUMP_INDIRECT,
    BRANCH_NONE,
    BRANCH_RETURN,
    INTERCEPT_ALIGNED,
    INTERCEPT_ENTER,
    INTERCEPT_FAR,
    INTERCEPT_IN,
    INTERCEPT_INS,
    INTERCEPT_INT1,
    INTERCEPT_MOV_FROM_DR,
    INTERCEPT_MOV_TO_CR,
    INTERCEPT_MOV_TO_DR,
    INTERCEPT_NONE,
    INTERCEPT_OUT,
    INTERCEPT_OUTS,
    INTERCEPT_RDMSR,
    INTERCEPT_RDPMC,
    INTERCEPT_SIMD,
    INTERCEPT_SYSENTER,
    INTERCEPT_WRMSR,
    REGISTER_16,
    REGISTERS,
    SEGMENTS,
)
from emulator.cpu.mnemonics import MNEMONICS, NEEDS_OPERANDS, STRING
from emulator.timing.modes import NEEDS_CHECKED, NEEDS_FPU, NEEDS_FRAME, NEEDS_PROTECTED

Operand = tuple[int, int, int, int, int]  # base, index, scale, displacement, segment

_VECTOR: Final = re.compile(r"\b([xyz]?)mm[0-9]")
_SPECIAL: Final = re.compile(r"^([cd])r(\d+)$")
_NUMBER: Final = re.compile(r"^-?(0x[0-9a-f]+|\d+)$")
_ADDRESS: Final = re.compile(r"(?:([c-gs]s):)?\[([^\]]*)\]")
_SHIFTS: Final = frozenset({"shl", "sal", "shr", "sar", "rol", "ror"})
# Read-modify-write with a memory destination; CMP and TEST only read theirs.
_RMW: Final = frozenset({"add", "or", "and", "sub", "xor", "inc", "dec", "neg", "not"})
_REPEAT: Final = frozenset({"rep", "repe", "repz", "repne", "repnz"})

_BRANCH: Final = {
    "jcc": BRANCH_COND, "loop": BRANCH_COND, "jecxz": BRANCH_COND, "jmp": BRANCH_JUMP, "call": BRANCH_CALL,
    "ret": BRANCH_RETURN, "jmp_indirect": BRANCH_JUMP_INDIRECT, "call_indirect": BRANCH_CALL_INDIRECT,
    "jmp_far": BRANCH_FAR, "call_far": BRANCH_FAR, "ret_far": BRANCH_FAR, "iret": BRANCH_FAR,
    "int": BRANCH_FAR, "sysenter": BRANCH_FAR, "sysexit": BRANCH_FAR,
}  # fmt: skip
_AFTER: Final = {
    "mov_cr3": AFTER_MOV_CR3, "mov_cr0": AFTER_MOV_CR, "mov_cr4": AFTER_MOV_CR, "lmsw": AFTER_MOV_CR,
    "clts": AFTER_MOV_CR, "invlpg": AFTER_INVLPG, "jmp_far": AFTER_RING, "call_far": AFTER_RING,
    "ret_far": AFTER_RING, "iret": AFTER_RING, "sysenter": AFTER_RING, "sysexit": AFTER_RING,
    "mov_sreg": AFTER_SEGMENT, "mov_sreg_mem": AFTER_SEGMENT, "pop_sreg": AFTER_SEGMENT, "lds": AFTER_SEGMENT,
    "sti": AFTER_FLAGS, "popf": AFTER_FLAGS, "hlt": AFTER_HALT, "int": AFTER_INTERRUPT,
}  # fmt: skip
_INTERCEPT: Final = {
    "rdmsr": INTERCEPT_RDMSR, "wrmsr": INTERCEPT_WRMSR, "in": INTERCEPT_IN, "out": INTERCEPT_OUT,
    "ins": INTERCEPT_INS, "outs": INTERCEPT_OUTS, "rdpmc": INTERCEPT_RDPMC, "sysenter": INTERCEPT_SYSENTER,
    "enter": INTERCEPT_ENTER, "mov_cr0": INTERCEPT_MOV_TO_CR, "mov_cr4": INTERCEPT_MOV_TO_CR,
}  # fmt: skip
# of other classes, and not every profile's: see `features.py`
ELSEWHERE: Final = frozenset(["movnti", "fisttp", "rdtscp", "syscall", "sysret", "monitor", "mwait"])
# 16-byte operands that need not be aligned (SDM vol. 1, 4.1.1)
UNALIGNED: Final = frozenset(["movups", "movupd", "movdqu", "lddqu"])
_SYNC: Final = frozenset(_INTERCEPT) - {"enter"} | {"rdtsc", "cpuid", "sysenter"}


class Instruction(NamedTuple):
    """One distinct instruction text."""

    kind: str  # the instruction class
    branch: int
    after: int
    intercept: int
    sync: bool
    string: tuple[str, str] | None  # operation and width of a string instruction that may repeat
    repeated: bool
    operand: Operand | None  # INVLPG's, and that of an indirect far JMP or CALL
    needs: int  # segment registers that it may access memory through, as bits, and NEEDS_FPU
    loads: int  # segment registers that it loads without ending its block, as bits; NEEDS_FPU: x87 status
    far: int  # far JMP and CALL: the selector, or minus the offset of the selector in memory; else 0


def classify(mnemonic: str, operands: str) -> Instruction:
    """Look at one instruction as capstone writes it, such as ("lock add", "dword ptr [eax], 1")."""
    *prefixes, name = mnemonic.split(" ")
    kind = instruction_class(name, operands, "lock" in prefixes)
    after, intercept, branch = _AFTER.get(kind, AFTER_NONE), _INTERCEPT.get(kind, INTERCEPT_NONE), BRANCH_NONE
    if kind == "mov_dr":
        write = operands.startswith("dr")
        after = AFTER_MOV_DR if write else AFTER_NONE
        intercept = INTERCEPT_MOV_TO_DR if write else INTERCEPT_MOV_FROM_DR
    elif name == "int1":
        intercept = INTERCEPT_INT1
    elif name in STATUS:
        intercept = STATUS[name]
    elif kind in ("sse", "mmx", "unknown", "clflush", "mfence", "lfence") or name in ELSEWHERE:
        intercept = INTERCEPT_SIMD
        if "xmmword ptr " in operands and name not in UNALIGNED:
            intercept = INTERCEPT_ALIGNED
    far = _far(operands) if kind in ("jmp_far", "call_far") else 0
    if far:
        intercept = INTERCEPT_FAR
    branch = BRANCH_FAR if name in ("syscall", "sysret") else _BRANCH.get(kind, BRANCH_NONE)
    return Instruction(
        kind=kind,
        branch=branch,
        after=after,
        intercept=intercept,
        sync=kind in _SYNC or name == "syscall",
        string=STRING.get(name) if kind in ("movs", "stos", "lods", "scas", "cmps") else None,
        repeated=not _REPEAT.isdisjoint(prefixes),
        operand=address(operands) if kind == "invlpg" or far < 0 else None,
        needs=segments_used(name, operands) | (NEEDS_FPU if kind in CLASSES or name == "fisttp" else 0),
        loads=_loads(kind, name, operands),
        far=far,
    )


def instruction_class(name: str, operands: str, locked: bool = False) -> str:
    """The class of an instruction by its mnemonic without prefixes and its operands."""
    if locked:
        return "lock_cmpxchg8b" if name == "cmpxchg8b" else "lock_rmw"
    if name in NEEDS_OPERANDS:
        vector = _VECTOR.search(operands)
        return _by_operands(name, operands) if vector is None else _vector(vector)
    kind = MNEMONICS.get(name)
    if kind is None:
        vector = _VECTOR.search(operands)
        return "unknown" if vector is None else _vector(vector)
    if "[" in operands:
        return _with_memory(kind, name, operands)
    return kind


def segments_used(name: str, operands: str) -> int:
    """The segment registers that an instruction may access memory through, generously."""
    needs = NEEDS_CHECKED | 1 << SEGMENTS["ss"]  # the stack; every block belongs to checked execution
    if "[" in operands or name == "xlatb":
        needs |= 1 << SEGMENTS["ds"]
        for segment, number in SEGMENTS.items():
            if f"{segment}:" in operands:
                needs |= 1 << number
        if name == "xlatb":
            needs |= 0x3F
        if "cs:[" in operands.partition(", ")[0]:
            needs |= NEEDS_PROTECTED  # it may write through CS, which is never allowed there
    return needs


def _loads(kind: str, name: str, operands: str) -> int:
    if name in LOADS:
        return NEEDS_FPU
    if kind == "enter":
        return NEEDS_FRAME
    if kind not in ("mov_sreg", "mov_sreg_mem", "pop_sreg", "lds"):
        return 0
    target = name[1:] if kind == "lds" else operands[:2]
    return 1 << SEGMENTS.get(target, SEGMENTS["ds"])


def _far(operands: str) -> int:
    """Selector of a direct far transfer, or minus its offset behind the operand's address."""
    if "[" in operands:
        return -4 if operands.startswith("ptr ") else -2
    return int(re.split("[:,]", operands)[0], 0)


def _vector(match: re.Match[str]) -> str:
    return {"": "mmx", "x": "sse"}.get(match[1], "unknown")


def _with_memory(kind: str, name: str, operands: str) -> str:
    first, _, second = operands.partition(", ")
    if kind == "alu":
        if name in _RMW and "[" in first:
            return "alu_store"
        return "load" if name in ("movzx", "movsx") else "alu_load"
    if kind == "setcc":
        return "store"
    if kind == "bit_test" and "[" in first:
        if not _NUMBER.match(second):
            return "bit_test_mem"
        return "alu_load" if name == "bt" else "alu_store"
    return kind


def _by_operands(name: str, operands: str) -> str:
    first, _, second = operands.partition(", ")
    memory = "[" in operands
    if name in STRING:
        return STRING[name][0]
    if name in ("mov", "movabs"):
        return _move(first, second)
    if name in ("push", "pop"):
        if first in SEGMENTS:
            return f"{name}_sreg"
        return f"{name}_mem" if memory else name
    if name in ("jmp", "call"):
        if operands.startswith("ptr "):  # capstone's m16:32; near targets have a size
            return f"{name}_far"
        return name if _NUMBER.match(operands) else f"{name}_indirect"
    if name == "imul":
        return "imul" if second else "mul"
    if name == "xchg":
        return "xchg_mem" if memory else "xchg_rr"
    if name in _SHIFTS:
        if second == "cl":
            return "shift_cl"
        return "alu_store" if memory else "shift_imm"
    raise AssertionError(f"{name} is in NEEDS_OPERANDS but has no rule")


def _move(first: str, second: str) -> str:
    if first in SEGMENTS:
        return "mov_sreg_mem" if "[" in second else "mov_sreg"
    if second in SEGMENTS:
        return "mov_from_sreg"
    if "[" in first:
        return "store"
    if "[" in second:
        return "load"
    if special := _SPECIAL.match(first):
        if special[1] == "d":
            return "mov_dr"
        return f"mov_cr{special[2]}" if special[2] in ("0", "2", "3", "4") else "ud"
    if special := _SPECIAL.match(second):
        return "mov_dr" if special[1] == "d" else "mov_from_cr"
    return "mov_imm" if _NUMBER.match(second) else "mov"


def address(operands: str) -> Operand:
    """The first memory operand in the text: base, index, scale, displacement (signed) and segment."""
    match = _ADDRESS.search(operands)
    if match is None:
        raise ValueError(f"no memory operand in {operands!r}")
    base = index = -1
    scale, displacement, stack = 1, 0, False
    for sign, term in re.findall(r"([+-]?) ?([^ +-]+)", match[2]):
        register, _, factor = term.partition("*")
        if _NUMBER.match(register):
            displacement += -int(register, 0) if sign == "-" else int(register, 0)
        elif register in ("eiz", "riz"):
            continue
        elif factor:
            index, scale = _register(register), int(factor)
        elif base < 0:
            base = _register(register)
            stack = register in ("esp", "ebp", "bp")
        else:
            index = _register(register)
    displacement = (displacement + 2**31) % 2**32 - 2**31
    segment = SEGMENTS[match[1]] if match[1] else SEGMENTS["ss" if stack else "ds"]
    return base, index, scale, displacement, segment


def _register(name: str) -> int:
    return REGISTERS[name] if name in REGISTERS else REGISTERS[f"e{name}"] | REGISTER_16
