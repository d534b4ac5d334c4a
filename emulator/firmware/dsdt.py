"""The DSDT's AML: soft-off, and the PCI root bridge with what it passes on (ACPI 2.0, 6.4 and 7.3.4)."""

from typing import Final

from emulator.firmware import aml
from emulator.firmware.layout import IOAPIC_BASE, SLP_TYP_S5

MEMORY, IO, BUS_NUMBER = range(3)
FIXED_RANGE: Final = 0x0C  # minimum and maximum are fixed, positive decode
READ_WRITE: Final = 0x01
ENTIRE_RANGE: Final = 0x03
END_TAG: Final = b"\x79\x00"


def definition_block(memory_bytes: int, *, pci: bool = True) -> bytes:
    r"""`\_S5` and, with `pci`, `\_SB.PCI0`."""
    typ = aml.integer(SLP_TYP_S5)
    soft_off = aml.name("_S5", aml.package((typ, typ, aml.integer(0), aml.integer(0))))
    return soft_off + (aml.scope("_SB", _root_bridge(memory_bytes)) if pci else b"")


def _root_bridge(memory_bytes: int) -> bytes:
    resources = (
        _word_range(BUS_NUMBER, 0, 0x00, 0xFF)
        + _io_ports(0xCF8, 8)
        + _word_range(IO, ENTIRE_RANGE, 0x0000, 0x0CF7)
        + _word_range(IO, ENTIRE_RANGE, 0x0D00, 0xFFFF)
        + _memory_range(0xA0000, 0xBFFFF)
        + _memory_range(max(memory_bytes, 1 << 20), IOAPIC_BASE - 1)
        + END_TAG
    )
    return aml.device(
        "PCI0",
        aml.name("_HID", aml.eisa_id("PNP0A03")),
        aml.name("_ADR", aml.integer(0)),
        aml.name("_BBN", aml.integer(0)),
        aml.name("_CRS", aml.buffer(resources)),
    )


def _word_range(kind: int, flags: int, first: int, last: int) -> bytes:
    """A word address space descriptor (6.4.3.5.3)."""
    words = (0, first, last, 0, last - first + 1)
    body = bytes((kind, FIXED_RANGE, flags)) + b"".join(
        (word & 0xFFFF).to_bytes(2, "little") for word in words
    )
    return b"\x88" + len(body).to_bytes(2, "little") + body


def _memory_range(first: int, last: int) -> bytes:
    """A double word address space descriptor (6.4.3.5.2)."""
    words = (0, first, last, 0, last - first + 1)
    body = bytes((MEMORY, FIXED_RANGE, READ_WRITE)) + b"".join(word.to_bytes(4, "little") for word in words)
    return b"\x87" + len(body).to_bytes(2, "little") + body


def _io_ports(first: int, count: int) -> bytes:
    """An I/O port descriptor that decodes 16 bits (6.4.2.5)."""
    return b"\x47\x01" + first.to_bytes(2, "little") * 2 + bytes((1, count))
