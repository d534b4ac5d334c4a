"""The 4 KB of a local APIC as a page that guests can read like RAM.

    guest stores:  write(offset, value, size), then the store itself lands in the page
    guest loads:   refresh(offset) if the dword is in VOLATILE, then the load itself

Dwords outside VOLATILE (ID, TPR, TICR) only change by stores, and the store leaves the right value there,
save where it set reserved bits: those wait in `fixups()` until the next refresh or write.
"""

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emulator.devices.device import Stateful
from emulator.devices.lapic_registers import PAGE, STABLE, VOLATILE

DWORD: Final = 0xFFFFFFFF


class LapicPage(Stateful):
    """The page, over registers that a subclass keeps; padding between registers is 0."""

    VOLATILE: ClassVar[frozenset[int]] = VOLATILE

    def __init__(self) -> None:
        self.page: NDArray[np.uint8] = np.zeros(PAGE, dtype=np.uint8)
        self._dwords = self.page.view("<u4")
        self._fixups: set[int] = set()

    def read(self, offset: int, size: int) -> int:
        """A load, for those who do not read `page`."""
        self.refresh(offset)
        return int.from_bytes(self.page[offset : offset + size].tobytes(), "little")

    def refresh(self, offset: int) -> None:
        """Before a load: bring the dword at `offset` of `page` up to date, and every fixup."""
        self._touched(offset & ~0xF)
        self._show(offset)
        self._fix()

    def fixups(self) -> list[int]:
        """Offsets outside VOLATILE where a guest's store has left reserved bits in `page`."""
        return sorted(self._fixups)

    def write(self, offset: int, value: int, size: int) -> None:
        """A store, before it lands in `page`; a narrow one changes its bytes of the register."""
        self._fix()  # what the last store left
        register, stored = offset & ~3, value
        if size != 4 or offset & 3:
            shift = 8 * (offset & 3)
            mask = ((1 << 8 * size) - 1) << shift & DWORD
            stored = value << shift & mask | self._current(register) & ~mask
        if not register & 0xC:
            self._write(register, stored)
        if register in STABLE:
            self._show(register)
            if self._value(register) != stored:
                self._fixups.add(register)

    def _show(self, offset: int) -> None:
        self._dwords[offset >> 2] = self._current(offset)

    def _fix(self) -> None:
        while self._fixups:
            fixup = self._fixups.pop()
            self._dwords[fixup >> 2] = self._current(fixup)

    def _show_all(self) -> None:
        self._fixups.clear()
        for offset in range(0, PAGE, 4):
            self._show(offset)

    def _current(self, offset: int) -> int:
        return 0 if offset & 0xC else self._value(offset & ~3)

    # --- the subclass's registers ---

    def _value(self, offset: int) -> int:
        raise NotImplementedError

    def _write(self, offset: int, value: int) -> None:
        raise NotImplementedError

    def _touched(self, offset: int) -> None:
        raise NotImplementedError
