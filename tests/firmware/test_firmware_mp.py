"""The MP tables, read the way kernels read them: search, checksum, then entry by entry."""

import pytest
from firmware_memory import MEMORY, P3, P4, Memory

SIZES = {0: 20, 1: 8, 2: 8, 3: 8, 4: 8}


def pointer(memory: Memory) -> int:
    """The search that MP spec 1.4 prescribes: first KB of the EBDA, last KB of base memory, BIOS area."""
    ebda = memory.number(0x40E, 2) << 4
    last = memory.number(0x413, 2) * 1024 - 1024
    for start, end in ((ebda, ebda + 1024), (last, last + 1024), (0xF0000, 0x100000)):
        found = memory.find(b"_MP_", start, end)
        if found is not None:
            return found
    raise AssertionError("no MP floating pointer")


def entries(memory: Memory) -> list[bytes]:
    at = memory.number(pointer(memory) + 4, 4)
    end = at + memory.number(at + 4, 2)
    found, at = [], at + 44
    while at < end:
        size = SIZES[memory.number(at, 1)]
        found.append(memory.peek(at, size))
        at += size
    assert at == end
    return found


@pytest.mark.parametrize("cpu", [P3, P4])
@pytest.mark.parametrize("pci", [False, True])
def test_pointer_and_table_are_found_and_sum_up(cpu: tuple[int, int], pci: bool) -> None:
    memory = Memory(*cpu, MEMORY, pci)
    mp = pointer(memory)
    assert memory.sum(mp, 16) == 0
    assert memory.peek(mp + 8, 2) == b"\x01\x04"
    assert memory.peek(mp + 11, 5) == bytes(5), "a table, and virtual wire"
    table = memory.number(mp + 4, 4)
    assert memory.peek(table, 4) == b"PCMP"
    assert memory.sum(table, memory.number(table + 4, 2)) == 0
    assert memory.number(table + 34, 2) == len(entries(memory))
    assert memory.number(table + 36, 4) == 0xFEE00000


def test_the_entries_come_in_ascending_order_of_type() -> None:
    kinds = [entry[0] for entry in entries(Memory())]
    assert kinds == sorted(kinds)


@pytest.mark.parametrize(("cpu", "version"), [(P3, 0x11), (P4, 0x14)])
def test_one_bootstrap_processor(cpu: tuple[int, int], version: int) -> None:
    (processor,) = [entry for entry in entries(Memory(*cpu)) if entry[0] == 0]
    assert processor[:4] == bytes((0, 0, version, 3))
    assert processor[4:12] == cpu[0].to_bytes(4, "little") + cpu[1].to_bytes(4, "little")


def test_one_io_apic() -> None:
    (ioapic,) = [entry for entry in entries(Memory()) if entry[0] == 2]
    assert ioapic == bytes((2, 1, 0x11, 1)) + (0xFEC00000).to_bytes(4, "little")


@pytest.mark.parametrize(("pci", "names"), [(False, [b"ISA   "]), (True, [b"PCI   ", b"ISA   "])])
def test_interrupts_name_the_isa_bus(pci: bool, names: list[bytes]) -> None:
    found = entries(Memory(*P4, MEMORY, pci))
    assert [entry[2:] for entry in found if entry[0] == 1] == names
    assert {entry[4] for entry in found if entry[0] >= 3} == {names.index(b"ISA   ")}


def test_every_isa_interrupt_has_its_pin() -> None:
    assigned = {entry[5]: entry[7] for entry in entries(Memory()) if entry[:2] == b"\x03\x00"}
    assert assigned == {0: 2, 1: 1} | {line: line for line in range(3, 16)}


def test_the_8259_is_on_pin_0_and_lint0_and_nmi_on_lint1() -> None:
    found = entries(Memory())
    assert [entry[7] for entry in found if entry[:2] == b"\x03\x03"] == [0]
    assert [(entry[1], entry[6], entry[7]) for entry in found if entry[0] == 4] == [
        (3, 0xFF, 0),
        (1, 0xFF, 1),
    ]
