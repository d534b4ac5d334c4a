"""Keys of a US keyboard: their scan codes (IBM PS/2 Hardware Interface Technical Reference, "Keyboards").

A key is named by its set 1 make code; `0xe000` marks the keys with a prefix.
"""

from collections.abc import Iterator
from typing import Final

# What an 8042 makes of each set 2 code when it translates; the index is the code.
TRANSLATION: Final = bytes.fromhex(
    "ff 43 41 3f 3d 3b 3c 58 64 44 42 40 3e 0f 29 59 "
    "65 38 2a 70 1d 10 02 5a 66 71 2c 1f 1e 11 03 5b "
    "67 2e 2d 20 12 05 04 5c 68 39 2f 21 14 13 06 5d "
    "69 31 30 23 22 15 07 5e 6a 72 32 24 16 08 09 5f "
    "6b 33 25 17 18 0b 0a 60 6c 34 35 26 27 19 0c 61 "
    "6d 73 28 74 1a 0d 62 6e 3a 36 1c 1b 75 2b 63 76 "
    "55 56 77 78 79 7a 0e 7b 7c 4f 7d 4b 47 7e 7f 6f "
    "52 53 50 4c 4d 48 01 45 57 4e 51 4a 37 49 46 54 "
)
TRANSLATED_ABOVE: Final = {0x83: 0x41, 0x84: 0x54}
BREAK_PREFIX: Final = 0xF0
EXTENDED_PREFIX: Final = 0xE0
EXTENDED: Final = 0xE000

ESCAPE, BACKSPACE, TAB, ENTER, CONTROL, SHIFT, ALT = 0x01, 0x0E, 0x0F, 0x1C, 0x1D, 0x2A, 0x38
UP, LEFT, RIGHT, DOWN, DELETE = 0xE048, 0xE04B, 0xE04D, 0xE050, 0xE053

_ROWS: Final = (
    (0x02, "1234567890-=", "!@#$%^&*()_+"),
    (0x10, "qwertyuiop[]", "QWERTYUIOP{}"),
    (0x1E, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (0x39, " ", " "),
)
_PLAIN: Final = {c: first + i for first, plain, _ in reversed(_ROWS) for i, c in enumerate(plain)}
_SHIFTED: Final = {c: first + i for first, _, shifted in _ROWS for i, c in enumerate(shifted) if c != " "}
_SPECIAL: Final = {"\n": ENTER, "\r": ENTER, "\t": TAB, "\b": BACKSPACE, "\x7f": BACKSPACE, "\x1b": ESCAPE}
_SET2: Final = {TRANSLATION[code]: code for code in reversed(range(1, 0x80))}


def keys_of(character: str) -> tuple[int, ...]:
    """The keys to hold for an ASCII character, the last one being its own.

    Raises: ValueError for a character that the keyboard does not have.
    """
    for keys, held in ((_SPECIAL, ()), (_PLAIN, ()), (_SHIFTED, (SHIFT,))):
        if character in keys:
            return (*held, keys[character])
    if "\x01" <= character <= "\x1f":  # Ctrl-A to Ctrl-_
        letter = chr(ord(character) | 0x40).lower()
        return (CONTROL, *keys_of(letter))
    raise ValueError(f"a US keyboard has no key for {character!r}")


def strokes(text: str) -> Iterator[tuple[int, bool]]:
    """(key, pressed) for each movement of a finger."""
    for character in text:
        keys = keys_of(character)
        yield from ((key, True) for key in keys)
        yield from ((key, False) for key in reversed(keys))


def scan_codes(key: int, pressed: bool, scan_code_set: int) -> bytes:
    """What the keyboard sends, in set 1 or 2."""
    code = key & 0x7F
    prefix = bytes((EXTENDED_PREFIX,)) if key & EXTENDED else b""
    if scan_code_set == 1:
        return prefix + bytes((code if pressed else code | 0x80,))
    return prefix + (b"" if pressed else bytes((BREAK_PREFIX,))) + bytes((_SET2[code],))
