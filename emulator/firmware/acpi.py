r"""The ACPI tables (ACPI 1.0b, 5.2 "ACPI system description tables"; MADT: ACPI 2.0, 5.2.10.4).

RSDP --> RSDT --> FADT --> FACS
              |        \-> DSDT
              \-> MADT
"""

from typing import Final

from emulator.firmware import layout
from emulator.firmware.dsdt import definition_block
from emulator.firmware.layout import OEM, checksum

HEADER: Final = 36
FACS_SIZE: Final = 64
FADT_SIZE: Final = 116
WBINVD: Final = 1 << 0
PROC_C1: Final = 1 << 2
SLP_BUTTON: Final = 1 << 5  # there is no fixed sleep button
FIX_RTC: Final = 1 << 6  # RTC wake is not in the fixed registers
CENTURY: Final = 0x32
NO_C2: Final = 101
NO_C3: Final = 1001
PCAT_COMPAT: Final = 1
ACTIVE_HIGH_LEVEL: Final = 0x0D


def root_pointer(rsdt: int) -> bytes:
    """The RSDP (5.2.4), to be found on a 16-byte boundary from E0000 to FFFFF."""
    head, tail = b"RSD PTR ", OEM + bytes((0,)) + rsdt.to_bytes(4, "little")
    return head + bytes((checksum(head + tail),)) + tail


def table(signature: bytes, body: bytes, revision: int = 1) -> bytes:
    """A description table: header (5.2.3) and `body`."""
    head = signature + (HEADER + len(body)).to_bytes(4, "little") + bytes((revision,))
    tail = OEM + b"RINGTOLL" + (1).to_bytes(4, "little") + b"RTOL" + (1).to_bytes(4, "little")
    return head + bytes((checksum(head + tail + body),)) + tail + body


def rsdt(tables: list[int]) -> bytes:
    """The root table: where the others are."""
    return table(b"RSDT", b"".join(address.to_bytes(4, "little") for address in tables))


def facs() -> bytes:
    """The firmware control structure (5.2.6), 64-byte aligned: no waking vector, the global lock free."""
    return (b"FACS" + FACS_SIZE.to_bytes(4, "little")).ljust(FACS_SIZE, b"\0")


def fadt(facs_at: int, dsdt_at: int, *, apic: bool) -> bytes:
    """The fixed table of revision 1 (5.2.5): PM1a blocks, PM timer of 24 bits, soft-off, a power button."""
    data = bytearray(FADT_SIZE)

    def put(offset: int, value: int, size: int) -> None:
        data[offset : offset + size] = value.to_bytes(size, "little")

    put(36, facs_at, 4)
    put(40, dsdt_at, 4)
    put(44, int(apic), 1)  # INT_MODEL
    put(46, layout.SCI_IRQ, 2)
    put(48, layout.SMI_CMD, 4)
    put(52, layout.ACPI_ENABLE, 1)
    put(53, layout.ACPI_DISABLE, 1)
    put(56, layout.PM1A_EVT, 4)
    put(64, layout.PM1A_CNT, 4)
    put(76, layout.PM_TMR, 4)
    put(88, 4, 1)  # PM1_EVT_LEN
    put(89, 2, 1)  # PM1_CNT_LEN
    put(91, 4, 1)  # PM_TM_LEN
    put(96, NO_C2, 2)
    put(98, NO_C3, 2)
    put(108, CENTURY, 1)
    put(112, WBINVD | PROC_C1 | SLP_BUTTON | FIX_RTC, 4)
    return table(b"FACP", bytes(data[HEADER:]))


def madt() -> bytes:
    """One local APIC, one I/O APIC; IRQ0 is on pin 2, SCI is a level; LINT1 is NMI."""

    def override(irq: int, gsi: int, flags: int) -> bytes:
        return bytes((2, 10, 0, irq)) + gsi.to_bytes(4, "little") + flags.to_bytes(2, "little")

    body = layout.LAPIC_BASE.to_bytes(4, "little") + PCAT_COMPAT.to_bytes(4, "little")
    body += bytes((0, 8, 0, 0)) + (1).to_bytes(4, "little")  # processor 0, APIC ID 0, enabled
    body += bytes((1, 12, layout.IOAPIC_ID, 0)) + layout.IOAPIC_BASE.to_bytes(4, "little") + bytes(4)
    body += override(0, 2, 0) + override(layout.SCI_IRQ, layout.SCI_IRQ, ACTIVE_HIGH_LEVEL)
    body += bytes((4, 6, 0xFF, 0, 0, 1))  # NMI of all processors: LINT1
    return table(b"APIC", body)


def acpi_tables(memory_bytes: int, *, apic: bool, pci: bool, at: int) -> list[tuple[int, bytes]]:
    """All tables with their addresses: the RSDP at `at`, the others after it, on 64-byte boundaries."""
    placed: list[tuple[int, bytes]] = []
    free = at + 64

    def place(data: bytes) -> int:
        nonlocal free
        address = free
        placed.append((address, data))
        free += len(data) + 63 & ~63
        return address

    facs_at = place(facs())
    dsdt_at = place(table(b"DSDT", definition_block(memory_bytes, pci=pci)))
    listed = [place(fadt(facs_at, dsdt_at, apic=apic))]
    if apic:
        listed.append(place(madt()))
    return [(at, root_pointer(place(rsdt(listed)))), *placed]
