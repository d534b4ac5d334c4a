"""The keyboard controller: an 8042 at ports 60 and 64, with a keyboard, and an auxiliary port with none.

keyboard --byte time--> +--------+           60 read: output buffer    60 write: to the keyboard,
                        | output |--> IRQ1                                       or a command's data
nobody at AUX --------> | buffer |--> IRQ12  64 read: status           64 write: command
                        +--------+
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from emulator.devices.clock import Clock
from emulator.devices.device import IrqLine, State, Stateful
from emulator.devices.events import EventQueue, Handle, cycles_left
from emulator.devices.keyboard import RESET, Keyboard
from emulator.devices.keymap import BREAK_PREFIX, TRANSLATED_ABOVE, TRANSLATION

DATA: Final = 0x60
COMMAND: Final = 0x64

# Status
OBF: Final = 0x01
SYSTEM: Final = 0x04
LAST_WAS_COMMAND: Final = 0x08
UNLOCKED: Final = 0x10
AUX_OBF: Final = 0x20
TIMEOUT: Final = 0x40

# Command byte
KEYBOARD_INTERRUPT: Final = 0x01
AUX_INTERRUPT: Final = 0x02
DISABLE_KEYBOARD: Final = 0x10
DISABLE_AUX: Final = 0x20
TRANSLATE: Final = 0x40
AS_A_BIOS_LEAVES_IT: Final = TRANSLATE | DISABLE_AUX | SYSTEM | KEYBOARD_INTERRUPT

# Commands
READ_RAM: Final = range(0x20, 0x40)
WRITE_RAM: Final = range(0x60, 0x80)
PASSWORD_INSTALLED: Final = 0xA4
AUX_OFF, AUX_ON, TEST_AUX = 0xA7, 0xA8, 0xA9
SELF_TEST, TEST_KEYBOARD = 0xAA, 0xAB
KEYBOARD_OFF, KEYBOARD_ON = 0xAD, 0xAE
READ_INPUT_PORT: Final = 0xC0
READ_OUTPUT_PORT: Final = 0xD0
WRITE_OUTPUT_PORT: Final = 0xD1
LOOP_KEYBOARD, LOOP_AUX, TO_AUX = 0xD2, 0xD3, 0xD4
A20_OFF, A20_ON = 0xDD, 0xDF
READ_TEST_INPUTS: Final = 0xE0
PULSE: Final = range(0xF0, 0x100)

# Output port
NOT_RESET: Final = 0x01
A20: Final = 0x02
OUTPUT_LINES: Final = 0xC0  # clock and data of the keyboard are released

INPUT_PORT: Final = 0xB0  # not locked, colour display, no manufacturing jumper
SELF_TEST_PASSED: Final = 0x55
NO_PASSWORD: Final = 0xF1
AUX_CLOCK_HIGH: Final = 0x02  # nobody is at the other end to pull it
NO_ANSWER: Final = 0xFE

BYTE_US: Final = 700  # 11 bits at 16 kHz
KEY_US: Final = 1500  # from one movement of a finger to the next: quick, so that waiting for it is cheap
SELF_TEST_US: Final = 3000  # real ones take a third of a second or more

WITH_PARAMETER: Final = frozenset((*WRITE_RAM, WRITE_OUTPUT_PORT, LOOP_KEYBOARD, LOOP_AUX, TO_AUX))


class I8042(Stateful):
    """IBM PS/2 HITRC, "Keyboard and auxiliary device controller".

    It takes a command at once, so IBF is never seen. A20 is a bit of the output port that can be read
    back; memory is never masked by it.
    """

    PORTS = ((DATA, 1), (COMMAND, 1))
    FIELDS = (
        *("ram", "output_port", "buffer", "flags", "answers", "pending", "break_next", "last_was_command"),
    )

    def __init__(
        self,
        clock: Clock,
        events: EventQueue,
        set_irq: IrqLine,
        set_aux_irq: IrqLine,
        on_reset: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._events = events
        self._set_irq, self._set_aux_irq, self._on_reset = set_irq, set_aux_irq, on_reset
        self._byte = events.handle("i8042.byte", self._on_byte)
        self._key = events.handle("i8042.key", self._on_key)
        self._test = events.handle("i8042.test", self._on_test)
        self.keyboard = Keyboard()
        self.ram = bytearray(32)
        self.ram[0] = AS_A_BIOS_LEAVES_IT
        self.output_port = OUTPUT_LINES | A20 | NOT_RESET
        self.buffer = 0
        self.flags = 0  # OBF, and what else the status says of the byte in the buffer
        self.answers: deque[int] = deque()  # byte, and its flags above it
        self.pending = 0  # the command whose parameter comes next
        self.break_next = False  # translation has seen F0
        self.last_was_command = False

    def type_text(self, text: str) -> None:
        """Somebody types ASCII, key by key, in modelled time. Raises: ValueError for other characters."""
        self.keyboard.type_text(text)
        self._pump()

    # --- ports ---

    def read(self, port: int, size: int) -> int:
        """IN from 60 or 64."""
        if port == COMMAND:
            return (
                self.flags
                | self.ram[0] & SYSTEM
                | UNLOCKED
                | (LAST_WAS_COMMAND if self.last_was_command else 0)
            )
        value = self.buffer
        self.flags = 0
        self._update()
        self._pump()
        return value

    def write(self, port: int, value: int, size: int) -> None:
        """OUT to 60 or 64."""
        self.last_was_command = port == COMMAND
        if port == COMMAND:
            self.pending = 0
            if value in WITH_PARAMETER:
                self.pending = value
            else:
                self._command(value)
        elif self.pending:
            command, self.pending = self.pending, 0
            self._parameter(command, value)
        else:
            self.ram[0] &= ~DISABLE_KEYBOARD  # sending enables the interface
            self.keyboard.command(value)
            if value == RESET:
                self._events.schedule(self._test, self._cycles(SELF_TEST_US))
        self._update()
        self._pump()

    def _command(self, command: int) -> None:
        if command in READ_RAM:
            self._answer(self.ram[command & 0x1F])
        elif command == SELF_TEST:
            self.ram[0] |= SYSTEM
            self._answer(SELF_TEST_PASSED)
        elif command in (AUX_OFF, AUX_ON):
            self._switch(DISABLE_AUX, command == AUX_OFF)
        elif command in (KEYBOARD_OFF, KEYBOARD_ON):
            self._switch(DISABLE_KEYBOARD, command == KEYBOARD_OFF)
        elif command in (A20_OFF, A20_ON):
            self.output_port = self.output_port & ~A20 | (A20 if command == A20_ON else 0)
        elif command == READ_OUTPUT_PORT:
            aux = self.flags & AUX_OBF
            self._answer(self.output_port | (0x20 if aux else 0x10) * (self.flags & OBF))
        elif command in PULSE:
            if not command & NOT_RESET:
                self._on_reset()
        elif command in _ANSWERS:
            self._answer(_ANSWERS[command])

    def _parameter(self, command: int, value: int) -> None:
        if command in WRITE_RAM:
            self.ram[command & 0x1F] = value
        elif command == WRITE_OUTPUT_PORT:
            self.output_port = value & ~0x30 | NOT_RESET
            if not value & NOT_RESET:
                self._on_reset()
        elif command == LOOP_KEYBOARD:
            self._answer(value)
        elif command == LOOP_AUX:
            self._answer(value, AUX_OBF)
        else:
            self.ram[0] &= ~DISABLE_AUX
            self._answer(NO_ANSWER, AUX_OBF | TIMEOUT)

    def _switch(self, bit: int, on: bool) -> None:
        self.ram[0] = self.ram[0] | bit if on else self.ram[0] & ~bit

    # --- the output buffer ---

    def _answer(self, value: int, flags: int = 0) -> None:
        self.answers.append(flags << 8 | value)

    def _pump(self) -> None:
        """Fill the output buffer when it is empty; the keyboard's bytes take their time."""
        if not self.flags & OBF and self.answers:
            answer = self.answers.popleft()
            self._fill(answer & 0xFF, answer >> 8)
        if self._open() and self.keyboard.said:
            self._arm(self._byte, BYTE_US)
        elif self._open() and self.keyboard.can_type():
            self._arm(self._key, KEY_US)

    def _open(self) -> bool:
        """The keyboard may send."""
        return not self.flags & OBF and not self.ram[0] & DISABLE_KEYBOARD

    def _fill(self, value: int, flags: int) -> None:
        self.buffer = value
        self.flags = OBF | flags
        self._update()

    def _on_byte(self, _deadline: int) -> None:
        if self._open() and self.keyboard.said:
            self._from_keyboard(self.keyboard.next_byte())
        self._pump()

    def _on_key(self, _deadline: int) -> None:
        if self._open() and self.keyboard.can_type():
            self.keyboard.stroke()
        self._pump()

    def _on_test(self, _deadline: int) -> None:
        self.keyboard.finish_test()
        self._pump()

    def _from_keyboard(self, value: int) -> None:
        """Translate set 2 to set 1: F0 vanishes, and sets bit 7 of the code behind it."""
        if self.ram[0] & TRANSLATE:
            if value == BREAK_PREFIX:
                self.break_next = True
                return
            value = TRANSLATION[value] if value < 0x80 else TRANSLATED_ABOVE.get(value, value)
            if self.break_next:
                self.break_next = False
                value |= 0x80
        self._fill(value, 0)

    def _update(self) -> None:
        """IRQ1 and IRQ12 follow the output buffer, as far as the command byte lets them."""
        aux = bool(self.flags & AUX_OBF)
        full = bool(self.flags & OBF)
        self._set_irq(full and not aux and bool(self.ram[0] & KEYBOARD_INTERRUPT))
        self._set_aux_irq(full and aux and bool(self.ram[0] & AUX_INTERRUPT))

    # --- time and state ---

    def _cycles(self, microseconds: int) -> int:
        return self._clock.now() + max(1, self._clock.hz * microseconds // 1_000_000)

    def _arm(self, handle: Handle, microseconds: int) -> None:
        if handle.deadline is None:
            self._events.schedule(handle, self._cycles(microseconds))

    def cycles_to_event(self, now: int) -> int | None:
        """The keyboard's next byte, the next stroke, or the end of its self test."""
        return cycles_left(now, self._byte, self._key, self._test)

    def state(self) -> State:
        """The controller and the keyboard, with what is still to be typed."""
        return {"controller": super().state(), "keyboard": self.keyboard.state()}

    def restore(self, state: State) -> None:
        """Put both back; lines and events are their owners'."""
        super().restore(state["controller"])
        self.keyboard.restore(state["keyboard"])


_ANSWERS: Final = {
    PASSWORD_INSTALLED: NO_PASSWORD,
    TEST_AUX: AUX_CLOCK_HIGH,
    TEST_KEYBOARD: 0x00,
    READ_INPUT_PORT: INPUT_PORT,
    READ_TEST_INPUTS: 0x00,
}
