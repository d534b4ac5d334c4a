"""PCI configuration space by mechanism 1, and the functions that a PC of the time shows there.

CF8  CONFIG_ADDRESS   1 enable . 7 reserved . 8 bus . 5 device . 3 function . 6 register . 00
CF9  reset control
CFC  CONFIG_DATA      the four bytes of that register

00:00.0  8086:1237  host bridge, 440FX          00:01.1  8086:7010  IDE, PIIX3, compatibility mode
00:01.0  8086:7000  ISA bridge, PIIX3                               (when there are disks)
"""

from collections.abc import Callable
from typing import Final

from emulator.devices.device import PassiveDevice, State

CONFIG_ADDRESS: Final = 0xCF8
RESET_CONTROL: Final = 0xCF9
CONFIG_DATA: Final = 0xCFC

ENABLE: Final = 0x8000_0000
ADDRESS_BITS: Final = 0x80FF_FFFC
RESET_CPU: Final = 0x04
RESET_BITS: Final = 0x06

VENDOR, COMMAND, STATUS, REVISION, HEADER_TYPE, BAR0, INTERRUPT_LINE = (
    0x00,
    0x04,
    0x06,
    0x08,
    0x0E,
    0x10,
    0x3C,
)
MULTIFUNCTION: Final = 0x80
IO_SPACE: Final = 0x01
INTEL: Final = 0x8086


class PciFunction:
    """256 bytes of configuration space (PCI 2.1, chapter 6), and which of their bits can be written."""

    def __init__(
        self, device_id: int, class_code: int, *, revision: int = 0, multifunction: bool = False
    ) -> None:
        self.config = bytearray(256)
        self.writable = bytearray(256)
        self.put(VENDOR, INTEL | device_id << 16, 4)
        self.put(REVISION, revision | class_code << 8, 4)
        self.put(HEADER_TYPE, MULTIFUNCTION * multifunction, 1)
        self.put(INTERRUPT_LINE, 0, 1, writable=0xFF)

    def put(self, register: int, value: int, size: int, writable: int = 0) -> None:
        """Define a register."""
        self.config[register : register + size] = value.to_bytes(size, "little")
        self.writable[register : register + size] = writable.to_bytes(size, "little")

    def add_bar(self, number: int, size: int, *, io: bool = False) -> None:
        """Define a base address register that decodes `size` bytes, a power of two (6.2.5.1)."""
        self.put(BAR0 + 4 * number, IO_SPACE * io, 4, writable=-size & 0xFFFF_FFFF)

    def read(self, register: int) -> int:
        """One byte."""
        return self.config[register]

    def write(self, register: int, value: int) -> None:
        """One byte; what can't be written stays."""
        writable = self.writable[register]
        self.config[register] = self.config[register] & ~writable | value & writable


def host_bridge() -> PciFunction:
    """Intel 82441FX (data sheet 290549): its PAM and DRAM registers keep what is written and do nothing."""
    function = PciFunction(0x1237, 0x060000, revision=2)
    function.put(COMMAND, 0x0006, 2, writable=0x0140)
    function.put(STATUS, 0x0280, 2)
    function.put(0x50, 0, 16, writable=(1 << 128) - 1)
    function.put(0x60, 0, 8, writable=(1 << 64) - 1)
    function.put(0x72, 0x02, 1, writable=0x7F)
    return function


def isa_bridge() -> PciFunction:
    """Intel 82371SB (PIIX3, data sheet 290550), function 0; no PIRQ is routed."""
    function = PciFunction(0x7000, 0x060100, multifunction=True)
    function.put(COMMAND, 0x0007, 2, writable=0x0008)
    function.put(STATUS, 0x0200, 2)
    function.put(0x4C, 0x4D, 1, writable=0x7F)
    function.put(0x4E, 0x0003, 2, writable=0xFFFF)
    function.put(0x60, 0x80808080, 4, writable=0x8F8F8F8F)
    function.put(0x69, 0x02, 1, writable=0xFE)
    function.put(0x6A, 0, 2, writable=0xFFFF)
    function.put(0x82, 0, 1, writable=0x0F)
    return function


def ide_function() -> PciFunction:
    """Intel 82371SB, function 1, as channels at their ISA ports; no bus master, so BAR 4 is not there."""
    function = PciFunction(0x7010, 0x010100)
    function.put(COMMAND, 0x0001, 2, writable=0x0005)
    function.put(STATUS, 0x0280, 2)
    function.put(0x40, 0x8000_8000, 4, writable=0xFFFF_FFFF)  # IDETIM: both channels are decoded
    function.put(0x44, 0, 1, writable=0xFF)
    return function


class PciBus(PassiveDevice):
    """Mechanism 1 (PCI 2.1, 3.7.4.1) and the PIIX3's reset control register (82371SB, 2.5.6)."""

    PORTS = ((CONFIG_ADDRESS, 8),)

    def __init__(self, on_reset: Callable[[], None], *, ide: bool = False) -> None:
        self._on_reset = on_reset
        self.address = 0
        self.reset_control = 0
        self.functions = {(0, 0): host_bridge(), (1, 0): isa_bridge()}
        if ide:
            self.functions[1, 1] = ide_function()

    def read(self, port: int, size: int) -> int:
        """IN: CONFIG_ADDRESS only as a double word; what nobody answers reads as ones."""
        if port == CONFIG_ADDRESS and size == 4:
            return self.address
        value = 0
        for i in range(size):
            value |= self._read_byte(port + i) << 8 * i
        return value

    def write(self, port: int, value: int, size: int) -> None:
        """OUT: CONFIG_ADDRESS only as a double word, reset control only as a byte."""
        if port == CONFIG_ADDRESS and size == 4:
            self.address = value & ADDRESS_BITS
        elif port == RESET_CONTROL and size == 1:
            rising = value & ~self.reset_control & RESET_CPU
            self.reset_control = value & RESET_BITS
            if rising:
                self._on_reset()
        else:
            for i in range(size):
                self._write_byte(port + i, value >> 8 * i & 0xFF)

    def _read_byte(self, port: int) -> int:
        function = self._addressed()
        if port == RESET_CONTROL:
            return self.reset_control
        if port < CONFIG_DATA or function is None:
            return 0xFF
        return function.read(self.address & 0xFC | port & 3)

    def _write_byte(self, port: int, value: int) -> None:
        function = self._addressed()
        if port >= CONFIG_DATA and function is not None:
            function.write(self.address & 0xFC | port & 3, value)

    def _addressed(self) -> PciFunction | None:
        """The function that CONFIG_ADDRESS names; all are on bus 0."""
        if not self.address & ENABLE or self.address >> 16 & 0xFF:
            return None
        return self.functions.get((self.address >> 11 & 0x1F, self.address >> 8 & 7))

    def state(self) -> State:
        """The address, reset control, and every function's configuration space."""
        spaces = {
            f"{device}.{number}": bytes(function.config)
            for (device, number), function in self.functions.items()
        }
        return {"address": self.address, "reset_control": self.reset_control, "functions": spaces}

    def restore(self, state: State) -> None:
        """Put it back; the functions must be the same."""
        if state["functions"].keys() != {f"{device}.{number}" for device, number in self.functions}:
            raise ValueError("this is a state of other PCI functions")
        self.address, self.reset_control = state["address"], state["reset_control"]
        for (device, number), function in self.functions.items():
            function.config[:] = state["functions"][f"{device}.{number}"]
