import string

import pytest

from emulator.devices.keymap import CONTROL, ENTER, SHIFT, TRANSLATION, UP, keys_of, scan_codes, strokes


@pytest.mark.parametrize(
    ("character", "keys"),
    [
        *(("a", (0x1E,)), ("A", (SHIFT, 0x1E)), ("1", (0x02,)), ("!", (SHIFT, 0x02)), ("0", (0x0B,))),
        *(("\n", (ENTER,)), (" ", (0x39,)), ("/", (0x35,)), ("?", (SHIFT, 0x35)), ("\\", (0x2B,))),
        *(("\x03", (CONTROL, 0x2E)), ("\x1c", (CONTROL, 0x2B)), ("'", (0x28,)), ("~", (SHIFT, 0x29))),
    ],
)
def test_characters_are_on_the_keys_of_a_us_keyboard(character: str, keys: tuple[int, ...]) -> None:
    assert keys_of(character) == keys


def test_every_printable_character_has_a_key_of_its_own() -> None:
    printable = string.ascii_letters + string.digits + string.punctuation + " "
    assert len({keys_of(character) for character in printable}) == len(printable) == 95


@pytest.mark.parametrize("character", ["\0", "\x80", "é", "€"])
def test_a_character_without_a_key_is_refused(character: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        keys_of(character)


def test_shift_is_held_around_its_key() -> None:
    assert list(strokes("B")) == [(SHIFT, True), (0x30, True), (0x30, False), (SHIFT, False)]


@pytest.mark.parametrize(
    ("key", "set1", "set2"),
    [
        *((0x1E, "1e 9e", "1c f0 1c"), (ENTER, "1c 9c", "5a f0 5a"), (0x02, "02 82", "16 f0 16")),
        *((UP, "e0 48 e0 c8", "e0 75 e0 f0 75"), (SHIFT, "2a aa", "12 f0 12"), (0x39, "39 b9", "29 f0 29")),
    ],
)
def test_codes_of_pressing_and_releasing_a_key(key: int, set1: str, set2: str) -> None:
    for number, codes in ((1, set1), (2, set2)):
        sent = scan_codes(key, True, number) + scan_codes(key, False, number)
        assert sent == bytes.fromhex(codes)


def test_the_translation_gives_every_set_1_code_once() -> None:
    assert len(TRANSLATION) == 128
    assert len(set(TRANSLATION[1:])) == 127
