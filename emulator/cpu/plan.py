"""The access plan of a block: which memory its instructions access, as sums over registers.

    instruction text -> plan_text -> step (plan_steps, plan_memory) -> Segment -> entries

A new section begins where the registers of an earlier place don't tell an address (behind DIV, CMOV into a
pointer ...), and behind an instruction that may raise an exception or look at the time: what comes after it
must not be charged before. Everything here depends on the block's bytes and the CPU's features only.
"""

import functools
from collections.abc import Callable
from typing import Final, NamedTuple

from emulator.cpu.disassemble import disassemble
from emulator.cpu.plan_memory import (
    OTHERS,
    OVERRIDES,
    far_transfer,
    is_string,
    load_segment,
    other,
    repeats,
    string,
)
from emulator.cpu.plan_segment import Entry, Segment, Unplannable
from emulator.cpu.plan_steps import PLAIN, Instruction, Step
from emulator.cpu.plan_text import Memory, Other, Text, parse
from emulator.timing.plan_entries import (
    ENTRY_ACCESS,
    ENTRY_FPU,
    ENTRY_FXSR,
    ENTRY_IOPL,
    ENTRY_LOAD,
    ENTRY_NOT_ZERO,
    ENTRY_OPAQUE,
    ENTRY_PROTECTED,
    ENTRY_RING0,
    ENTRY_SSE,
    ENTRY_VM86,
    ZERO,
)

SEGMENT_NAMES: Final = frozenset({"es", "cs", "ss", "ds", "fs", "gs"})
PREFIXES: Final = frozenset(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3")
# what comes behind waits: they may raise an exception, or a device or the time is looked at
ENDS_SECTION: Final = frozenset(
    [
        *("div", "idiv", "aam", "in", "out", "rdtsc", "wait", "fwait", "into", "bound", "lfs", "lgs", "arpl"),
        # an x87 exception may not be masked any more, and checked execution begin
        *("fldcw", "fldenv", "frstor", "fxrstor", "fninit", "fnsave", "fnstenv", "ldmxcsr"),
    ]
)
# our own hook executes them, and what is behind them is a block of its own
ENDS_PLAN: Final = frozenset(
    ["rdmsr", "wrmsr", "rdpmc", "int1", "clflush", "rdtscp", "syscall", "sysret", "ud0", "ud1", "ud2"]
)
PRIVILEGED: Final = frozenset(
    [
        "lgdt",
        "lidt",
        "lldt",
        "ltr",
        "clts",
        "lmsw",
        "invlpg",
        "wbinvd",
        "invd",
        "hlt",
        "mov_control",
        "sysexit",
    ]
)
# undefined in real mode and VM86
PROTECTED: Final = frozenset(["lldt", "ltr", "sldt", "str", "lar", "lsl", "verr", "verw", "arpl"])
FLAGS: Final = frozenset(["pushf", "pushfd", "popf", "popfd"])  # in VM86 they need IOPL 3
SENSITIVE: Final = frozenset(["cli", "sti", "in", "out"])
# what `timing.plan.run_plain` knows
PLAIN_ENTRIES: Final = frozenset(
    [
        ENTRY_ACCESS,
        ENTRY_NOT_ZERO,
        ENTRY_PROTECTED,
        ENTRY_FXSR,
        ENTRY_RING0,
        ENTRY_IOPL,
        ENTRY_VM86,
        ENTRY_FPU,
        ENTRY_SSE,
    ]
)


class Section(NamedTuple):
    """A part of a block whose addresses follow from the registers at its start."""

    first: int  # its first instruction
    offset: int
    sliced: bool
    entries: tuple[Entry, ...]


class Planner:
    """Plans the blocks of one kind of processor."""

    def __init__(self, lacks: Callable[[bytes, int], bool]) -> None:
        """`lacks(code, bits)`: is the instruction there undefined on this processor?"""
        self.lacks = lacks

    def plan(
        self, code: bytes, bits: int, starts: frozenset[int] = frozenset(), *, steps: bool = False
    ) -> list[Section]:
        """Sections of a block. `starts`: instructions that begin one; `steps`: every one does."""
        return _Block(self, code, bits, starts, steps).sections


class _Block:
    """One block while it is planned."""

    def __init__(self, planner: Planner, code: bytes, bits: int, starts: frozenset[int], steps: bool) -> None:
        self.planner, self.code, self.bits = planner, code, bits
        self.sections: list[Section] = []
        self._wide = bits // 8
        self._open(0, 0)
        cut = False
        for index, (offset, size, mnemonic, operands) in enumerate(disassemble(code, bits)):
            if index and (cut or steps or index in starts):
                self._close()
                self._open(index, offset)
            what = _look(mnemonic, operands, bits)
            raw = code[offset : offset + size]
            if what.ends_plan or (what.rare and planner.lacks(raw, bits)):
                break
            self._instruction(index, offset, what, raw)
            cut = what.ends_section
        self._close()

    def _open(self, index: int, offset: int) -> None:
        self.segment = Segment(self._wide)
        self.start, self.offset = index, offset
        self._guards: set[int] = set()

    def _close(self) -> None:
        segment = self.segment
        plain = all(entry[0] in PLAIN_ENTRIES for entry in segment.entries) and not segment.sliced
        self.sections.append(Section(self.start, self.offset, not plain, tuple(segment.entries)))

    def _instruction(self, index: int, offset: int, what: "_What", raw: bytes) -> None:
        """Plan one instruction, in a section of its own if the running one doesn't tell its addresses."""
        for _ in range(2):
            segment = self.segment
            segment.index = index
            begun = len(segment.entries)
            try:
                for guard in what.guards:
                    self._guard(guard)
                what.step(self._operands(segment, what.text, raw))
                if index == self.start or not _late_loads(segment.entries[begun:]):
                    return
            except Unplannable:
                pass
            del segment.entries[begun:]
            if index == self.start:
                segment.entries.append((ENTRY_OPAQUE, ZERO, ZERO, 0, 0, 0, 0, 0, 0, 0, 0, index))
                segment.registers[:] = [None] * 8
                return
            self._close()
            self._open(index, offset)

    def _operands(self, segment: Segment, text: Text, raw: bytes) -> Instruction:
        wide = address = self._wide
        if raw[0] not in PREFIXES:
            return Instruction(segment, text, wide, address, raw)
        for byte in raw:
            if byte not in PREFIXES:
                break
            if byte in OVERRIDES and not is_string(text):
                text = _overridden(text, OVERRIDES[byte])
            elif byte == 0x66:
                wide = 6 - self._wide
            elif byte == 0x67:
                address = 6 - self._wide
        return Instruction(segment, text, wide, address, raw)

    def _guard(self, guard: int) -> None:
        """An instruction that this ring or this state doesn't allow ends the plan when it comes to that."""
        if guard not in self._guards:
            self._guards.add(guard)
            self.segment.guard(guard)


def _overridden(text: Text, segment: int) -> Text:
    """Capstone hides an override that names the default segment of another base, as in DS:[EBP]."""
    operands = tuple(
        operand._replace(segment=segment, override=True) if isinstance(operand, Memory) else operand
        for operand in text.operands
    )
    return text._replace(operands=operands)


class _What(NamedTuple):
    """What there is to know of an instruction's text, whatever is before it."""

    text: Text
    step: Step
    guards: tuple[int, ...]  # ENTRY_*
    ends_plan: bool
    ends_section: bool
    rare: bool  # a processor may lack it


@functools.cache
def _look(mnemonic: str, operands: str, bits: int) -> _What:
    text = parse(mnemonic, operands)
    return _What(
        text=text,
        step=_step(text),
        guards=_guards_of(text, bits),
        ends_plan=text.name in ENDS_PLAN or _debug_register(text) or _segment_register(text) == "cs",
        ends_section=_ends_section(text),
        rare=text.name not in PLAIN and text.name not in OTHERS,
    )


def _guards_of(text: Text, bits: int) -> tuple[int, ...]:
    """What must be so for an instruction to be executed."""
    guards = (ENTRY_PROTECTED,) if text.name in PROTECTED else ()
    guard = _guard_of(text, bits)
    return guards if guard < 0 else (*guards, guard)


def _guard_of(text: Text, bits: int) -> int:
    name = text.name
    if name in PRIVILEGED or _control_register(text):
        return ENTRY_RING0
    if name in SENSITIVE or name.startswith(("ins", "outs")):
        return ENTRY_IOPL
    if name in FLAGS and bits == 16:
        return ENTRY_VM86
    if name in PLAIN:
        return -1
    others = [operand.name for operand in text.operands if isinstance(operand, Other)]
    if any("xmm" in other for other in others):
        return ENTRY_SSE
    if (name[0] == "f" and name != "fwait") or any(other.startswith("mm") for other in others):
        return ENTRY_FPU
    return ENTRY_SSE if name in ("ldmxcsr", "stmxcsr") else -1


def _late_loads(entries: list[Entry]) -> bool:
    """Does an instruction look at memory behind its first access, which earlier stores may have changed?"""
    accessed = False
    for entry in entries:
        if entry[0] == ENTRY_ACCESS:
            accessed = True
        elif entry[0] == ENTRY_LOAD and entry[10] and accessed:
            return True
    return False


def _segment_register(text: Text) -> str:
    first = text.operands[0] if text.operands else None
    loads = text.name in ("mov", "pop") and isinstance(first, Other) and first.name in SEGMENT_NAMES
    return first.name if loads and isinstance(first, Other) else ""


def _debug_register(text: Text) -> bool:
    return text.name == "mov" and any(isinstance(o, Other) and o.name.startswith("dr") for o in text.operands)


def _control_register(text: Text) -> bool:
    return text.name == "mov" and any(isinstance(o, Other) and o.name.startswith("cr") for o in text.operands)


def _ends_section(text: Text) -> bool:
    name = text.name
    if name in ENDS_SECTION or (name.startswith(("ins", "outs")) and name[-1] in "bwd"):
        return True
    return bool(_segment_register(text)) or name in ("ltr", "lldt", "lgdt", "lidt")


def _step(text: Text) -> Step:
    """What plans an instruction."""
    name = text.name
    if _segment_register(text):
        return load_segment
    if name in ("call", "jmp") and isinstance(text.operands[0], Memory) and not text.operands[0].size:
        return far_transfer
    plain = PLAIN.get(name) or OTHERS.get(name)
    if plain is not None:
        return plain
    return _maybe_string


def _maybe_string(i: Instruction) -> None:
    if is_string(i):
        string(i)
    else:
        other(i)


__all__ = ["Planner", "Section", "repeats"]
