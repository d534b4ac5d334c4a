"""One segment of an access plan: instructions whose accesses follow from the registers at its start.

    registers at the start --> Segment.access(...) --> entries, in program order

An entry is one row of `timing.plan.ENTRY`. A value that has to be loaded or computed first becomes
entries of its own, just before the first access that needs it; those of one instruction come before its
accesses, so that an instruction is either not begun or can be finished.
"""

from typing import Final

from emulator.cpu.plan_values import (
    AND,
    FIRST_NODE,
    MUL,
    OR,
    SHL,
    SHR,
    SIGN8,
    SIGN16,
    STEP,
    Known,
    Load,
    Nodes,
    Operation,
    Value,
    add,
    constant,
    register,
)
from emulator.timing.plan_entries import (
    ENTRY_ACCESS,
    ENTRY_LOAD,
    ENTRY_OPERATE,
    ENTRY_STEP,
    ENTRY_SUM,
    FLAG_MASK,
    FLAG_SIGNED,
    FLAG_STACK,
    FLAG_WRITE,
    IMMEDIATE,
    TEMPORARIES,
    ZERO,
)

ESP: Final = 4
SS: Final = 2
MAX_STORES: Final = 60
_REGISTERS: Final = [register(number) for number in range(8)]
_STEP: Final = register(STEP)

Entry = tuple[int, int, int, int, int, int, int, int, int, int, int, int]
"""Kind, two registers, their factors, size, flags, segment, displacement, result, stores, index."""


class Unplannable(Exception):
    """This instruction needs a segment of its own."""


def _signed8(factor: int) -> int | None:
    factor = factor - (1 << 32) if factor >> 31 else factor
    return factor if -128 <= factor <= 127 else None


class Segment:
    """The segment being built."""

    def __init__(self, wide_stack: int) -> None:
        """`wide_stack`: bytes of a stack slot in this code without prefix."""
        self.registers: list[Known] = list(_REGISTERS)
        self.step: Value = _STEP
        self.nodes = Nodes()
        self.entries: list[Entry] = []
        self.stores: list[tuple[Known, int, int, Known]] = []
        self.index = 0  # of the instruction being planned
        self.sliced = False
        self._emitted: dict[int, int] = {}
        self._next = FIRST_NODE
        self.wide = wide_stack

    # -- registers

    def get(self, number: int, size: int, high: bool = False) -> Known:
        """A register, or a part of it, zero-extended."""
        value = self.registers[number]
        if size == 4:
            return value
        if high:
            value = self.nodes.operate(SHR, value, constant(8))
        return self.nodes.operate(AND, value, constant(0xFFFF if size == 2 else 0xFF))

    def set(self, number: int, size: int, value: Known, high: bool = False) -> None:
        """Write a register or a part of it."""
        if size == 4:
            self.registers[number] = value
            return
        operate, mask, shift = self.nodes.operate, 0xFFFF if size == 2 else 0xFF, 8 if high else 0
        part = operate(AND, value, constant(mask))
        if shift:
            part = operate(SHL, part, constant(shift))
        rest = operate(AND, self.registers[number], constant(~(mask << shift)))
        self.registers[number] = operate(OR, part, rest)

    # -- accesses

    def access(
        self,
        address: Known,
        segment: int,
        size: int,
        *,
        write: bool = False,
        flags: int = 0,
    ) -> None:
        """Plan one access of up to eight bytes. Raises: Unplannable."""
        if address is None:
            raise Unplannable
        self._entry(
            ENTRY_ACCESS, address, size=size, flags=flags | (FLAG_WRITE if write else 0), segment=segment
        )

    def load(self, address: Known, segment: int, size: int, *, signed: bool = False, flags: int = 0) -> Known:
        """Plan a read and give its value, zero- or sign-extended."""
        self.access(address, segment, size, flags=flags)
        if address is None or size > 4 or flags & FLAG_MASK:
            return None
        last = -1
        for number in range(len(self.stores) - 1, -1, -1):
            stored, in_segment, length, value = self.stores[number]
            if stored is not None and stored[1] == address[1] and in_segment == segment:
                distance = (address[0] - stored[0]) & 0xFFFFFFFF
                if distance == 0 and length >= size and last < 0:
                    return self._part(value, size, signed)
                if distance < length or -distance & 0xFFFFFFFF < size:
                    return None
            else:
                last = max(last, number)
        node = Load(address, segment, size, signed and size < 4, bool(flags & FLAG_STACK), last + 1)
        return self.nodes.value(node)

    def _part(self, value: Known, size: int, signed: bool) -> Known:
        if size == 4:
            return value
        if signed:
            return self.nodes.operate(SIGN8 if size == 1 else SIGN16, value, constant(0))
        return self.nodes.operate(AND, value, constant(0xFF if size == 1 else 0xFFFF))

    def store(self, address: Known, segment: int, size: int, value: Known, *, flags: int = 0) -> None:
        """Plan a write of a value. Raises: Unplannable."""
        self.access(address, segment, size, write=True, flags=flags)
        self.stores.append((None if flags & FLAG_MASK else address, segment, size, value))
        if len(self.stores) > MAX_STORES:
            raise Unplannable

    def test(self, operation: int, value: Known, *, size: int = 0, flags: int = 0, result: int = 0) -> None:
        """An entry that looks at a value. Raises: Unplannable."""
        if value is None:
            raise Unplannable
        self._entry(operation, value, size=size, flags=flags, result=result)

    def hold(self, value: Known, slot: int) -> None:
        """Put a value where an instruction of many accesses finds it. Raises: Unplannable."""
        if value is None:
            raise Unplannable
        first, factor1, second, factor2, displacement = self._fit(value)
        self._plain(ENTRY_SUM, first, second, factor1, factor2, 0, displacement, slot)

    def look(self, address: Known, segment: int, size: int, flags: int) -> Known:
        """A value in memory, without an access. Raises: Unplannable."""
        if address is None or flags & FLAG_MASK:
            raise Unplannable
        stack = bool(flags & FLAG_STACK)
        return self.nodes.value(Load(address, segment, size, signed=False, stack=stack, after=0))

    def guard(self, operation: int) -> None:
        """An entry without a value."""
        self.entries.append((operation, ZERO, ZERO, 0, 0, 0, 0, 0, 0, 0, 0, self.index))

    # -- entries

    def _entry(
        self,
        operation: int,
        value: Value,
        *,
        size: int = 0,
        flags: int = 0,
        segment: int = 0,
        result: int = 0,
    ) -> None:
        first, factor1, second, factor2, displacement = self._fit(value)
        stores = len(self.stores)
        self.entries.append(
            (
                operation, first, second, factor1, factor2, size, flags, segment, displacement, result,
                min(stores, 255), self.index,
            )
        )  # fmt: skip

    def _fit(self, value: Value) -> tuple[int, int, int, int, int]:
        """A value as two registers with factors and a displacement."""
        if len(value[1]) == 1:  # as most are
            term, factor = value[1][0]
            if term < 8 and factor == 1:
                return term, 1, ZERO, 0, value[0]
        terms: list[tuple[int, int]] = []
        for term, factor in value[1]:
            at = self._emit(term)
            small = _signed8(factor)
            if small is None:
                at, small = self._operate(MUL, at, IMMEDIATE, factor), 1
            terms.append((at, small))
        while len(terms) > 2:
            (first, factor1), (second, factor2) = terms.pop(), terms.pop()
            result = self._temporary()
            self._plain(ENTRY_SUM, first, second, factor1, factor2, 0, 0, result)
            terms.append((result, 1))
        terms += [(ZERO, 0)] * (2 - len(terms))
        return terms[0][0], terms[0][1], terms[1][0], terms[1][1], value[0]

    def _plain(
        self, operation: int, r1: int, r2: int, f1: int, f2: int, kind: int, displacement: int, result: int
    ) -> None:
        self.sliced = True
        self.entries.append((operation, r1, r2, f1, f2, kind, 0, 0, displacement, result, 0, self.index))

    def _operate(self, operation: int, left: int, right: int, displacement: int) -> int:
        result = self._temporary()
        self._plain(ENTRY_OPERATE, left, right, 0, 0, operation, displacement, result)
        return result

    def _temporary(self) -> int:
        if self._next >= TEMPORARIES:
            raise Unplannable
        self._next += 1
        return self._next - 1

    def _emit(self, term: int) -> int:
        """The register or temporary that holds a term."""
        if term < 8:
            return term
        if term in self._emitted:
            return self._emitted[term]
        if term == STEP:
            self._plain(ENTRY_STEP, ZERO, ZERO, 0, 0, 0, 0, STEP)
            self._emitted[term] = STEP
            return STEP
        node = self.nodes.list[term - FIRST_NODE]
        if isinstance(node, Operation):
            left = self._hold(node.left)
            if node.right[1]:
                result = self._operate(node.operation, left, self._hold(node.right), 0)
            else:
                result = self._operate(node.operation, left, IMMEDIATE, node.right[0])
        else:
            result = self._load(node)
        self._emitted[term] = result
        return result

    def _hold(self, value: Value) -> int:
        """A register or temporary with a value."""
        if not value[0] and len(value[1]) == 1 and value[1][0][1] == 1:
            return self._emit(value[1][0][0])
        first, factor1, second, factor2, displacement = self._fit(value)
        result = self._temporary()
        self._plain(ENTRY_SUM, first, second, factor1, factor2, 0, displacement, result)
        return result

    def _load(self, node: Load) -> int:
        first, factor1, second, factor2, displacement = self._fit(node.address)
        result = self._temporary()
        flags = (FLAG_SIGNED if node.signed else 0) | (FLAG_STACK if node.stack else 0)
        self.sliced = True
        self.entries.append(
            (
                ENTRY_LOAD, first, second, factor1, factor2, node.size, flags, node.segment, displacement,
                result, node.after, self.index,
            )
        )  # fmt: skip
        return result

    # -- the stack

    def push(self, value: Known, size: int) -> None:
        """Push a value of 2 or 4 bytes; ESP changes behind the store."""
        top = add(self.registers[ESP], constant(-size))
        self.store(top, SS, size, value, flags=FLAG_STACK)
        self.registers[ESP] = top

    def pop(self, size: int) -> Known:
        """Pop a value of 2 or 4 bytes."""
        top = self.registers[ESP]
        value = self.load(top, SS, size, flags=FLAG_STACK)
        self.registers[ESP] = add(top, constant(size))
        return value
