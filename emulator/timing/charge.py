"""Charging: the only place where modelled time advances, so the ledger always equals the counter.

ledger[symbol, ring, cause]   one int64 each; `s.row` points at (symbol, ring) of the running block
pending                       cycles of the row's instructions that aren't entered yet

They are entered when the row changes or somebody reads the ledger (`settle`): a block then adds at fixed
places only, which the host's processor does side by side.
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
    s.cycles += total >> 8
    s.pending += total >> 8


@inlined
def settle(s: Any) -> None:
    """Enter what the running row has spent on instructions."""
    at = s.ledger + 8 * (s.row + INSTRUCTION)
    store_i64(at, load_i64(at) + s.pending)
    s.pending = 0


@inlined
def select_row(s: Any, symbol: Word, ring: Word) -> None:
    """Further cycles belong to this symbol and ring."""
    row = (symbol * 4 + ring) * COUNT
    if row != s.row:
        settle(s)
        s.row = row
