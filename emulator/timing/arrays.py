"""What the model keeps outside the state record, since its size depends on RAM or on the run.

reverse_map    frame -> epoch << 20 | linear page that the soft TLB maps it under
write_epochs   frame -> epoch in which the soft TLB may write to it
table_frames   frame -> last epoch in which a page walk has read a table in it
code_frames    frame -> code has been fetched from it
special_frames frame -> that, or it has ever held a page table: stores to it need a closer look
ledger         [symbol, ring, cause]
tsc            one row a logged RDTSC: the time, the ledger's sums by cause, the counts of misses
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.timing.causes import COUNT
from emulator.timing.state import SYMBOLS, StateView
from emulator.timing.tsc import WORDS

PAGE_SHIFT = 12


class ModelArrays:
    """The arrays of one machine; compiled code reaches them by the addresses in the state record."""

    def __init__(self, state: StateView, ram_size: int, tsc_log: int) -> None:
        frames = ram_size >> PAGE_SHIFT
        self.reverse_map = self._array(state, "reverse_map", frames, np.int64)
        self.write_epochs = self._array(state, "write_epochs", frames, np.int64)
        self.table_frames = self._array(state, "table_frames", frames, np.int64)
        self.code_frames = self._array(state, "code_frames", frames, np.uint8)
        self.special_frames = self._array(state, "special_frames", frames, np.uint8)
        self.ledger = self._array(state, "ledger", (SYMBOLS, 4, COUNT), np.int64)
        self.tsc = self._array(state, "tsc_log", (max(1, tsc_log), WORDS), np.int64)
        state.tsc_capacity = tsc_log
        state.symbols = 1

    @staticmethod
    def _array(state: StateView, name: str, shape: int | tuple[int, ...], kind: type) -> NDArray[Any]:
        array: NDArray[Any] = np.zeros(shape, dtype=kind)
        setattr(state, name, int(array.ctypes.data))
        return array
