"""Exception vectors, how their delivery is judged, and descriptors (SDM vol. 3A, 5.15 and 3.4.5)."""

from dataclasses import dataclass
from typing import Final

DE, DB, NMI, BP, OF, BR, UD, NM, DF, _, TS, NP, SEGMENT, GP, PF, _, MF, AC, MC, XM = range(20)
_NAMES = "#DE #DB NMI #BP #OF #BR #UD #NM #DF - #TS #NP #SS #GP #PF - #MF #AC #MC #XM"
NAMES: Final = dict(enumerate(_NAMES.split()))
WITH_ERROR_CODE: Final = frozenset({DF, TS, NP, SEGMENT, GP, PF, AC})
CONTRIBUTORY: Final = frozenset({DE, TS, NP, SEGMENT, GP})
FAULTS_WITH_RF: Final = frozenset({DE, BR, UD, NM, TS, NP, SEGMENT, GP, PF, MF, AC, XM})

_RF: Final = 1 << 16


def pushed_flags(flags: int, vector: int, *, software: bool, external: bool) -> int:
    """EFLAGS as a frame or an old TSS gets them, by what RF is there (SDM vol. 3B 17.3.1.1).

    A fault sets RF. RF holds for one instruction, so after a trap, and in an INT n, it is over.
    """
    if external:
        return flags
    if not software and vector in FAULTS_WITH_RF:
        return flags | _RF
    return flags & ~_RF if software or vector in (DB, BP, OF) else flags


class Fault(Exception):
    """An exception met on the way; `linear` is CR2 for a page fault."""

    def __init__(self, vector: int, error: int = 0, linear: int = 0) -> None:
        super().__init__(vector, error, linear)
        self.vector, self.error, self.linear = vector, error, linear


class TripleFault(Exception):
    """A fault while delivering a double fault: the processor shuts down."""


@dataclass(frozen=True)
class FaultRecord:
    """One exception on the way to a shutdown, for the message."""

    vector: int
    error: int | None
    cs: int
    eip: int
    cr2: int


@dataclass(frozen=True)
class Descriptor:
    """A segment descriptor, as its two words."""

    low: int
    high: int

    @property
    def base(self) -> int:
        """Bits 31..0 of the base."""
        return self.low >> 16 | (self.high & 0xFF) << 16 | (self.high & 0xFF000000)

    @property
    def limit(self) -> int:
        """Limit in bytes."""
        limit = (self.low & 0xFFFF) | (self.high & 0xF0000)
        return limit << 12 | 0xFFF if self.high >> 23 & 1 else limit

    @property
    def dpl(self) -> int:
        """Privilege level."""
        return self.high >> 13 & 3

    @property
    def present(self) -> bool:
        """P bit."""
        return bool(self.high >> 15 & 1)

    @property
    def code(self) -> bool:
        """A code segment."""
        return self.high >> 11 & 3 == 3

    @property
    def conforming(self) -> bool:
        """A conforming code segment."""
        return bool(self.high >> 10 & 1)

    @property
    def writable_data(self) -> bool:
        """A writable data segment."""
        return self.high >> 9 & 0xD == 0x9
