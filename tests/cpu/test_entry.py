"""What kernels find that rely on their boot loader."""

import struct

from tests.cpu.support import flat

IDT = 0x110000


def test_a_kernel_without_a_gdt_of_its_own_can_load_segments_and_take_interrupts() -> None:
    """Its gates name selector 8, its segments 10h, as many small kernels do."""
    machine = flat(
        f"""mov ax, 0x10; mov ds, ax; mov ss, ax; mov esp, 0x180000; lidt [{IDT - 8:#x}]; int 0x21
            mov al, bl; out 0xf4, al; hlt"""
    )
    machine.ram.write(0x108000, b"\xb3\x2a\xcf")  # mov bl, 42; iret
    machine.ram.write(IDT - 8, struct.pack("<HI", 0x7FF, IDT))
    machine.ram.write(IDT + 8 * 0x21, struct.pack("<HHHH", 0x8000, 8, 0x8E00, 0x10))
    outcome = machine.run(max_cycles=100_000)
    assert (outcome.kind, outcome.status) == ("exit", 42), outcome


def test_a_flat_guest_that_loads_a_selector_beyond_it_faults() -> None:
    outcome = flat("mov ax, 0x18; mov ds, ax; hlt").run(max_cycles=100_000)
    assert "#GP error code 0x18" in outcome.message
