"""Where things are: memory below 1 MB, and the hardware that the tables describe.

00000 interrupt vectors
00400 BIOS data area        A0000 video memory       FEC00000 I/O APIC
00500 free                  E0000 nothing            FEE00000 local APIC
9FC00 EBDA, 1 KB            F0000 tables of this BIOS, FE000 its interrupt vectors' code,
                            FE100 the boot loader's GDT
"""

from typing import Final

BDA: Final = 0x400
EBDA: Final = 0x9FC00
EBDA_SIZE: Final = 0x400
BASE_KB: Final = EBDA >> 10
ROM: Final = 0xE0000
MEGABYTE: Final = 0x100000
MP: Final = 0xF0000
ACPI: Final = 0xF1000
IVT: Final = 0x0
STUBS: Final = 0xFE000
STUBS_SEGMENT: Final = 0xF000
GDT: Final = 0xFE100
GDT_LIMIT: Final = 3 * 8 - 1
RESET: Final = 0xFFFF0

LAPIC_BASE: Final = 0xFEE00000
IOAPIC_BASE: Final = 0xFEC00000
IOAPIC_ID: Final = 1
IOAPIC_VERSION: Final = 0x11
LAPIC_VERSION_P6: Final = 0x11
LAPIC_VERSION_XAPIC: Final = 0x14

SCI_IRQ: Final = 9
SMI_CMD: Final = 0xB2
ACPI_ENABLE: Final = 0xF1
ACPI_DISABLE: Final = 0xF0
PM1A_EVT: Final = 0x600
PM1A_CNT: Final = 0x604
PM_TMR: Final = 0x608
SLP_TYP_S5: Final = 0

FEATURE_FPU: Final = 1 << 0
FEATURE_APIC: Final = 1 << 9
"""Bits of CPUID.1:EDX."""

OEM: Final = b"RINGTO"


def checksum(data: bytes) -> int:
    """The byte that makes all bytes of a table add up to 0."""
    return -sum(data) & 0xFF
