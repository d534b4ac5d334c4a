"""The VGA's registers (IBM PS/2 HITRC, "Video subsystem: registers"), as a BIOS leaves them in mode 3.

3C0 3C1  attribute controller, index and data on one port     3C2 3CC  miscellaneous output
3C4 3C5  sequencer            3CE 3CF  graphics controller    3C2 3DA  input status 0 and 1
3C6-3C9  DAC                  3D4 3D5  CRT controller (3B4 3B5 when mono)
"""

from typing import Final

from emulator.devices.clock import Clock
from emulator.devices.device import PassiveDevice

ATTRIBUTE, ATTRIBUTE_DATA = 0x3C0, 0x3C1
MISC_WRITE, STATUS_0 = 0x3C2, 0x3C2
SUBSYSTEM_ENABLE: Final = 0x3C3
SEQUENCER, SEQUENCER_DATA = 0x3C4, 0x3C5
DAC_MASK, DAC_READ_INDEX, DAC_WRITE_INDEX, DAC_DATA = 0x3C6, 0x3C7, 0x3C8, 0x3C9
FEATURE_READ, MISC_READ = 0x3CA, 0x3CC
GRAPHICS, GRAPHICS_DATA = 0x3CE, 0x3CF
CRTC_MONO, CRTC_COLOUR, CRTC_DATA = 0x3B4, 0x3D4, 1
STATUS_1_MONO, STATUS_1_COLOUR = 0x3BA, 0x3DA

# CRT controller
HORIZONTAL_DISPLAY_END, OVERFLOW, MAXIMUM_SCAN_LINE, CURSOR_START, CURSOR_END = 0x01, 0x07, 0x09, 0x0A, 0x0B
START_HIGH, START_LOW, CURSOR_HIGH, CURSOR_LOW = 0x0C, 0x0D, 0x0E, 0x0F
VERTICAL_RETRACE_END, VERTICAL_DISPLAY_END, OFFSET = 0x11, 0x12, 0x13
PROTECT: Final = 0x80  # in VERTICAL_RETRACE_END: registers 0 to 7 can't be written
LINE_COMPARE_8: Final = 0x10  # the one bit of OVERFLOW that can
CURSOR_OFF: Final = 0x20
# Attribute controller
MODE_CONTROL, COLOUR_PLANE_ENABLE, COLOUR_SELECT = 0x10, 0x12, 0x14
LINE_GRAPHICS, BLINK, PALETTE_54 = 0x04, 0x08, 0x80
# Sequencer and graphics controller
CLOCKING_MODE, MEMORY_MODE = 0x01, 0x04
EIGHT_DOTS, SCREEN_OFF, CHAIN_4 = 0x01, 0x20, 0x08
GRAPHICS_MODE, MISCELLANEOUS = 0x05, 0x06
COLOURS_256, ALPHANUMERIC_OFF, MEMORY_MAP = 0x40, 0x01, 0x0C
# Miscellaneous output
IO_COLOUR: Final = 0x01

MODE_3_MISC: Final = 0x67
MODE_3_SEQUENCER: Final = bytes.fromhex("03 00 03 00 02")
MODE_3_CRTC: Final = bytes.fromhex(
    "5f 4f 50 82 55 81 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 28 1f 96 b9 a3 ff"
)
MODE_3_GRAPHICS: Final = bytes.fromhex("00 00 00 00 00 10 0e 00 ff")
MODE_3_ATTRIBUTE: Final = bytes.fromhex("00 01 02 03 04 05 14 07 38 39 3a 3b 3c 3d 3e 3f 0c 00 0f 08 00")

# Timing of mode 3: 70 Hz, 449 lines of 900 dots, of which 400 of 720 are shown
DOT_HZ: Final = 28_322_000
DOTS, DOTS_SHOWN = 900, 720
LINES, LINES_SHOWN, RETRACE_FIRST, RETRACE_LAST = 449, 400, 412, 413

NOT_DISPLAYING, VERTICAL_RETRACE = 0x01, 0x08
SWITCH_SENSE: Final = 0x10  # a colour monitor is there


def _ega_colours() -> bytearray:
    """The 64 colours of text: bits 0 to 2 are 2/3 of blue, green and red, bits 3 to 5 are 1/3."""
    dac = bytearray(768)
    for index in range(64):
        for channel, (high, low) in enumerate(((4, 0x20), (2, 0x10), (1, 0x08))):
            dac[3 * index + channel] = 0x2A * bool(index & high) + 0x15 * bool(index & low)
    return dac


class VgaRegisters(PassiveDevice):
    """What can be written can be read back; only input status 1 changes by itself."""

    PORTS = ((0x3B4, 2), (0x3BA, 1), (0x3C0, 16), (0x3D4, 2), (0x3DA, 1))
    FIELDS = (
        *("misc", "feature", "enabled", "crtc", "crtc_index", "sequencer", "sequencer_index"),
        *("graphics", "graphics_index", "attribute", "attribute_index", "attribute_data"),
        *("dac", "dac_mask", "dac_at", "dac_reading"),
    )

    def __init__(self, clock: Clock) -> None:
        self._dots = clock.rate(DOT_HZ)
        self.misc = MODE_3_MISC
        self.feature = 0
        self.enabled = 1
        self.crtc, self.crtc_index = bytearray(MODE_3_CRTC), 0
        self.sequencer, self.sequencer_index = bytearray(MODE_3_SEQUENCER), 0
        self.graphics, self.graphics_index = bytearray(MODE_3_GRAPHICS), 0
        self.attribute, self.attribute_index = bytearray(MODE_3_ATTRIBUTE), 0x20  # palette in use
        self.attribute_data = False  # the flip-flop of port 3C0
        self.dac = _ega_colours()
        self.dac_mask = 0xFF
        self.dac_at = 0  # byte of the palette that 3C9 accesses next
        self.dac_reading = False

    def read(self, port: int, size: int) -> int:
        """IN; a register that is not there reads 0, the CRT controller's other ports all ones."""
        if port in (STATUS_1_COLOUR, STATUS_1_MONO):
            return self._input_status_1() if self._decoded(port) else 0xFF
        if port & 0xFFE in (CRTC_MONO, CRTC_COLOUR):
            if not self._decoded(port):
                return 0xFF
            return _get(self.crtc, self.crtc_index) if port & CRTC_DATA else self.crtc_index
        if port == DAC_DATA:
            value = self.dac[self.dac_at]
            self.dac_at = (self.dac_at + 1) % len(self.dac)
            return value
        if port == ATTRIBUTE_DATA:
            return _get(self.attribute, self.attribute_index & 0x1F)
        if port == SEQUENCER_DATA:
            return _get(self.sequencer, self.sequencer_index)
        if port == GRAPHICS_DATA:
            return _get(self.graphics, self.graphics_index)
        return {
            ATTRIBUTE: self.attribute_index,
            STATUS_0: SWITCH_SENSE,
            SUBSYSTEM_ENABLE: self.enabled,
            SEQUENCER: self.sequencer_index,
            DAC_MASK: self.dac_mask,
            DAC_READ_INDEX: 3 if self.dac_reading else 0,
            DAC_WRITE_INDEX: self.dac_at // 3,
            FEATURE_READ: self.feature,
            MISC_READ: self.misc,
            GRAPHICS: self.graphics_index,
        }.get(port, 0xFF)

    def write(self, port: int, value: int, size: int) -> None:
        """OUT."""
        if port & 0xFFE in (CRTC_MONO, CRTC_COLOUR):
            if self._decoded(port):
                self._write_crtc(port, value)
        elif port == ATTRIBUTE:
            self._write_attribute(value)
        elif port == SEQUENCER_DATA:
            _put(self.sequencer, self.sequencer_index, value)
        elif port == GRAPHICS_DATA:
            _put(self.graphics, self.graphics_index, value)
        elif port == DAC_DATA:
            self.dac[self.dac_at] = value & 0x3F
            self.dac_at = (self.dac_at + 1) % len(self.dac)
        elif port in (DAC_READ_INDEX, DAC_WRITE_INDEX):
            self.dac_at = 3 * value
            self.dac_reading = port == DAC_READ_INDEX
        elif port in _PLAIN:
            setattr(self, _PLAIN[port], value)
        elif port in (STATUS_1_COLOUR, STATUS_1_MONO) and self._decoded(port):
            self.feature = value

    def _decoded(self, port: int) -> bool:
        """Ports 3Bx or 3Dx, as the miscellaneous output register says."""
        return bool(port & 0x40) == bool(self.misc & IO_COLOUR)

    def _write_crtc(self, port: int, value: int) -> None:
        if not port & CRTC_DATA:
            self.crtc_index = value
            return
        index = self.crtc_index
        if index <= OVERFLOW and self.crtc[VERTICAL_RETRACE_END] & PROTECT:
            if index != OVERFLOW:
                return
            value = self.crtc[OVERFLOW] & ~LINE_COMPARE_8 | value & LINE_COMPARE_8
        _put(self.crtc, index, value)

    def _write_attribute(self, value: int) -> None:
        """Index and data in turn; reading input status 1 makes the next one an index."""
        if self.attribute_data:
            _put(self.attribute, self.attribute_index & 0x1F, value)
        else:
            self.attribute_index = value & 0x3F
        self.attribute_data = not self.attribute_data

    def _input_status_1(self) -> int:
        self.attribute_data = False
        line, dot = divmod(self._dots.now() % (LINES * DOTS), DOTS)
        retrace = VERTICAL_RETRACE * (RETRACE_FIRST <= line <= RETRACE_LAST)
        return retrace | NOT_DISPLAYING * (line >= LINES_SHOWN or dot >= DOTS_SHOWN)


_PLAIN: Final = {
    MISC_WRITE: "misc",
    SUBSYSTEM_ENABLE: "enabled",
    SEQUENCER: "sequencer_index",
    GRAPHICS: "graphics_index",
    DAC_MASK: "dac_mask",
}


def _get(registers: bytearray, index: int) -> int:
    return registers[index] if index < len(registers) else 0


def _put(registers: bytearray, index: int, value: int) -> None:
    if index < len(registers):
        registers[index] = value
