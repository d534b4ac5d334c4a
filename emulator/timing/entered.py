"""The end of an ENTER: see `enter.py`."""

from typing import Any, Final

from emulator.compiled import compiled, store_u32

EBP: Final = 5


@compiled
def entered(s: Any) -> None:
    """Load EBP."""
    s.entering = -1
    store_u32(s.at_registers + 8 * EBP, s.entered)
