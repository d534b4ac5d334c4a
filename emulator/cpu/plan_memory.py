"""Access plans of string, port, x87, SSE and system instructions; and of any other by its operands."""

import re
from typing import Final

from emulator.cpu.classify import UNALIGNED
from emulator.cpu.kinds import SEGMENTS
from emulator.cpu.plan_segment import Unplannable
from emulator.cpu.plan_steps import EAX, EBX, ECX, EDI, EDX, ESI, ESP, Instruction, Step
from emulator.cpu.plan_text import Immediate, Memory, Operand, Other, Register, Text
from emulator.cpu.plan_values import AND, Known, add, constant, scale
from emulator.timing.plan_entries import (
    ENTRY_ALIGNED,
    ENTRY_DESCRIPTOR,
    ENTRY_FAR,
    ENTRY_FXSR,
    ENTRY_NO_TASK,
    ENTRY_NOT_ZERO,
    FLAG_FIRST,
    FLAG_MASK,
    FLAG_OVERRIDE,
    RELEASED,
    STACK_TOP,
)
from emulator.timing.plan_system import (
    FAR_CALL,
    FAR_IRET,
    FAR_JUMP,
    FAR_RETURN,
    TO_LDT,
    TO_LOOK,
    TO_SEGMENT,
    TO_TASK,
)

ES, DS = 0, 3
_STRING: Final = re.compile(r"(movs|stos|lods|scas|cmps|ins|outs)([bwd])$")
_WIDTHS: Final = {"b": 1, "w": 2, "d": 4}


def is_string(i: Instruction | Text) -> bool:
    """A string instruction, and not the SSE ones of the same name."""
    match = _STRING.match(i.name)
    return match is not None and not any(
        isinstance(operand, Other) and "mm" in operand.name for operand in i.operands
    )


def repeats(i: Instruction) -> bool:
    """REP in any spelling: capstone hides F2 on MOVS, STOS and LODS."""
    return i.repeated or any(byte in (0xF2, 0xF3) for byte in i.code[:-1])


def string(i: Instruction) -> None:
    """One iteration of a string instruction; a further one of REP is a block of its own."""
    s = i.segment
    operation, width = i.name[:-1], _WIDTHS[i.name[-1]]
    mask = FLAG_MASK if i.address_size == 2 else 0
    if repeats(i):
        count = s.registers[ECX]
        s.test(ENTRY_NOT_ZERO, s.nodes.operate(AND, count, constant(0xFFFF)) if mask else count)
    source = next((o for o in i.operands if isinstance(o, Memory) and o.terms[0][0] == ESI), None)
    segment = source.segment if source else DS
    flags = mask | (FLAG_OVERRIDE if source and source.override else 0)
    si, di = s.registers[ESI], s.registers[EDI]
    if operation == "movs":
        s.load(si, segment, width, flags=flags)
        s.store(di, ES, width, None, flags=mask)
    elif operation == "stos":
        s.store(di, ES, width, s.get(EAX, width), flags=mask)
    elif operation == "lods":
        s.set(EAX, width, s.load(si, segment, width, flags=flags))
    elif operation == "scas":
        s.load(di, ES, width, flags=mask)
    elif operation == "cmps":
        s.load(di, ES, width, flags=mask)
        s.load(si, segment, width, flags=flags)
    elif (
        operation == "ins"
    ):  # Unicorn stores a zero first, so that a page fault comes before the port is read
        s.store(di, ES, width, None, flags=mask)
        s.store(di, ES, width, None, flags=mask)
    else:
        s.load(si, segment, width, flags=flags)
    step = scale(s.step, width)
    if operation not in ("stos", "scas", "ins"):
        s.set(ESI, i.address_size, add(si, step))
    if operation not in ("lods", "outs"):
        s.set(EDI, i.address_size, add(di, step))
    if repeats(i):
        s.set(ECX, i.address_size, add(s.registers[ECX], constant(-1)))


def _xlat(i: Instruction) -> None:
    s = i.segment
    prefix = next((byte for byte in i.code if byte in OVERRIDES), 0)
    flags = (FLAG_MASK if i.address_size == 2 else 0) | (FLAG_OVERRIDE if prefix else 0)
    address = add(s.registers[EBX], s.get(EAX, 1))
    s.set(EAX, 1, s.load(address, OVERRIDES.get(prefix, DS), 1, flags=flags))


OVERRIDES: Final = {0x26: 0, 0x2E: 1, 0x36: 2, 0x3E: 3, 0x64: 4, 0x65: 5}


def _operand(i: Instruction) -> Memory | None:
    return next((operand for operand in i.operands if isinstance(operand, Memory)), None)


def several(i: Instruction, pieces: list[tuple[int, int]], *, write: bool) -> None:
    """Accesses at several (offset, size) of the instruction's operand."""
    memory = _operand(i)
    if memory is None:
        return
    s = i.segment
    base, flags = i.address(memory), i.flags(memory)
    for offset, size in pieces:
        address = add(base, constant(offset))
        if write:
            s.store(address, memory.segment, size, None, flags=flags)
        else:
            s.load(address, memory.segment, size, flags=flags)


def _st_registers(first: int, stride: int) -> list[tuple[int, int]]:
    return [piece for n in range(8) for piece in ((first + stride * n, 8), (first + stride * n + 8, 2))]


_XMM: Final = [piece for n in range(8) for piece in ((0xA0 + 16 * n, 8), (0xA8 + 16 * n, 8))]


def _fx(i: Instruction) -> None:
    memory = _operand(i)
    assert memory is not None
    write = i.name == "fxsave"
    i.segment.test(ENTRY_ALIGNED, i.address(memory), size=16, result=memory.segment)
    header = [(0, 2), (2, 2), (4, 2)] + ([(8, 8), (16, 8)] if write else [])
    several(i, header + _st_registers(0x20, 16), write=write)
    i.segment.guard(ENTRY_FXSR)
    several(i, [(0x18, 4), *([(0x1C, 4)] if write else []), *_XMM], write=write)


def _environment(i: Instruction) -> None:
    wide = i.wide
    count, write = (7, True) if i.name in ("fnstenv", "fnsave") else (3, False)
    pieces = [(wide * n, wide if write else 2) for n in range(count)]
    if i.name in ("fnsave", "frstor"):
        pieces += _st_registers(7 * wide, 10)
    several(i, pieces, write=write)


def _packed_decimal(i: Instruction) -> None:
    if i.name == "fbld":
        several(i, [(n, 1) for n in (*range(8, -1, -1), 9)], write=False)
    else:
        several(i, [(n, 1) for n in (9, *range(9))], write=True)


def _cmpxchg8b(i: Instruction) -> None:
    several(i, [(0, 8)], write=False)
    several(i, [(0, 8)], write=True)
    i.segment.registers[EAX] = i.segment.registers[EDX] = None


def _bound(i: Instruction) -> None:
    several(i, [(0, i.wide), (i.wide, i.wide)], write=False)


def _table(i: Instruction) -> None:
    several(i, [(0, 2), (2, 4)], write=i.name[0] == "s")


# -- segments and far transfers


def _descriptor(i: Instruction, selector: Known, what: int, register: int = 0) -> None:
    first = not _operand(i) and i.name != "pop"
    i.segment.test(ENTRY_DESCRIPTOR, selector, size=what, result=register, flags=FLAG_FIRST if first else 0)


def load_segment(i: Instruction) -> None:
    """MOV and POP to a segment register."""
    target = i.operands[0]
    assert isinstance(target, Other)
    selector = i.segment.pop(i.wide) if i.name == "pop" else None
    if i.name == "mov":
        source = i.operands[1]
        if isinstance(source, Memory):
            source = source._replace(size=2)
        selector = i.read(source)
    _descriptor(i, selector, TO_SEGMENT, SEGMENTS[target.name])


def _far_pointer(i: Instruction, memory: Memory) -> Known:
    """Read m16:16 or m16:32; the selector."""
    s, flags = i.segment, i.flags(memory)
    s.load(i.address(memory), memory.segment, i.wide, flags=flags)
    return s.load(add(i.address(memory), constant(i.wide)), memory.segment, 2, flags=flags)


def _load_far_pointer(i: Instruction) -> None:
    memory = _operand(i)
    if memory is None:
        return
    _descriptor(i, _far_pointer(i, memory), TO_SEGMENT, SEGMENTS[i.name[1:]])
    i.write(i.operands[0], None)


def _far(i: Instruction, how: int, selector: Known, released: int = 0) -> None:
    """What the engine does there depends on memory as it is then: no store of the section comes before."""
    s = i.segment
    if s.stores:
        raise Unplannable
    s.hold(s.registers[ESP], STACK_TOP)
    s.hold(constant(released), RELEASED)
    s.test(ENTRY_FAR, selector, size=i.wide, flags=how)


def far_transfer(i: Instruction) -> None:
    """Far JMP and CALL."""
    s, memory = i.segment, _operand(i)
    how = FAR_CALL if "call" in i.name else FAR_JUMP
    if memory is None:
        first = i.operands[0]
        selector = i.read(first)
        if isinstance(first, Other):
            selector = constant(int(first.name.split(":")[0], 0))
        s.test(ENTRY_NO_TASK, selector)
    else:
        if s.stores:
            raise Unplannable
        at = add(i.address(memory), constant(i.wide))
        s.test(ENTRY_NO_TASK, s.look(at, memory.segment, 2, i.flags(memory)))
        selector = _far_pointer(i, memory)
    _far(i, how, selector)


def _far_return(i: Instruction) -> None:
    released = next((o.value for o in i.operands if isinstance(o, Immediate)), 0)
    _far(i, FAR_RETURN, constant(0), released)


def _iret(i: Instruction) -> None:
    _far(i, FAR_IRET, constant(0))


def _task_register(i: Instruction) -> None:
    operand: Operand = i.operands[0]
    if isinstance(operand, Memory):
        operand = operand._replace(size=2)
    _descriptor(i, i.read(operand), TO_TASK if i.name == "ltr" else TO_LDT)


def _look_at_descriptor(i: Instruction) -> None:
    operand: Operand = i.operands[-1]
    if isinstance(operand, Memory):
        operand = operand._replace(size=2)
    _descriptor(i, i.read(operand), TO_LOOK)
    if len(i.operands) > 1:
        i.write(i.operands[0], None)


def _store_word(i: Instruction) -> None:
    target = i.operands[0]
    i.write(target._replace(size=2) if isinstance(target, Memory) else target, None)


def _load_word(i: Instruction) -> None:
    source = i.operands[0]
    i.read(source._replace(size=2) if isinstance(source, Memory) else source)


def _in(i: Instruction) -> None:
    i.write(i.operands[0], None)


def _nothing(_i: Instruction) -> None:
    pass


def _arpl(i: Instruction) -> None:
    i.read(i.operands[0])
    i.write(i.operands[0], None)


_STORES: Final = re.compile(r"(fst|fist|fnst|mov(nt|[ahl]|u|d|q|s)|stmxcsr|maskmov)")


def other(i: Instruction) -> None:
    """x87, MMX, SSE, and anything else: one access by the operand, in pieces of eight bytes."""
    memory = _operand(i)
    write = bool(i.operands) and i.operands[0] is memory and bool(_STORES.match(i.name))
    if memory is not None:
        size = memory.size or 4
        if i.name in ("fnstcw", "fnstsw", "fldcw"):
            size = 2
        pieces = [(at, min(8, size - at)) for at in range(0, size, 8)]
        if size == 16 and i.name not in UNALIGNED:
            i.segment.test(ENTRY_ALIGNED, i.address(memory), size=16, result=memory.segment)
        several(i, pieces, write=write)
    if i.operands and isinstance(i.operands[0], Register) and i.name not in ("ltr", "out"):
        i.write(i.operands[0], None)
    if i.name.startswith("maskmov"):
        raise Unplannable


OTHERS: Final[dict[str, Step]] = {
    "xlatb": _xlat,
    "fxsave": _fx,
    "fxrstor": _fx,
    **dict.fromkeys(("fnstenv", "fldenv", "fnsave", "frstor"), _environment),
    **dict.fromkeys(("fbld", "fbstp"), _packed_decimal),
    "cmpxchg8b": _cmpxchg8b,
    "bound": _bound,
    **dict.fromkeys(("lgdt", "lidt", "sgdt", "sidt"), _table),
    **dict.fromkeys(("les", "lds", "lss", "lfs", "lgs"), _load_far_pointer),
    **dict.fromkeys(("lcall", "ljmp"), far_transfer),
    "retf": _far_return,
    **dict.fromkeys(("iret", "iretd"), _iret),
    **dict.fromkeys(("ltr", "lldt"), _task_register),
    **dict.fromkeys(("verr", "verw", "lar", "lsl"), _look_at_descriptor),
    **dict.fromkeys(("str", "sldt", "smsw"), _store_word),
    "in": _in,
    "out": _nothing,
    "lmsw": _load_word,
    "arpl": _arpl,
}
