"""The VGA: registers, and what its screen shows. Its text memory is the machine's RAM and never trapped."""

from emulator.devices.vga.vga import Vga, clear

__all__ = ["Vga", "clear"]
