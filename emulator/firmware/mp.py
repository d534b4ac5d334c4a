"""The MP configuration (Intel MultiProcessor Specification 1.4, chapter 4): one processor.

    _MP_ floating pointer --> PCMP header, processor, buses, I/O APIC, interrupt assignments

It lies in the BIOS area, not in the EBDA, which boot loaders are known to overwrite.
"""

from typing import Final

from emulator.firmware.layout import (
    IOAPIC_BASE,
    IOAPIC_ID,
    IOAPIC_VERSION,
    LAPIC_BASE,
    LAPIC_VERSION_P6,
    LAPIC_VERSION_XAPIC,
    checksum,
)

SPEC_1_4: Final = 4
PROCESSOR, BUS, IOAPIC, IO_INTERRUPT, LOCAL_INTERRUPT = range(5)
CPU_ENABLED_BOOTSTRAP: Final = 0x03
INT, NMI, SMI, EXTINT = range(4)
ALL_LAPICS: Final = 0xFF
CASCADE: Final = 2
PIN_8259: Final = 0
PIN_IRQ0: Final = 2


def is_xapic(signature: int) -> bool:
    """Whether a processor with this CPUID signature has the Pentium 4's APIC (family 15)."""
    return signature >> 8 & 0xF == 0xF


def floating_pointer(table: int) -> bytes:
    """The 16 bytes that point to the configuration table (4.1): virtual wire, no default configuration."""
    data = b"_MP_" + table.to_bytes(4, "little") + bytes((1, SPEC_1_4))
    return data + bytes((checksum(data),)) + bytes(5)


def configuration_table(signature: int, features: int, *, pci: bool = True) -> bytes:
    """The header (4.2) and entries (4.3), in ascending order of type."""
    entries = [_processor(signature, features), *_buses(pci), _ioapic(), *_interrupts(1 if pci else 0)]
    body = b"".join(entries)
    head = b"PCMP" + (44 + len(body)).to_bytes(2, "little") + bytes((SPEC_1_4,))
    tail = (
        b"RINGTOLL".ljust(8)
        + b"RINGTOLL PC".ljust(12)  # OEM ID, product ID
        + bytes(4 + 2)  # no OEM table
        + len(entries).to_bytes(2, "little")
        + LAPIC_BASE.to_bytes(4, "little")
        + bytes(4)  # no extended table
    )
    return head + bytes((checksum(head + tail + body),)) + tail + body


def _processor(signature: int, features: int) -> bytes:
    version = LAPIC_VERSION_XAPIC if is_xapic(signature) else LAPIC_VERSION_P6
    head = bytes((PROCESSOR, 0, version, CPU_ENABLED_BOOTSTRAP))
    return head + signature.to_bytes(4, "little") + features.to_bytes(4, "little") + bytes(8)


def _buses(pci: bool) -> list[bytes]:
    """PCI buses have the numbers that configuration cycles use, so the ISA bus comes after bus 0."""
    names = (b"PCI", b"ISA") if pci else (b"ISA",)
    return [bytes((BUS, number)) + name.ljust(6) for number, name in enumerate(names)]


def _ioapic() -> bytes:
    return bytes((IOAPIC, IOAPIC_ID, IOAPIC_VERSION, 1)) + IOAPIC_BASE.to_bytes(4, "little")


def _interrupts(isa: int) -> list[bytes]:
    """Polarity and trigger 0: as the bus has them, for ISA active high and by edge."""
    lines = [(INT, line, PIN_IRQ0 if line == 0 else line) for line in range(16) if line != CASCADE]
    assigned = [
        bytes((IO_INTERRUPT, kind, 0, 0, isa, line, IOAPIC_ID, pin))
        for kind, line, pin in ((EXTINT, 0, PIN_8259), *lines)
    ]
    local = [
        bytes((LOCAL_INTERRUPT, kind, 0, 0, isa, 0, ALL_LAPICS, lint))
        for kind, lint in ((EXTINT, 0), (NMI, 1))
    ]
    return assigned + local
