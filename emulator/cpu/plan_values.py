"""Symbolic 32-bit values of a block: linear sums over its entry registers, and what must be computed.

    value = constant + sum of coefficient * term        None: unknown
    term    0..7  register at entry      9  string step (+1 or -1, by DF)
            16..  a node: a load from memory, or an operation that isn't linear

Nodes are computed only if an address needs them (`plan_segment` emits them).
"""

from collections.abc import Callable
from typing import Final, NamedTuple

Value = tuple[int, tuple[tuple[int, int], ...]]
Known = Value | None

ALL: Final = 0xFFFFFFFF
STEP: Final = 9
FIRST_NODE: Final = 16
MAX_NODES: Final = 90

AND, OR, XOR, SHL, SHR, SAR, MUL, SIGN8, SIGN16, ROL, ROR, BSWAP, MULHU = range(13)


class Load(NamedTuple):
    """A value loaded from guest memory; `after` is the number of stores before it."""

    address: Value
    segment: int
    size: int
    signed: bool
    stack: bool
    after: int


class Operation(NamedTuple):
    """A binary operation that isn't linear."""

    operation: int
    left: Value
    right: Value


Node = Load | Operation


def constant(number: int) -> Value:
    """A known number."""
    return number & ALL, ()


def register(number: int) -> Value:
    """A register at the block's entry."""
    return 0, ((number, 1),)


def add(left: Known, right: Known, factor: int = 1) -> Known:
    """The sum left + factor * right."""
    if left is None or right is None:
        return None
    if not right[1]:
        return (left[0] + factor * right[0]) & ALL, left[1]
    terms = dict(left[1])
    for term, coefficient in right[1]:
        total = (terms.get(term, 0) + factor * coefficient) & ALL
        if total:
            terms[term] = total
        else:
            terms.pop(term, None)
    return (left[0] + factor * right[0]) & ALL, tuple(sorted(terms.items()))


def scale(value: Known, factor: int) -> Known:
    """The product factor * value."""
    if value is None or factor == 1:
        return value
    terms = ((term, coefficient * factor & ALL) for term, coefficient in value[1])
    return value[0] * factor & ALL, tuple((term, coefficient) for term, coefficient in terms if coefficient)


class Nodes:
    """The nodes of one segment of a block, each distinct one once."""

    def __init__(self) -> None:
        self.list: list[Node] = []
        self._known: dict[Node, int] = {}

    def value(self, node: Node) -> Known:
        """The value of a node; unknown if there are too many."""
        number = self._known.get(node)
        if number is None:
            if len(self.list) >= MAX_NODES:
                return None
            number = self._known[node] = FIRST_NODE + len(self.list)
            self.list.append(node)
        return register(number)

    def operate(self, operation: int, left: Known, right: Known) -> Known:
        """An operation on two values, folded where it is linear or constant."""
        if left is None or right is None:
            return None
        if not right[1]:
            number = right[0]
            if not left[1] and operation in _FOLD:
                return constant(_FOLD[operation](left[0], number))
            if operation == SHL:
                return scale(left, 1 << (number & 31))
            if operation == MUL:
                return scale(left, number)
            if operation == AND and number == ALL:
                return left
            if operation == AND and number == 0:
                return constant(0)
            if operation in (SHR, SAR, ROL, ROR) and not number & 31:
                return left
        elif operation in (AND, OR, XOR, MUL) and not left[1]:
            return self.operate(operation, right, left)
        return self.value(Operation(operation, left, right))


def _signed(number: int) -> int:
    return number - (1 << 32) if number >> 31 else number


_FOLD: Final[dict[int, Callable[[int, int], int]]] = {
    AND: lambda a, b: a & b,
    OR: lambda a, b: a | b,
    XOR: lambda a, b: a ^ b,
    SHL: lambda a, b: a << (b & 31),
    SHR: lambda a, b: a >> (b & 31),
    SAR: lambda a, b: _signed(a) >> (b & 31),
    MUL: lambda a, b: a * b,
    SIGN8: lambda a, _b: ((a & 0xFF) ^ 0x80) - 0x80,
    SIGN16: lambda a, _b: ((a & 0xFFFF) ^ 0x8000) - 0x8000,
}
