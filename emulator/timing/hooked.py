"""Condition codes of an instruction with an address hook that doesn't complete.

Unicorn 2.1.4 works the lazy condition codes out around an address hook, so that the hook may look at them and
change them: CC_OP is EFLAGS then. But when the instruction faults, or begins again because it has changed
its own code, Unicorn restores the CC_OP of before the hook, which doesn't go with the operands it finds.
"""

from typing import Any, Final

from emulator.compiled import Word, compiled, inlined, store_u32

CC_OP_EFLAGS: Final = 1


@inlined
def note_hook(s: Any, address: Word) -> None:
    """An address hook runs on the instruction at `address`."""
    s.hooked_at = address
    s.hooked_block = s.blocks


@compiled
def settle_flags(s: Any, address: Word) -> None:
    """The instruction at `address` hasn't completed: if its hook ran, its condition codes are worked out."""
    if s.hooked_at == address and s.hooked_block == s.blocks:
        store_u32(s.at_flags_state, CC_OP_EFLAGS)
