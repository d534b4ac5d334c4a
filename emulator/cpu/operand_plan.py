"""What memory each instruction of a block accesses: the plan that `timing.checks` walks.

One access: segment, base and index registers, scale, displacement, size, alignment, flags. The operands
that the instruction names come from capstone; the implicit ones (stack, far pointers, saved FPU state)
from the tables below, whose order is the processor's own.
"""

from typing import Any, Final, NamedTuple

import capstone
from capstone import x86_const as x86

from emulator.cpu.classify import UNALIGNED
from emulator.cpu.fpu import waits
from emulator.cpu.kinds import REGISTER_16
from emulator.timing.checks import (
    ALIGNED_16,
    BIT_OFFSET,
    CONDITIONAL,
    FRAME,
    LOADED,
    LOW_BYTE,
    NO_DATA,
    PLAN_ADDRESS16,
    PLAN_IRET,
    PLAN_REP,
    PLAN_SHADOW,
    PLAN_WAITING,
    RELATIVE,
    STACK,
    TARGET,
    WRITE,
)

ES, CS, SS, DS, FS, GS = range(6)
EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI = range(8)
ALL: Final = 0xFFFFFFFF


class Access(NamedTuple):
    """One memory access."""

    segment: int
    base: int
    scaled: int  # the index register
    scale: int
    displacement: int
    size: int
    alignment: int
    mask: int
    flags: int


class Plan(NamedTuple):
    """One instruction."""

    offset: int
    length: int
    flags: int
    accesses: tuple[Access, ...]


def _decoder(mode: int) -> Any:
    decoder = capstone.Cs(capstone.CS_ARCH_X86, mode)
    decoder.detail = True
    return decoder


_DECODERS: Final = {16: _decoder(capstone.CS_MODE_16), 32: _decoder(capstone.CS_MODE_32)}
_NAMES: Final = ["AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"]
_GENERAL: Final = {getattr(x86, f"X86_REG_E{name}"): number for number, name in enumerate(_NAMES)} | {
    getattr(x86, f"X86_REG_{name}"): number | REGISTER_16 for number, name in enumerate(_NAMES)
}
_SEGMENTS: Final = {
    x86.X86_REG_ES: ES, x86.X86_REG_CS: CS, x86.X86_REG_SS: SS,
    x86.X86_REG_DS: DS, x86.X86_REG_FS: FS, x86.X86_REG_GS: GS,
}  # fmt: skip
_OVERRIDES: Final = {0x26: ES, 0x2E: CS, 0x36: SS, 0x3E: DS, 0x64: FS, 0x65: GS}
_NO_ACCESS: Final = frozenset(
    ["lea", "nop", "invlpg", "prefetch", "prefetchw", "prefetcht0", "prefetcht1", "prefetcht2", "prefetchnta"]
)
# capstone doesn't say of all of these that they write
_WRITES: Final = frozenset(
    [
        *["cmpxchg", "cmpxchg8b", "xadd", "insb", "insw", "insd", "sgdt", "sidt", "smsw", "sldt", "str"],
        *["fst", "fstp", "fist", "fistp", "fisttp", "fbstp", "fnstcw", "fnstsw", "fnstenv", "fnsave"],
        *["fxsave", "stmxcsr", "movntq", "movntps", "movnti"],
    ]
)
# size and alignment where capstone's operand size isn't the memory's: by 16- and 32-bit operand size
_SIZES: Final = {
    "fnsave": (94, 108, 4), "frstor": (94, 108, 4), "fnstenv": (14, 28, 4), "fldenv": (14, 28, 4),
    "fxsave": (512, 512, 16), "fxrstor": (512, 512, 16), "bound": (4, 8, 4), "clflush": (1, 1, 1),
    "lgdt": (6, 6, 2), "lidt": (6, 6, 2), "sgdt": (6, 6, 2), "sidt": (6, 6, 2), "ljmp": (4, 6, 4),
    "lcall": (4, 6, 4), "les": (4, 6, 4), "lds": (4, 6, 4), "lss": (4, 6, 4),
    "lfs": (4, 6, 4), "lgs": (4, 6, 4),
    "cmpxchg8b": (8, 8, 8),
}  # fmt: skip
_STRINGS: Final = ("movs", "stos", "lods", "scas", "cmps", "ins", "outs")
# stack slots that an instruction reads at ESP, or writes below it (negative)
_SLOTS: Final = {
    "call": -1, "pushf": -1, "pushfd": -1, "pushal": -8, "pushaw": -8, "push": -1,
    "ret": 1, "popf": 1, "popfd": 1, "popal": 8, "popaw": 8, "pop": 1, "retf": 2, "iret": 3, "iretd": 3,
}  # fmt: skip


def plan_block(code: bytes, bits: int) -> list[Plan]:
    """The plans of all instructions of a block."""
    return [_plan(instruction, bits) for instruction in _DECODERS[bits].disasm(code, 0)]


def _plan(i: Any, bits: int) -> Plan:
    name = i.mnemonic.split(" ")[-1]
    wide = 4 if (bits == 32) != (i.prefix[2] == 0x66) else 2
    flags = 0
    if i.prefix[0] in (0xF2, 0xF3) and name.startswith(_STRINGS):
        flags |= PLAN_REP
    if i.addr_size == 2:
        flags |= PLAN_ADDRESS16
    if name in ("iret", "iretd"):
        flags |= PLAN_IRET
    if name in ("mov", "pop") and i.operands and i.operands[0].reg == x86.X86_REG_SS:
        flags |= PLAN_SHADOW
    if waits(name, i.op_str):
        flags |= PLAN_WAITING
    accesses: list[Access] = []
    if name not in _NO_ACCESS:
        for operand in i.operands:
            if operand.type == x86.X86_OP_MEM:
                accesses.append(_operand(i, name, operand, wide))
    implicit = _implicit(i, name, wide)
    if name == "ret":
        return Plan(i.address, i.size, flags, (*accesses, *implicit, *_target(i, accesses + implicit, wide)))
    if name == "call" or name.startswith(("j", "loop")):
        accesses += _target(i, accesses, wide)
    accesses += implicit
    return Plan(i.address, i.size, flags, tuple(accesses))


def _target(i: Any, accesses: list[Access], wide: int) -> list[Access]:
    """Where a near branch goes, as what `timing.checks` has to look at: nothing for a far one."""
    if accesses:
        place = accesses[0]
        return [] if _is_far(i) else [place._replace(size=wide, flags=place.flags | TARGET | LOADED)]
    first = i.operands[0]
    if first.type == x86.X86_OP_REG:
        return [Access(CS, _GENERAL[first.reg], -1, 1, 0, wide, 1, ALL, TARGET)]
    flags = TARGET | RELATIVE | (0 if i.mnemonic.endswith(("jmp", "call")) else CONDITIONAL)
    distance = (first.imm - i.address - i.size + 2**31) % 2**32 - 2**31
    return [Access(CS, -1, -1, 1, distance, wide, 1, ALL, flags)]


def _operand(i: Any, name: str, operand: Any, wide: int) -> Access:
    memory = operand.mem
    base = _GENERAL.get(memory.base, -1)
    index = _GENERAL.get(memory.index, -1)
    # capstone forgets an override that names the default segment of other registers, as in ds:[ebp]
    segment = _SEGMENTS.get(memory.segment, _OVERRIDES.get(i.prefix[1], -1))
    if segment < 0:
        segment = SS if base & 7 in (ESP, EBP) and base >= 0 else DS
    size, alignment = operand.size, _alignment(name, operand.size)
    if _is_far(i):
        size, alignment = 6, 4
    if name in _SIZES:
        small, large, alignment = _SIZES[name]
        size = large if wide == 4 else small
    flags = WRITE if operand.access & capstone.CS_AC_WRITE or name in _WRITES else 0
    if size == 16 and name not in UNALIGNED:
        flags |= ALIGNED_16
    displacement = memory.disp
    if name == "pop" and base == ESP:
        displacement += wide  # the address is computed after ESP has gone up
    if name in ("bt", "bts", "btr", "btc") and i.operands[1].type == x86.X86_OP_REG:
        # there is no room for two index registers: the operand's own index makes it uncheckable
        if index < 0:
            index, flags = _GENERAL.get(i.operands[1].reg, -1), flags | BIT_OFFSET
        else:
            flags |= NO_DATA
    displacement = (displacement + 2**31) % 2**32 - 2**31
    mask = 0xFFFF if i.addr_size == 2 else ALL
    return Access(segment, base, index, memory.scale or 1, displacement, size, alignment, mask, flags)


def _is_far(i: Any) -> bool:
    """JMP or CALL to m16:32, which capstone writes so. What a far CALL pushes depends on its target."""
    return i.mnemonic in ("jmp", "call") and i.op_str.startswith("ptr ")


def _alignment(name: str, size: int) -> int:
    """Table 5-7 of vol. 3A: the natural alignment; an 80-bit number needs 8. 16 bytes are #GP, not #AC."""
    if name.startswith(("fbld", "fbstp")) or size == 10:
        return 8
    return size if size in (1, 2, 4, 8) else 1


def _stack(base: int, displacement: int, size: int, alignment: int, flags: int) -> Access:
    return Access(SS, base, -1, 1, displacement, size, alignment, ALL, flags)


def _implicit(i: Any, name: str, wide: int) -> list[Access]:
    mask = 0xFFFF if i.addr_size == 2 else ALL
    if name == "xlatb":
        segment = _OVERRIDES.get(i.prefix[1], DS)
        base = EBX | (REGISTER_16 if mask == 0xFFFF else 0)
        return [Access(segment, base, EAX, 1, 0, 1, 1, mask, LOW_BYTE)]
    if name == "leave":
        return [_stack(EBP, 0, wide, wide, FRAME)]
    if name == "enter":
        frame, level = i.operands[0].imm & 0xFFFF, i.operands[1].imm & 31
        pushes = 1 + level
        found = [_stack(ESP, -wide * (n + 1), wide, wide, STACK | WRITE) for n in range(pushes)]
        found += [_stack(EBP, -wide * n, wide, wide, FRAME) for n in range(1, level)]
        return [*found, _stack(ESP, -wide * pushes - frame, 1, 1, STACK | WRITE | NO_DATA)]
    slots = _SLOTS.get(name, 0)
    if not slots or _is_far(i):
        return []
    if slots < 0:
        return [_stack(ESP, -wide * (n + 1), wide, wide, STACK | WRITE) for n in range(-slots)]
    return [_stack(ESP, wide * n, wide, wide, STACK) for n in range(slots)]
