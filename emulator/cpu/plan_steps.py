"""What each instruction accesses and does to the registers, for access plans: moves, arithmetic, stack.

The order of an instruction's accesses is Unicorn's, which is the processor's own where the SDM states it.
An instruction that isn't here has no implicit accesses: `plan_memory.other` takes it by its operands.
"""

from collections.abc import Callable
from typing import Final

from emulator.cpu.plan_segment import Segment
from emulator.cpu.plan_text import Immediate, Memory, Operand, Other, Register, Text
from emulator.cpu.plan_values import (
    AND,
    BSWAP,
    MUL,
    MULHU,
    OR,
    ROL,
    ROR,
    SAR,
    SHL,
    SHR,
    SIGN8,
    SIGN16,
    XOR,
    Known,
    add,
    constant,
    scale,
)
from emulator.timing.plan_entries import FLAG_MASK, FLAG_OVERRIDE, FLAG_STACK

EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI = range(8)
SS: Final = 2

Step = Callable[["Instruction"], None]


class Instruction:
    """One instruction in its segment."""

    __slots__ = ("address_size", "bits", "code", "name", "operands", "repeated", "segment", "wide")

    def __init__(self, segment: Segment, text: Text, wide: int, address_size: int, code: bytes) -> None:
        """`wide`: operand size that isn't a byte; `code`: its bytes."""
        self.segment, self.name, self.operands, self.repeated = (
            segment,
            text.name,
            text.operands,
            text.repeated,
        )
        self.wide, self.address_size, self.code = wide, address_size, code

    def flags(self, memory: Memory) -> int:
        """Flags of an access through an operand."""
        return (FLAG_MASK if self.address_size == 2 else 0) | (FLAG_OVERRIDE if memory.override else 0)

    def address(self, memory: Memory) -> Known:
        """Offset of a memory operand in its segment, before 16-bit wrapping."""
        value: Known = constant(memory.displacement)
        for number, factor in memory.terms:
            value = add(value, scale(self.segment.registers[number], factor))
        return value

    def size(self, operand: Operand) -> int:
        """Bytes of an operand."""
        if isinstance(operand, Memory):
            return operand.size or self.wide
        return operand.size if isinstance(operand, Register) else self.wide

    def read(self, operand: Operand, *, signed: bool = False) -> Known:
        """Value of an operand, with its access."""
        s = self.segment
        if isinstance(operand, Register):
            value = s.get(operand.number, operand.size, operand.high)
            if signed and operand.size < 4:
                return s.nodes.operate(SIGN8 if operand.size == 1 else SIGN16, value, constant(0))
            return value
        if isinstance(operand, Immediate):
            return constant(operand.value)
        if isinstance(operand, Memory):
            return s.load(
                self.address(operand),
                operand.segment,
                self.size(operand),
                signed=signed,
                flags=self.flags(operand),
            )
        return None

    def write(self, operand: Operand, value: Known) -> None:
        """Write an operand, with its access."""
        s = self.segment
        if isinstance(operand, Register):
            s.set(operand.number, operand.size, value, operand.high)
        elif isinstance(operand, Memory):
            flags = self.flags(operand)
            s.store(self.address(operand), operand.segment, self.size(operand), value, flags=flags)


def _mov(i: Instruction) -> None:
    target, source = i.operands
    if isinstance(source, Other) and isinstance(target, Memory):  # a segment register: always two bytes
        i.segment.store(i.address(target), target.segment, 2, None, flags=i.flags(target))
        return
    i.write(target, i.read(source))


def _lea(i: Instruction) -> None:
    target, source = i.operands
    assert isinstance(source, Memory)
    value = i.address(source)
    if i.address_size == 2:
        value = i.segment.nodes.operate(AND, value, constant(0xFFFF))
    i.write(target, value)


def _extend(i: Instruction) -> None:
    i.write(i.operands[0], i.read(i.operands[1], signed=i.name == "movsx"))


def _compare(i: Instruction) -> None:
    for operand in i.operands:
        i.read(operand)


def _arithmetic(i: Instruction) -> None:
    first, second = i.operands
    left, right = i.read(first), i.read(second)
    if i.name in ("xor", "sub") and first == second:
        i.write(first, constant(0))
    elif i.name == "add":
        i.write(first, add(left, right))
    elif i.name == "sub":
        i.write(first, add(left, right, -1))
    else:
        i.write(first, i.segment.nodes.operate({"and": AND, "or": OR, "xor": XOR}[i.name], left, right))


def _carry(i: Instruction) -> None:
    for operand in i.operands:
        i.read(operand)
    i.write(i.operands[0], None)


_SHIFTS: Final = {"shl": SHL, "sal": SHL, "shr": SHR, "sar": SAR, "rol": ROL, "ror": ROR}


def _shift(i: Instruction) -> None:
    target = i.operands[0]
    value = i.read(target)
    count = i.read(i.operands[1]) if len(i.operands) > 1 else constant(1)
    operation, size = _SHIFTS[i.name], i.size(target)
    if size < 4 and operation not in (SHL, SHR):
        i.write(target, None)
    else:
        i.write(target, i.segment.nodes.operate(operation, value, count))


def _unary(i: Instruction) -> None:
    target = i.operands[0]
    value = i.read(target)
    if i.name == "inc":
        value = add(value, constant(1))
    elif i.name == "dec":
        value = add(value, constant(-1))
    else:
        value = add(constant(0 if i.name == "neg" else -1), value, -1)
    i.write(target, value)


def _double_shift(i: Instruction) -> None:
    i.read(i.operands[0])
    i.write(i.operands[0], None)


def _xchg(i: Instruction) -> None:
    first, second = i.operands
    if isinstance(first, Memory):
        first, second = second, first
    if isinstance(second, Memory):
        value = i.read(second)
        i.write(second, i.read(first))
        i.write(first, value)
        return
    left, right = i.read(first), i.read(second)
    i.write(first, right)
    i.write(second, left)


def _xadd(i: Instruction) -> None:
    target, source = i.operands
    value, addend = i.read(target), i.read(source)
    i.write(target, add(value, addend))
    i.write(source, value)
    if target == source:
        i.write(target, None)


def _cmpxchg(i: Instruction) -> None:
    target = i.operands[0]
    i.read(target)
    i.write(target, None)
    i.segment.set(EAX, i.size(target), None)


def _conditional_move(i: Instruction) -> None:
    i.read(i.operands[1])
    i.write(i.operands[0], None)


def _set_condition(i: Instruction) -> None:
    i.write(i.operands[0], None)


def _bit_test(i: Instruction) -> None:
    target, bit = i.operands
    if isinstance(target, Register):
        if i.name != "bt":
            i.write(target, None)
        return
    assert isinstance(target, Memory)
    s, size, address = i.segment, i.size(target), i.address(target)
    if isinstance(bit, Register):
        number = i.read(bit, signed=True)
        shift, width = (5, 4) if size == 4 else (4, 2)
        address = add(address, scale(s.nodes.operate(SAR, number, constant(shift)), width))
    s.load(address, target.segment, size, flags=i.flags(target))
    if i.name != "bt":
        s.store(address, target.segment, size, None, flags=i.flags(target))


def _bit_scan(i: Instruction) -> None:
    i.read(i.operands[1])
    i.write(i.operands[0], None)


def _multiply(i: Instruction) -> None:
    s = i.segment
    if len(i.operands) > 1:
        left, right = i.read(i.operands[-2]), i.read(i.operands[-1])
        if i.size(i.operands[0]) < 4:
            left = None
        i.write(i.operands[0], s.nodes.operate(MUL, left, right))
        return
    factor, size = i.read(i.operands[0]), i.size(i.operands[0])
    if size == 4:
        low = s.registers[EAX]
        s.registers[EAX] = s.nodes.operate(MUL, low, factor)
        s.registers[EDX] = s.nodes.operate(MULHU, low, factor) if i.name == "mul" else None
        return
    s.set(EAX, 2, None)
    if size == 2:
        s.set(EDX, 2, None)


def _divide(i: Instruction) -> None:
    i.read(i.operands[0])
    size = i.size(i.operands[0])
    i.segment.set(EAX, max(size, 2), None)
    if size > 1:
        i.segment.set(EDX, size, None)


def _sign(i: Instruction) -> None:
    s, operate = i.segment, i.segment.nodes.operate
    low = s.registers[EAX]
    if i.name == "cdq":
        s.registers[EDX] = operate(SAR, low, constant(31))
    elif i.name == "cwde":
        s.registers[EAX] = operate(SIGN16, low, constant(0))
    elif i.name == "cbw":
        s.set(EAX, 2, operate(SIGN8, low, constant(0)))
    else:  # cwd
        s.set(EDX, 2, operate(SAR, operate(SIGN16, low, constant(0)), constant(31)))


def _bswap(i: Instruction) -> None:
    target = i.operands[0]
    i.write(target, i.segment.nodes.operate(BSWAP, i.read(target), constant(0)) if i.wide == 4 else None)


def _push(i: Instruction) -> None:
    operand = i.operands[0]
    i.segment.push(i.read(operand), i.wide)


def _pop(i: Instruction) -> None:
    target = i.operands[0]
    value = i.segment.pop(i.wide)
    if isinstance(target, Memory) and not target.size:
        target = target._replace(size=i.wide)
    i.write(target, value)  # its address is computed after ESP has gone up (SDM vol. 2B, POP)


def _call(i: Instruction) -> None:
    if not isinstance(i.operands[0], Immediate):
        i.read(i.operands[0])
    i.segment.push(None, i.wide)


def _jump(i: Instruction) -> None:
    if i.operands and isinstance(i.operands[0], Memory):
        i.read(i.operands[0])


def _ret(i: Instruction) -> None:
    i.segment.pop(i.wide)


def _leave(i: Instruction) -> None:
    s = i.segment
    s.registers[ESP] = s.registers[EBP]
    s.set(EBP, i.wide, s.pop(i.wide))


def _enter(i: Instruction) -> None:
    s, size = i.segment, i.wide
    room, level = (operand.value if isinstance(operand, Immediate) else 0 for operand in i.operands)
    frame = s.registers[EBP]
    s.push(frame, size)
    top = s.registers[ESP]
    for n in range(1, level & 31):
        at = add(frame, constant(-size * n))
        s.push(s.load(at, SS, size), size)
    if level & 31:
        s.push(top, size)
    s.set(EBP, size, top)
    s.registers[ESP] = add(s.registers[ESP], constant(-(room & 0xFFFF)))


def _push_all(i: Instruction) -> None:
    s, size = i.segment, i.wide
    top = add(s.registers[ESP], constant(-8 * size))
    for n in range(8):
        value = s.registers[7 - n] if size == 4 else None
        s.store(add(top, constant(size * n)), SS, size, value, flags=FLAG_STACK)
    s.registers[ESP] = top


def _pop_all(i: Instruction) -> None:
    s, size = i.segment, i.wide
    top = s.registers[ESP]
    for n in range(8):
        if n != 3:
            s.set(7 - n, size, s.load(add(top, constant(size * n)), SS, size, flags=FLAG_STACK))
    s.registers[ESP] = add(top, constant(8 * size))


def _push_flags(i: Instruction) -> None:
    i.segment.push(None, i.wide)


def _pop_flags(i: Instruction) -> None:
    i.segment.pop(i.wide)


def _string_step(i: Instruction) -> None:
    i.segment.step = constant(1 if i.name == "cld" else -1)


def _clobber(*numbers: int) -> Step:
    def step(i: Instruction) -> None:
        for number in numbers:
            i.segment.registers[number] = None

    return step


def _nothing(_i: Instruction) -> None:
    pass


def _named(names: str, step: Step) -> dict[str, Step]:
    return dict.fromkeys(names.split(), step)


_CONDITIONS: Final = "a ae b be e g ge l le ne no np ns o p s"
PLAIN: Final[dict[str, Step]] = {
    **_named("mov movabs movnti", _mov),
    **_named("lea", _lea),
    **_named("movzx movsx", _extend),
    **_named("cmp test", _compare),
    **_named("add sub and or xor", _arithmetic),
    **_named("adc sbb rcl rcr", _carry),
    **_named("shl sal shr sar rol ror", _shift),
    **_named("inc dec neg not", _unary),
    **_named("shld shrd", _double_shift),
    **_named("xchg", _xchg),
    **_named("xadd", _xadd),
    **_named("cmpxchg", _cmpxchg),
    **{f"cmov{condition}": _conditional_move for condition in _CONDITIONS.split()},
    **{f"set{condition}": _set_condition for condition in _CONDITIONS.split()},
    **{f"j{condition}": _nothing for condition in _CONDITIONS.split()},
    **_named("bt bts btr btc", _bit_test),
    **_named("bsf bsr", _bit_scan),
    **_named("mul imul", _multiply),
    **_named("div idiv", _divide),
    **_named("cdq cwde cbw cwd", _sign),
    **_named("bswap", _bswap),
    **_named("push", _push),
    **_named("pop", _pop),
    **_named("call", _call),
    **_named("jmp", _jump),
    **_named("ret", _ret),
    **_named("leave", _leave),
    **_named("enter", _enter),
    **_named("pushal pushaw", _push_all),
    **_named("popal popaw", _pop_all),
    **_named("pushfd pushf", _push_flags),
    **_named("popfd popf", _pop_flags),
    **_named("cld std", _string_step),
    **_named("loop loope loopne", _clobber(ECX)),
    **_named("aaa aas aam aad daa das lahf salc", _clobber(EAX)),
    **_named("cpuid", _clobber(EAX, ECX, EDX, EBX)),
    **_named("rdtsc rdmsr rdpmc", _clobber(EAX, EDX)),
    **_named("jcxz jecxz nop pause clc stc cmc sahf cli sti hlt wrmsr wbinvd invd clts", _nothing),
    **_named("mfence lfence sfence ud2 ud0 ud1 int int1 int3 into sysenter sysexit wait fwait", _nothing),
    **_named("prefetch prefetchw prefetcht0 prefetcht1 prefetcht2 prefetchnta invlpg clflush", _nothing),
    **_named("endbr32 endbr64 emms", _nothing),
}
