"""What a block is charged: a profile's classes as integers, in 1/256 cycle for ordinary instructions."""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

from emulator.timing import causes
from emulator.timing.classes import CLASS_CAUSE, REP_OPERATIONS, REP_WIDTHS
from emulator.timing.schema import Profile

SCALE: Final = 256  # parts of a cycle


class Cost(NamedTuple):
    """The cost of one class: 1/256 cycles if its cause is INSTRUCTION, else whole cycles (the other is 0)."""

    base256: int
    cause: int
    cycles: int


class RepPrice(NamedTuple):
    """A REP string operation: its first iteration with the start-up, and every later one, in 1/256 cycle."""

    first256: int
    next256: int


@dataclass(frozen=True, slots=True)
class Costs:
    """Block costs of one profile; `memo` is the decoder's cache, one entry for each distinct instruction."""

    classes: dict[str, Cost]
    rep: dict[tuple[str, str], RepPrice]  # (movs, stos, lods, scas or cmps; b, w or d)
    interrupt_entry: int  # INT n, INT3, INTO
    exception_entry: int
    irq_entry: int
    call_gate_extra: int  # a far call that changes the ring, beyond `call_far`
    ret_far_outer_extra: int  # a far return that changes the ring, beyond `ret_far`
    memo: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_profile(cls, profile: Profile) -> Self:
        """Round the profile's numbers: to 1/256 cycle, or to whole cycles (half up) for other causes."""
        classes = {}
        for name, number in profile.classes.items():
            cause = CLASS_CAUSE[name]
            if cause == causes.INSTRUCTION:
                classes[name] = Cost(_parts(number.value), cause, 0)
            else:
                classes[name] = Cost(0, cause, number.whole)
        rep = {}
        for operation in REP_OPERATIONS:
            cost = getattr(profile.rep, operation)
            for letter, width in REP_WIDTHS.items():
                element = getattr(cost, width).value
                rep[operation, letter] = RepPrice(_parts(cost.startup.value + element), _parts(element))
        return cls(
            classes=classes,
            rep=rep,
            interrupt_entry=classes["int"].cycles,
            exception_entry=classes["exception"].cycles,
            irq_entry=classes["irq"].cycles,
            call_gate_extra=classes["call_gate"].cycles,
            ret_far_outer_extra=classes["ret_far_outer"].cycles,
        )


def _parts(cycles: float) -> int:
    return int(cycles * SCALE + 0.5)
