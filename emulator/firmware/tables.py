"""All that the firmware leaves below 1 MB, ready to be written to memory."""

import struct
from typing import Final

from emulator.firmware import bda, ivt, layout, mp
from emulator.firmware.acpi import acpi_tables

FLAT_CODE: Final = 0x00CF9B000000FFFF  # of the GDT that kernels are entered with: selector 8
FLAT_DATA: Final = 0x00CF93000000FFFF  # selector 10h


def firmware_tables(
    profile_signature: int, features: int, memory_bytes: int, *, pci: bool = True
) -> list[tuple[int, bytes]]:
    """(physical address, bytes) of the BIOS data areas and the tables; none overlap.

    `profile_signature`, `features`: EAX and EDX of CPUID leaf 1. Without an APIC in `features` there are no
    MP tables and no MADT. `pci`: whether there is a PCI bus to tell of.
    """
    apic = bool(features & layout.FEATURE_APIC)
    tables = [
        (layout.IVT, ivt.vector_table()),
        (layout.BDA, bda.bios_data_area(features)),
        (layout.EBDA, bda.extended_bios_data_area()),
        (layout.STUBS, ivt.stubs()),
        (layout.GDT, struct.pack("<3Q", 0, FLAT_CODE, FLAT_DATA)),
        (layout.RESET, ivt.reset_code()),
    ]
    if apic:
        configuration = layout.MP + 16
        tables.append((layout.MP, mp.floating_pointer(configuration)))
        tables.append((configuration, mp.configuration_table(profile_signature, features, pci=pci)))
    return sorted([*tables, *acpi_tables(memory_bytes, apic=apic, pci=pci, at=layout.ACPI)])
