"""A guest calls the BIOS, and there is none: the end of the run, with a message.

`firmware.ivt` leads every real-mode vector to a byte of its own; a hook there knows the vector, and the
frame that the interrupt has pushed tells who called.
"""

from typing import Final

from emulator.cpu.exceptions import NAMES
from emulator.cpu.guest_error import GuestError
from emulator.cpu.processor import Processor
from emulator.cpu.registers import CR0_PE, CS, EAX, VM
from emulator.firmware.ivt import MERE_IRET, VECTORS
from emulator.firmware.layout import STUBS, STUBS_SEGMENT

INT: Final = 0xCD
SERVICES: Final = {
    **{0x10: "video", 0x11: "equipment", 0x12: "memory size", 0x13: "disk", 0x14: "serial port"},
    **{0x15: "system", 0x16: "keyboard", 0x17: "printer", 0x18: "BASIC", 0x19: "bootstrap"},
    **{0x1A: "time and PCI", 0x20: "DOS", 0x21: "DOS"},
}


def stop_at_bios_calls(processor: Processor) -> None:
    """End the run with a GuestError when a vector's IRET is about to execute."""
    processor.engine.on_code(STUBS, lambda linear: _reached(processor, linear - STUBS), VECTORS)


def _reached(processor: Processor, vector: int) -> None:
    registers = processor.registers
    real = not registers.control(0) & CR0_PE or registers.system_flags & VM
    if not real or registers.selector(CS) != STUBS_SEGMENT or vector in MERE_IRET:
        return
    frame = processor.code_at(registers.stack_top, 4)
    if len(frame) < 4:
        frame = bytes(4)
    ip, cs = int.from_bytes(frame[:2], "little"), int.from_bytes(frame[2:], "little")
    raise GuestError("bios", _message(processor, vector, cs, ip))


def _message(processor: Processor, vector: int, cs: int, ip: int) -> str:
    before = (ip - 2) & 0xFFFF
    linear = (cs << 4) + before
    code = processor.code_at(linear, 2)
    if code == bytes((INT, vector)):
        described = processor.symbols.describe(linear, processor.code_at(linear, 8))
        service = SERVICES.get(vector, "interrupt")
        ax = processor.registers.general(EAX) & 0xFFFF
        return (
            f"the guest called BIOS INT {vector:02X}h ({service}, AX={ax:04x}) at {cs:04x}:{before:04x}"
            f"{f' ({described})' if described else ''}: there is no BIOS, only the tables that one leaves"
        )
    name = NAMES.get(vector, "interrupt")
    return (
        f"vector {vector:02X}h ({name}) was taken at {cs:04x}:{ip:04x} in real mode and has no handler: "
        "the guest hasn't set its vector, and there is no BIOS"
    )
