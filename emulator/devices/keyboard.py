"""The keyboard at the end of the cable: its commands, its scan codes, and somebody who types."""

from collections import deque
from typing import Final

from emulator.devices.device import Stateful
from emulator.devices.keymap import keys_of, scan_codes, strokes

ACKNOWLEDGE: Final = 0xFA
RESEND: Final = 0xFE
SELF_TEST_PASSED: Final = 0xAA
ECHO: Final = 0xEE
IDENTITY: Final = b"\xab\x83"

SET_LEDS: Final = 0xED
SCAN_CODE_SET: Final = 0xF0
IDENTIFY: Final = 0xF2
TYPEMATIC: Final = 0xF3
ENABLE: Final = 0xF4
DISABLE: Final = 0xF5
DEFAULTS: Final = 0xF6
RESEND_LAST: Final = 0xFE
RESET: Final = 0xFF
SET3_KEYS: Final = range(0xF7, 0xFB)  # of set 3 only, which this keyboard does not have

TYPEMATIC_AT_POWER_ON: Final = 0x2B


class Keyboard(Stateful):
    """An MF2 keyboard with sets 1 and 2 (IBM PS/2 HITRC, "Keyboards: commands from the system").

    It speaks when the controller asks for `next_byte`. As a BIOS leaves it, it scans, in set 2. Who
    types is polite: a stroke waits until the keyboard has said all and scans.
    """

    FIELDS = (
        "said",
        "typed",
        "scanning",
        "scan_code_set",
        "leds",
        "typematic",
        "expected",
        "last",
        "testing",
    )

    def __init__(self) -> None:
        self.said: deque[int] = deque()  # on its way to the controller
        self.typed: deque[int] = deque()  # strokes to come: key, with bit 16 when it is released
        self.scanning = True
        self.expected = 0  # the command whose parameter comes next
        self.last = 0
        self.testing = False  # a reset's self test is running
        self._defaults()

    def _defaults(self) -> None:
        self.scan_code_set = 2
        self.typematic = TYPEMATIC_AT_POWER_ON
        self.leds = 0

    # --- who types ---

    def type_text(self, text: str) -> None:
        """Type ASCII after what is still to be typed. Raises: ValueError, and types nothing."""
        for character in text:
            keys_of(character)
        self.typed.extend(key | (not pressed) << 16 for key, pressed in strokes(text))

    def can_type(self) -> bool:
        """A stroke is wanted and can be made."""
        return bool(self.typed) and self.scanning and not self.said and not self.testing

    def stroke(self) -> None:
        """The next key goes down or up."""
        key = self.typed.popleft()
        self.said.extend(scan_codes(key & 0xFFFF, not key >> 16, self.scan_code_set))

    # --- the cable ---

    def next_byte(self) -> int:
        """What it says next."""
        self.last = self.said.popleft()
        return self.last

    def finish_test(self) -> None:
        """The self test after a reset is over."""
        self.testing = False
        self.scanning = True
        self.said.append(SELF_TEST_PASSED)

    def command(self, value: int) -> None:
        """A byte from the controller: a command or its parameter."""
        expected, self.expected = self.expected, 0
        if expected and value < 0x80:
            self._parameter(expected, value)
        elif value == RESET:
            self.said.clear()
            self._defaults()
            self.scanning, self.testing = False, True
            self.said.append(ACKNOWLEDGE)
        elif value == RESEND_LAST:
            self.said.appendleft(self.last)
        elif value == ECHO:
            self.said.append(ECHO)
        elif value in (SET_LEDS, SCAN_CODE_SET, TYPEMATIC):
            self.expected = value
            self.said.append(ACKNOWLEDGE)
        elif value == IDENTIFY:
            self.said.extend((ACKNOWLEDGE, *IDENTITY))
        elif value in (ENABLE, DISABLE, DEFAULTS):
            self.said.clear()
            if value != ENABLE:
                self._defaults()
            if value != DEFAULTS:
                self.scanning = value == ENABLE
            self.said.append(ACKNOWLEDGE)
        elif value in SET3_KEYS:
            self.said.append(ACKNOWLEDGE)
        else:
            self.said.append(RESEND)

    def _parameter(self, command: int, value: int) -> None:
        if command == SCAN_CODE_SET:
            if value > 2:
                self.said.append(RESEND)
                return
            self.said.append(ACKNOWLEDGE)
            if value:
                self.scan_code_set = value
            else:
                self.said.append(self.scan_code_set)
            return
        if command == SET_LEDS:
            self.leds = value & 7
        else:
            self.typematic = value
        self.said.append(ACKNOWLEDGE)
