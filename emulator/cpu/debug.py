"""The debug registers (SDM vol. 3B, chapter 15). The engine's own stay empty: see `timing.checks`.

DR0-DR3  linear addresses      DR6  what happened: B0-B3, BD, BS, BT
DR4, DR5 are DR6 and DR7 unless CR4.DE is set (then #UD)
DR7      L0 G0 .. L3 G3, LE, GE, GD; for each register two bits of kind and two of length
"""

from typing import Final

import numpy as np

from emulator.cpu.exceptions import DB, GP, UD, Fault
from emulator.cpu.registers import VM, Registers
from emulator.timing.state import StateView

BD: Final = 1 << 13
BS: Final = 1 << 14
BT: Final = 1 << 15
DR6_FIXED: Final = 0xFFFF0FF0
DR6_WRITABLE: Final = 0xE00F
DR7_FIXED: Final = 0x400
DR7_ZERO: Final = 0xD800
GD: Final = 1 << 13
LOCAL: Final = 0x155
CR4_DE: Final = 8
TASK_TRAP: Final = 16  # beside B0-B3 in `debug_hits`


class DebugRegisters:
    """DR0 to DR7 of one processor; the breakpoints are in the state record too."""

    def __init__(self, registers: Registers, state: StateView) -> None:
        self._registers, self._state = registers, state
        self._addresses = np.zeros(4, dtype=np.int64)
        state.debug_addresses = int(self._addresses.ctypes.data)
        state.dr7 = DR7_FIXED
        self.dr6 = DR6_FIXED

    def check(self) -> None:
        """What MOV to or from a debug register checks first. Raises: Fault."""
        if self._registers.cpl or self._registers.system_flags & VM:
            raise Fault(GP)

    def _number(self, number: int) -> int:
        if number in (4, 5):
            if self._registers.control(4) & CR4_DE:
                raise Fault(UD)
            return number + 2
        return number

    def _detect(self) -> None:
        if self._state.dr7 & GD:
            self.dr6 |= BD
            raise Fault(DB)

    def read(self, number: int) -> int:
        """MOV r32, DRn. Raises: Fault."""
        self.check()
        number = self._number(number)
        self._detect()
        if number < 4:
            return int(self._addresses[number])
        return self.dr6 if number == 6 else self._state.dr7

    def write(self, number: int, value: int) -> None:
        """MOV DRn, r32. Raises: Fault."""
        self.check()
        number = self._number(number)
        self._detect()
        if number < 4:
            self._addresses[number] = value
        elif number == 6:
            self.dr6 = value & DR6_WRITABLE | DR6_FIXED
        else:
            self._state.dr7 = value & ~DR7_ZERO | DR7_FIXED

    def report_hits(self, more: int = 0) -> None:
        """Move the breakpoints that were hit, and `more`, to DR6."""
        self.dr6 |= self._state.debug_hits & 15 | more
        self._state.debug_hits = 0

    def delivered(self) -> None:
        """A #DB has been delivered: general detection goes off."""
        self._state.dr7 &= ~GD

    def task_switched(self) -> None:
        """A task switch clears the local enables."""
        self._state.dr7 &= ~LOCAL
