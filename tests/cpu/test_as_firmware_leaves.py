"""What a kernel finds that looks at the timer and the interrupt controllers before it has set them up."""

import struct

from emulator.machine import Machine
from loader import load_image
from tests.cpu.support import ALL, P3, P4, RAM, assemble, profile
from tests.cpu.support import HEADER as BASE

IDT, CODE = BASE + 0x400, BASE + 0x40


def boot(source: str, name: str) -> Machine:
    """A multiboot kernel of its own, on the loader's GDT (0x10: code), interrupts off."""
    data = bytearray(0x1000)
    header = (0x1BADB002, 0x10000, (-0x1BADB002 - 0x10000) & ALL, BASE, BASE, 0, 0, CODE)
    struct.pack_into("<8I", data, 0, *header)
    code = assemble(source, CODE)
    data[CODE - BASE : CODE - BASE + len(code)] = code
    struct.pack_into("<HI", data, 0x3F0, 0x3FF, IDT)
    machine = Machine(profile(name), memory_bytes=RAM)
    machine.load(load_image(bytes(data), memory_bytes=RAM, format="multiboot"))
    return machine


def test_the_8259s_are_at_8_and_70_and_their_masks_are_a_bios_s() -> None:
    machine = boot("in al, 0x21; mov ah, al; in al, 0xa1; cmp ax, 0xb88e; setne al; out 0xf4, al", P4)
    assert machine.run(max_cycles=1_000_000).status == 0
    assert (machine.devices.pic.master.icw2, machine.devices.pic.slave.icw2) == (8, 0x70)


def test_counter_0_runs_through_65536_and_counter_1_refreshes() -> None:
    source = "mov al, 0xe6; out 0x43, al; in al, 0x40; mov ah, al; in al, 0x41; shr ax, 0; and ax, 0x3f3f;"
    machine = boot(f"{source} cmp ax, 0x3414; setne al; out 0xf4, al", P4)
    assert machine.run(max_cycles=1_000_000).status == 0
    assert machine.devices.pit.channels[0].period in (0, 65536)


def test_a_kernel_that_sets_up_nothing_but_its_idt_is_ticked_18_times_a_second_through_vector_8() -> None:
    handler = CODE + 0x100
    high = (handler & 0xFFFF0000) | 0x8E00
    source = f"""
        mov esp, {BASE + 0x1000:#x}; mov ax, cs; shl eax, 16; mov ax, {handler & 0xFFFF}
        mov [{IDT + 64:#x}], eax; mov dword ptr [{IDT + 68:#x}], {high}
        lidt [{BASE + 0x3F0:#x}]; xor ebx, ebx; sti
    again:
        hlt; cmp ebx, 3; jb again; xor eax, eax; out 0xf4, al
    """
    for name, hz in ((P4, 1.4e9), (P3, 550e6)):
        code = assemble(source, CODE)
        tick = assemble("inc ebx; push eax; mov al, 0x20; out 0x20, al; pop eax; iretd", handler)
        bytes_ = ",".join(str(b) for b in (code + bytes(handler - CODE - len(code)) + tick))
        machine = boot(f".byte {bytes_}", name)
        outcome = machine.run(max_cycles=int(hz))
        assert (outcome.kind, outcome.status) == ("exit", 0), outcome
        seconds = machine.cycles / hz
        assert abs(seconds - 3 * 65536 / 1193182) < 1e-4


def test_a_flat_binary_finds_the_chips_as_they_come_out_of_reset() -> None:
    machine = Machine(profile(P4), memory_bytes=RAM)
    machine.load(load_image(b"\xf4", memory_bytes=RAM, format="flat", address=BASE))
    assert not machine.devices.pic.master.ready
    assert machine.devices.cycles_to_event(0) is None
