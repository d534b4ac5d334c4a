"""The local vector table: what the processor's own interrupt sources do (SDM vol. 3A, "Local vector table").

timer, error      always fixed: the entry's vector goes to IRR
LINT0, LINT1      fixed by edge; LINT0 fixed by level, held back by remote IRR until EOI; NMI; ExtINT
thermal, perf.    their conditions are not modelled, only the entries
"""

from collections.abc import Callable, Iterable
from typing import ClassVar, Final

from emulator.devices.device import State, Stateful
from emulator.devices.lapic_registers import (
    EXTINT,
    FIXED,
    LVT_BITS,
    LVT_ERROR,
    LVT_LEVEL,
    LVT_LINT0,
    LVT_LINT1,
    LVT_MASKED,
    LVT_MODE,
    LVT_REMOTE_IRR,
    LVT_TIMER,
    NMI,
)

PINS: Final = {LVT_LINT0: 1, LVT_LINT1: 2}


class LocalVectorTable(Stateful):
    """The entries at `offsets` and the pins LINT0 and LINT1."""

    FIELDS: ClassVar[tuple[str, ...]] = ("lines",)

    def __init__(
        self, offsets: Iterable[int], accept: Callable[[int, bool], bool], nmi: Callable[[], None]
    ) -> None:
        self._accept = accept
        self._nmi = nmi
        self._entries = dict.fromkeys(offsets, LVT_MASKED)
        self.lines = 0

    def __contains__(self, offset: int) -> bool:
        return offset in self._entries

    def __getitem__(self, offset: int) -> int:
        return self._entries[offset]

    def reset(self) -> None:
        """Mask everything; the pins stay as they are driven."""
        self._entries = dict.fromkeys(self._entries, LVT_MASKED)

    def write(self, offset: int, value: int) -> None:
        """A new entry; the remote IRR bit is only kept where it has a meaning."""
        self._entries[offset] = value & LVT_BITS[offset] | self._entries[offset] & LVT_REMOTE_IRR
        if not self._held(offset):
            self._entries[offset] &= ~LVT_REMOTE_IRR
        self._level()

    def mask_all(self) -> None:
        """Software disables the APIC: set every mask."""
        for offset in self._entries:
            self._entries[offset] |= LVT_MASKED

    def fire(self, offset: int) -> None:
        """A source has an edge."""
        entry = self._entries[offset]
        mode = entry >> 8 & 7 if offset not in (LVT_TIMER, LVT_ERROR) else FIXED
        if entry & LVT_MASKED:
            return
        if mode == FIXED:
            self._accept(entry & 0xFF, False)
        elif mode == NMI:
            self._nmi()

    def drive(self, offset: int, level: bool) -> None:
        """Drive the pin LINT0 or LINT1."""
        pin = PINS[offset]
        rises = level and not self.lines & pin
        self.lines = self.lines | pin if level else self.lines & ~pin
        if rises and not self._held(offset):
            self.fire(offset)
        self._level()

    def finish(self, vector: int) -> None:
        """EOI of a level-triggered vector: LINT0 may interrupt again if it was that."""
        if self._entries[LVT_LINT0] & 0xFF == vector:
            self._entries[LVT_LINT0] &= ~LVT_REMOTE_IRR
            self._level()

    def extint(self) -> bool:
        """Whether LINT0 passes the 8259's INTR on."""
        return self._entries[LVT_LINT0] & (LVT_MASKED | LVT_MODE) == EXTINT << 8

    def pic_sends_nmi(self) -> bool:
        """Whether LINT0 turns the 8259's INTR into an NMI, as a watchdog's kernel may want."""
        return self._entries[LVT_LINT0] & (LVT_MASKED | LVT_MODE) == NMI << 8

    def state(self) -> State:
        """Entries and pins."""
        return {**super().state(), "entries": list(self._entries.values())}

    def restore(self, state: State) -> None:
        """Put `state()` back."""
        own = dict(state)
        self._entries = dict(zip(self._entries, own.pop("entries"), strict=True))
        super().restore(own)

    def _held(self, offset: int) -> bool:
        """Whether the pin is a level-triggered fixed interrupt: only LINT0 can be."""
        entry = self._entries[offset]
        return offset == LVT_LINT0 and bool(entry & LVT_LEVEL) and not entry & LVT_MODE

    def _level(self) -> None:
        entry = self._entries[LVT_LINT0]
        if not entry & LVT_LEVEL:
            return
        waiting = self.lines & PINS[LVT_LINT0] and not entry & (LVT_MASKED | LVT_REMOTE_IRR)
        if waiting and self._held(LVT_LINT0) and self._accept(entry & 0xFF, True):
            self._entries[LVT_LINT0] |= LVT_REMOTE_IRR
