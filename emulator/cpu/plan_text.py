"""The operands of an instruction, from capstone's text; each distinct text is parsed once.

("add", "dword ptr fs:[eax + ecx*4 - 8], 1")  ->  Memory, Immediate
"""

import functools
import re
from typing import Final, NamedTuple

from emulator.cpu.kinds import SEGMENTS

_NAMES: Final = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
WIDE: Final = {f"e{name}": number for number, name in enumerate(_NAMES)}
WORD: Final = {name: number for number, name in enumerate(_NAMES)}
LOW: Final = {name: number for number, name in enumerate(("al", "cl", "dl", "bl"))}
HIGH: Final = {name: number for number, name in enumerate(("ah", "ch", "dh", "bh"))}
SIZES: Final = {
    "byte": 1, "word": 2, "dword": 4, "fword": 6, "qword": 8, "xword": 10, "tbyte": 10, "xmmword": 16,
}  # fmt: skip
_MEMORY: Final = re.compile(r"(?:(\w+ )?ptr )?(?:([c-gs]s):)?\[([^\]]*)\]$")
_TERM: Final = re.compile(r"([+-]?) ?([^ +-]+)")
_NUMBER: Final = re.compile(r"-?(0x[0-9a-f]+|\d+)$")
_REPEAT: Final = frozenset({"rep", "repe", "repz", "repne", "repnz"})


class Register(NamedTuple):
    """A general register, or a part of one: `size` bytes, from bit 8 on if `high`."""

    number: int
    size: int
    high: bool


class Immediate(NamedTuple):
    """A number."""

    value: int


class Memory(NamedTuple):
    """A memory operand."""

    terms: tuple[tuple[int, int], ...]  # registers and their factors
    displacement: int
    segment: int
    override: bool
    size: int  # 0: the text doesn't say
    stack: bool  # its base is ESP


class Other(NamedTuple):
    """Any other register."""

    name: str


Operand = Register | Immediate | Memory | Other


class Text(NamedTuple):
    """One instruction's text."""

    name: str
    operands: tuple[Operand, ...]
    repeated: bool
    locked: bool


def _memory(match: re.Match[str]) -> Memory:
    terms: dict[int, int] = {}
    displacement, first = 0, ""
    for sign, text in _TERM.findall(match[3]):
        name, _, factor = text.partition("*")
        number = WIDE.get(name, WORD.get(name))
        if number is not None:
            terms[number] = terms.get(number, 0) + int(factor or "1")
            first = first or ("" if factor else name)
        elif name not in ("eiz", "riz"):
            displacement += -int(name, 0) if sign == "-" else int(name, 0)
    on_stack = first in ("esp", "ebp", "bp")
    segment = SEGMENTS[match[2]] if match[2] else SEGMENTS["ss" if on_stack else "ds"]
    size = SIZES.get((match[1] or "").strip(), 0)
    return Memory(tuple(terms.items()), displacement, segment, bool(match[2]), size, first == "esp")


def _operand(text: str) -> Operand:
    if text in WIDE:
        return Register(WIDE[text], 4, False)
    if text in WORD:
        return Register(WORD[text], 2, False)
    if text in LOW:
        return Register(LOW[text], 1, False)
    if text in HIGH:
        return Register(HIGH[text], 1, True)
    if match := _MEMORY.match(text):
        return _memory(match)
    return Immediate(int(text, 0)) if _NUMBER.match(text) else Other(text)


@functools.cache
def parse(mnemonic: str, operands: str) -> Text:
    """Take one instruction apart, as capstone writes it."""
    *prefixes, name = mnemonic.split(" ")
    found = tuple(_operand(text) for text in operands.split(", ")) if operands else ()
    return Text(name, found, not _REPEAT.isdisjoint(prefixes), "lock" in prefixes)
