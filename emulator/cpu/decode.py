"""Decode a basic block once: what it costs, and what its last instruction leaves to do.

Everything here depends on the block's bytes and the CPU's costs only, never on an address or on state, so
that a block can be cached by its bytes. Costs are those of L1 hits and predicted branches; misses, taken
branches, mispredictions and the delivery of interrupts are charged elsewhere.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from emulator.cpu.classify import Instruction, classify
from emulator.cpu.disassemble import disassemble
from emulator.cpu.features import locked
from emulator.cpu.kinds import *  # noqa: F403  (re-exported)
from emulator.cpu.kinds import (
    AFTER_NONE,
    AFTER_SEGMENT,
    BRANCH_NONE,
    INTERCEPT_ENTERED,
    INTERCEPT_FPU_BEHIND,
    INTERCEPT_NONE,
    INTERCEPT_SEGMENT,
    INTERCEPT_SIMD,
    NO_OPERAND,
)
from emulator.timing.classes import CHARGED_BY_CORE
from emulator.timing.costs import Costs, RepPrice
from emulator.timing.modes import NEEDS_FPU, NEEDS_FRAME, NEEDS_SEGMENTS


@dataclass(frozen=True, slots=True)
class DecodedBlock:
    """A basic block. See `kinds.py` for the numbers of `branch`, `after` and `intercepts`."""

    size: int  # bytes
    starts: tuple[int, ...]  # byte offset of each instruction
    base256: tuple[int, ...]  # cost of each instruction with cause INSTRUCTION, in 1/256 cycle
    extras: tuple[tuple[int, int, int], ...]  # (instruction, cause, whole cycles) for every other cause
    branch: int  # BRANCH_* of the last instruction
    after: int  # AFTER_* of the last instruction
    operand: tuple[int, int, int, int, int]  # of INVLPG: base, index, scale, displacement, segment
    rep_offset: int  # byte offset of a REP string instruction at the end, or -1
    rep_first256: int  # cost of its first iteration, which is in `base256` too
    # Cost of each later iteration, which Unicorn runs as a block of its own (the REP instruction alone).
    # After REP MOVS/STOS/LODS with ECX = n there are n such blocks, the last of which finds ECX = 0 and moves
    # nothing: the caller decides whether that pass is free.
    rep_next256: int
    intercepts: tuple[tuple[int, int], ...]  # (byte offset, INTERCEPT_*)
    sync: bool  # an instruction whose hook wants to see EIP
    needs: int  # segments used: see `classify.segments_used`
    far_selector: int  # of a far JMP or CALL at the end: see `Instruction.far`


class _Priced(NamedTuple):
    """An instruction text with its price."""

    base256: int
    cause: int
    cycles: int
    special: bool  # anything beyond a plain instruction
    what: Instruction
    rep: RepPrice | None


BEHIND: Final = (
    (INTERCEPT_SEGMENT, NEEDS_SEGMENTS),
    (INTERCEPT_FPU_BEHIND, NEEDS_FPU),
    (INTERCEPT_ENTERED, NEEDS_FRAME),
)


def _price(mnemonic: str, operands: str, costs: Costs) -> _Priced:
    what = classify(mnemonic, operands)
    cost = costs.classes[what.kind]
    cycles = 0 if what.kind in CHARGED_BY_CORE else cost.cycles
    rep = costs.rep[what.string] if what.string else None
    special = bool(
        cycles
        or rep
        or what.sync
        or what.branch != BRANCH_NONE
        or what.after != AFTER_NONE
        or what.intercept != INTERCEPT_NONE
        or what.loads
    )
    return _Priced(cost.base256, cost.cause, cycles, special, what, rep)


def whole_instructions(code: bytes, bits: int) -> int:
    """How many bytes of straight-line code the whole instructions at its beginning take."""
    return sum(size for _, size, _, _ in disassemble(code, bits))


def piece_of(code: bytes, bits: int, costs: Costs, most: int, within: int) -> tuple[int, bool]:
    """A piece of straight-line code: its bytes, and whether the code goes on behind it.

    It has `most` instructions, or ends with the one at which a translation ends. The running translation
    takes `within` bytes: it doesn't end before.
    """
    memo = costs.memo
    end = 0
    for count, (offset, size, mnemonic, operands) in enumerate(disassemble(code, bits), 1):
        priced = memo.get((mnemonic, operands))
        if priced is None:
            priced = memo[mnemonic, operands] = _price(mnemonic, operands, costs)
        what, end = priced.what, offset + size
        repeated = priced.rep and (what.repeated or not {0xF2, 0xF3}.isdisjoint(code[offset : end - 1]))
        if end >= within and (what.branch or what.after or repeated or mnemonic == "pause"):
            return end, False
        if count == most:
            return end, True
    return max(end, min(within, len(code))), False


def decode_block(code: bytes, bits: int, costs: Costs) -> DecodedBlock:
    """Decode the bytes of one block of 16- or 32-bit code; other bytes are one "unknown"."""
    memo = costs.memo
    starts: list[int] = []
    base256: list[int] = []
    extras: list[tuple[int, int, int]] = []
    intercepts: list[tuple[int, int]] = []
    last: _Priced | None = None
    rep: RepPrice | None = None
    sync = False
    needs = loaded = reloaded = end = 0
    for offset, size, mnemonic, operands in disassemble(code, bits):
        last = memo.get((mnemonic, operands))
        if last is None:
            last = memo[mnemonic, operands] = _price(mnemonic, operands, costs)
        what = last.what
        if loaded & what.needs:
            for kind, mask in BEHIND:
                if loaded & what.needs & mask:
                    intercepts.append((offset, kind))
                    loaded &= ~mask
        needs |= what.needs
        starts.append(offset)
        end = offset + size
        rep = None
        if not last.special:
            base256.append(last.base256)
            continue
        cost = last.base256
        loaded |= what.loads
        reloaded |= what.loads
        # Capstone hides F2 on MOVS, STOS and LODS; the CPU repeats them all the same.
        if last.rep and (what.repeated or not {0xF2, 0xF3}.isdisjoint(code[offset : end - 1])):
            rep = last.rep
            cost = rep.first256
        base256.append(cost)
        if last.cycles:
            extras.append((len(starts) - 1, last.cause, last.cycles))
        if what.intercept:
            intercepts.append((offset, what.intercept))
        sync |= what.sync
    if end < len(code):
        if locked(code[end:]):
            intercepts.append((end, INTERCEPT_SIMD))
        starts.append(end)
        base256.append(costs.classes["unknown"].base256)
        last = rep = None
    after = AFTER_NONE if last is None else last.what.after
    return DecodedBlock(
        size=len(code),
        starts=tuple(starts),
        base256=tuple(base256),
        extras=tuple(extras),
        branch=BRANCH_NONE if last is None else last.what.branch,
        after=after or (AFTER_SEGMENT if reloaded else AFTER_NONE),
        operand=NO_OPERAND if last is None else last.what.operand or NO_OPERAND,
        rep_offset=starts[-1] if rep else -1,
        rep_first256=rep.first256 if rep else 0,
        rep_next256=rep.next256 if rep else 0,
        intercepts=tuple(intercepts),
        sync=sync,
        needs=needs or 0xFF,
        far_selector=0 if last is None else last.what.far,
    )
