from itertools import pairwise

import pytest
from firmware_memory import MEMORY, P3, P4, Memory
from hypothesis import given
from hypothesis import strategies as st

from emulator.devices import acpi_pm, interrupts, ioapic, lapic_registers, uart16550
from emulator.devices.clock import Clock
from emulator.devices.events import EventQueue
from emulator.devices.pc import IRQ_SCI, PcDevices
from emulator.firmware import bda, layout, mp
from emulator.firmware.e820 import E820Entry, MemoryType, e820_map
from emulator.firmware.tables import firmware_tables


@given(st.integers(256, 786432), st.sampled_from([P3, P4, (0x543, 0x1BF & ~0x200)]), st.booleans())
def test_nothing_overlaps_and_all_lies_in_reserved_memory_below_1_mb(
    pages: int, cpu: tuple[int, int], pci: bool
) -> None:
    size = pages << 12
    end = 0
    reserved = [entry for entry in e820_map(size) if entry.type is MemoryType.RESERVED]
    for address, data in firmware_tables(*cpu, size, pci=pci):
        assert address >= end
        end = address + len(data)
        assert address in (layout.IVT, layout.BDA) or any(
            e.base <= address and end <= e.end for e in reserved
        )
    assert end <= 1 << 20


@given(st.integers(256, 786432), st.booleans())
def test_the_map_is_ascending_page_aligned_above_1_mb_and_holds_all_ram(pages: int, apic: bool) -> None:
    entries = e820_map(pages << 12, apic=apic)
    for entry, following in pairwise(entries):
        assert entry.length > 0
        assert entry.end <= following.base
    ram = [entry for entry in entries if entry.type is MemoryType.RAM]
    assert ram[0] == (0, 0x9FC00, 1)
    assert sum(entry.length for entry in ram[1:]) == (pages << 12) - (1 << 20)


def test_an_entry_packs_as_e820_has_it() -> None:
    entry = E820Entry(0x100000, 0xFF00000, MemoryType.RAM)
    assert entry.pack() == bytes.fromhex("0000100000000000 0000f00f00000000 01000000")


def test_the_bios_data_area_says_what_this_pc_is() -> None:
    memory = Memory()
    assert memory.number(0x400, 2) == uart16550.COM1
    assert memory.number(0x402, 2) == memory.number(0x408, 2) == 0
    assert memory.number(0x40E, 2) << 4 == 0x9FC00
    assert memory.number(0x413, 2) == 639
    assert (memory.number(0x449, 1), memory.number(0x44A, 2), memory.number(0x484, 1)) == (3, 80, 24)
    assert memory.number(0x463, 2) == 0x3D4
    assert memory.number(0x410, 2) == 0x222
    assert bda.bios_data_area(0)[0x10] == 0x20, "no coprocessor without an FPU"
    assert memory.number(0x9FC00, 1) == 1


def test_the_tables_tell_of_the_hardware_that_is_there() -> None:
    events = EventQueue()
    clock = Clock(lambda: 0, 1_000_000_000)
    pc = PcDevices(clock, events, print, print, print, print, apic=True)
    assert pc.lapic is not None
    assert pc.ioapic is not None
    assert pc.lapic.base == layout.LAPIC_BASE == lapic_registers.BASE
    assert pc.mmio.device_at(layout.IOAPIC_BASE) is pc.ioapic
    assert pc.ioapic.identity == layout.IOAPIC_ID
    pc.ioapic.write(0, ioapic.IOAPICVER, 4)
    assert pc.ioapic.read(0x10, 1) == layout.IOAPIC_VERSION
    assert pc.lapic.read(0x30, 1) == layout.LAPIC_VERSION_XAPIC
    assert mp.PIN_IRQ0 == interrupts.PIN_IRQ0
    assert mp.PIN_8259 == interrupts.PIN_8259
    for port in (layout.PM1A_EVT, layout.PM1A_CNT, layout.PM_TMR, layout.SMI_CMD):
        assert pc.bus.device_at(port) is pc.acpi
    assert layout.PM1A_CNT - layout.PM1A_EVT == acpi_pm.PM1_CNT
    assert layout.PM_TMR - layout.PM1A_EVT == acpi_pm.PM_TMR
    assert (layout.ACPI_ENABLE, layout.ACPI_DISABLE) == (acpi_pm.ACPI_ENABLE, acpi_pm.ACPI_DISABLE)
    assert layout.SLP_TYP_S5 == acpi_pm.SLP_TYP_S5
    assert layout.SCI_IRQ == IRQ_SCI


@pytest.mark.parametrize("pci", [False, True])
def test_a_processor_without_apic_gets_neither_mp_tables_nor_a_madt(pci: bool) -> None:
    memory = Memory(0x543, 0x1BF, MEMORY, pci)
    assert memory.find(b"_MP_", 0, 1 << 20) is None
    assert sorted(memory.acpi()) == ["DSDT", "FACP", "FACS", "RSDT"]
