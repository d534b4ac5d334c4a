"""What tests say to guests with: the serial line of `emulator.bench.serial_line`."""

from emulator.bench.serial_line import Failed as Failed
from emulator.bench.serial_line import Guest as Guest
from emulator.bench.serial_line import QemuLine as QemuLine
from emulator.bench.serial_line import RingtollLine as RingtollLine
from emulator.bench.serial_line import SerialLine as SerialLine
