"""The state in which a processor starts an image: what a boot loader leaves behind.

protected32   flat 4 GB segments, paging and interrupts off; the image's own GDT and selectors if it
              brings a GDT, otherwise those of the boot loader's GDT (firmware.tables), which kernels with an
              IDT but no GDT of their own rely on, though the multiboot specification warns them
real16        CS:IP as the image says, everything else 0, vector table at 0
"""

from typing import Final

from unicorn.x86_const import UC_X86_REG_CR0, UC_X86_REG_EFLAGS, UC_X86_REG_GDTR, UC_X86_REG_IDTR

from emulator.cpu.engine import Engine
from emulator.cpu.registers import CS, DS, ES, FS, GS, REGISTER_NUMBERS, SS
from emulator.firmware import layout
from loader.image import EntryState

CR0_ET: Final = 0x10
CR0_PE: Final = 0x01
CODE_SELECTOR: Final = 0x08
DATA_SELECTOR: Final = 0x10
FLAT_CODE: Final = 0x00CF9B00
FLAT_DATA: Final = 0x00CF9300
REAL_CODE: Final = 0x00009B00
REAL_DATA: Final = 0x00009300
REAL_LIMIT: Final = 0xFFFF


def enter(engine: Engine, entry: EntryState) -> None:
    """Put the processor of `engine` into the entry state."""
    registers, uc = engine.registers, engine.uc
    protected = entry.mode == "protected32"
    gdt = entry.gdt or ((layout.GDT, layout.GDT_LIMIT) if protected else (0, 0))
    with engine.by_api():
        uc.reg_write(UC_X86_REG_CR0, CR0_ET | (CR0_PE if protected else 0))
        uc.reg_write(UC_X86_REG_EFLAGS, 2)
        uc.reg_write(UC_X86_REG_GDTR, (0, *gdt, 0))
        uc.reg_write(UC_X86_REG_IDTR, (0, 0, 0 if protected else 0x3FF, 0))
    if protected:
        code = CODE_SELECTOR if entry.cs is None else entry.cs
        data = DATA_SELECTOR if entry.ds is None else entry.ds
        registers.set_segment(CS, code, 0, 0xFFFFFFFF, FLAT_CODE)
        for index in (SS, DS, ES, FS, GS):
            registers.set_segment(index, data, 0, 0xFFFFFFFF, FLAT_DATA)
    else:
        code = entry.cs or 0
        registers.set_segment(CS, code, code << 4, REAL_LIMIT, REAL_CODE)
        for index in (SS, DS, ES, FS, GS):
            registers.set_segment(index, 0, 0, REAL_LIMIT, REAL_DATA)
    registers.update_mode(protected=protected)
    for number in range(8):
        registers.set_general(number, 0)
    for name, value in entry.registers.items():
        registers.set_general(REGISTER_NUMBERS[name], value)
    registers.eip = entry.eip
