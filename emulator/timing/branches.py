"""Branch prediction: two-bit counters, the last target of indirect branches, a return stack."""

from typing import Any

import numpy as np

from emulator.compiled import Word, inlined
from emulator.timing.after import block_at, end_of_last
from emulator.timing.causes import BRANCH
from emulator.timing.charge import charge

BRANCH_NONE = 0
BRANCH_CONDITIONAL = 1
BRANCH_JUMP = 2
BRANCH_CALL = 3
BRANCH_RETURN = 4
BRANCH_JUMP_INDIRECT = 5
BRANCH_CALL_INDIRECT = 6
BRANCH_FAR = 7


@inlined
def predict(s: Any, kind: Word, address: Word) -> None:
    """The last block ended in a branch of this kind and the next begins at `address`: was that predicted?"""
    s.branches += 1
    taken = True
    wrong = False
    if kind == BRANCH_CONDITIONAL:
        block = block_at(s, s.last_block)
        taken = address != end_of_last(s)
        counter = np.int64(block.counter)
        wrong = (counter >= 2) != taken
        block.counter = min(counter + 1, 3) if taken else max(counter - 1, 0)
    elif kind == BRANCH_RETURN:
        top = (s.return_top if s.return_top else s.return_depth) - 1
        s.return_top = top
        wrong = s.return_stack[np.uint64(top)] != address
    elif kind >= BRANCH_JUMP_INDIRECT:
        block = block_at(s, s.last_block)
        wrong = block.target != address
        block.target = address
    if kind == BRANCH_CALL or kind == BRANCH_CALL_INDIRECT:  # noqa: SIM109
        top = s.return_top
        s.return_stack[np.uint64(top)] = end_of_last(s)
        s.return_top = top + 1 if top + 1 < s.return_depth else 0
    if wrong:
        s.mispredictions += 1
        charge(s, BRANCH, s.mispredict_cost)
    elif taken and s.taken_cost:
        charge(s, BRANCH, s.taken_cost)
