"""Charging: the only place where modelled time advances, so the ledger always equals the counter.

ledger[symbol, ring, cause]   one int64 each; `s.row` points at (symbol, ring) of the running block
"""

from typing import Any

from emulator.compiled import Word, inlined, load_i64, store_i64
from emulator.timing.causes import COUNT, INSTRUCTION


@inlined
def charge(s: Any, cause: Word, cycles: Word) -> None:
    """Spend whole `cycles` on `cause`, on behalf of the running symbol and ring."""
    s.cycles += cycles
    at = s.ledger + 8 * (s.row + cause)
    store_i64(at, load_i64(at) + cycles)


@inlined
def charge_instructions(s: Any, cost256: Word) -> None:
    """Spend issue cost in 1/256 cycles; the fraction is carried to the next block. May be negative."""
    total = s.fraction256 + cost256
    s.fraction256 = total & 255
    charge(s, INSTRUCTION, total >> 8)


@inlined
def select_row(s: Any, symbol: Word, ring: Word) -> None:
    """Further cycles belong to this symbol and ring."""
    s.row = (symbol * 4 + ring) * COUNT
