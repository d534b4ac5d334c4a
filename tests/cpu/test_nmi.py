"""The non-maskable interrupt (SDM vol. 3A, "Nonmaskable interrupt (NMI)"; vol. 3A 8, "Local APIC")."""

import struct

import pytest

from tests.cpu.support import CODE0, DATA0, IF, MAIN, RAN_ON, TASK, Guest, assemble, segment

ICR = 0xFEE00300
SELF_NMI = f"mov dword ptr [{ICR:#x}], 0x4400; "
COUNT = 0x300000
NEXT = "jmp next; next: "  # interrupts are taken between blocks
NMI = 2


def size(source: str) -> int:
    return len(assemble(source, MAIN))


def test_it_comes_with_interrupts_off_and_leaves_its_handler_with_iret() -> None:
    guest = Guest(SELF_NMI + NEXT + f"mov eax, [{COUNT:#x}]; ud2")
    guest.handler(NMI, f"inc dword ptr [{COUNT:#x}]; iretd")
    report = guest.report(qemu=False)
    assert report.vector == 6
    assert report.registers[0] == 1


def test_its_gate_turns_interrupts_off_and_it_has_no_error_code() -> None:
    before = "push 0x202; popfd; " + SELF_NMI
    guest = Guest(before + NEXT)
    report = guest.report(qemu=False)
    assert report.vector == NMI
    assert report.stack[:3] == (
        MAIN + size("push 0x202; popfd; " + SELF_NMI + "jmp near; near:"),
        CODE0,
        0x202,
    )
    assert report.eflags & IF == 0


@pytest.mark.parametrize("many", [1, 3])
def test_further_ones_wait_for_iret_and_are_one(many: int) -> None:
    """The handler asks for `many` more on its first run: the second run begins after its IRET."""
    guest = Guest(SELF_NMI + NEXT + f"mov eax, [{COUNT:#x}]; mov ebx, [{COUNT + 4:#x}]; ud2")
    guest.handler(
        NMI,
        f"""inc dword ptr [{COUNT:#x}]; cmp dword ptr [{COUNT:#x}], 1; jne out
            {SELF_NMI * many} jmp on; on: nop; jmp further; further:
            mov eax, [{COUNT:#x}]; mov [{COUNT + 4:#x}], eax
            out: iretd""",
    )
    assert guest.report(qemu=False).registers[:4:3] == (2, 1)


def test_an_exception_and_its_iret_in_the_handler_open_it() -> None:
    """SDM: the IRET of any handler ends the blocking, whichever it is."""
    guest = Guest(SELF_NMI + NEXT + f"mov eax, [{COUNT:#x}]; mov ebx, [{COUNT + 4:#x}]; ud2")
    guest.handler(3, "iretd")
    guest.handler(
        NMI,
        f"""inc dword ptr [{COUNT:#x}]; cmp dword ptr [{COUNT:#x}], 1; jne out
            {SELF_NMI} int3; mov eax, [{COUNT:#x}]; mov [{COUNT + 4:#x}], eax
            out: iretd""",
    )
    assert guest.report(qemu=False).registers[:4:3] == (2, 2)


def test_it_waits_for_the_instruction_behind_a_load_of_ss() -> None:
    before = f"mov edx, {DATA0}; mov ecx, 0x4400; mov [{ICR:#x}], ecx; mov ss, edx; "
    report = Guest(before + "inc eax; inc ebx; inc ebx").report(qemu=False)
    assert report.vector == NMI
    assert report.stack[0] == MAIN + size(before + "inc eax")


def test_hlt_with_interrupts_off_ends_by_the_nmi_of_a_timer() -> None:
    """IRQ 0, the 8254, is pin 2 of the I/O APIC; its entry says NMI."""
    set_pin = "mov dword ptr [0xfec00000], 0x14; mov dword ptr [0xfec00010], 0x400; "
    timer = "mov al, 0x30; out 0x43, al; mov al, 100; out 0x40, al; mov al, 0; out 0x40, al; "
    guest = Guest(set_pin + timer + f"hlt; mov eax, [{COUNT:#x}]; ud2")
    guest.handler(NMI, f"inc dword ptr [{COUNT:#x}]; iretd")
    report = guest.report(qemu=False)
    assert (report.vector, report.registers[0]) == (6, 1)


def test_hlt_with_interrupts_off_and_no_nmi_to_come_is_the_end() -> None:
    outcome = Guest("hlt").run().outcome
    assert outcome.kind == "error"
    assert "interrupts off" in outcome.message


def test_it_can_be_a_task() -> None:
    second = 0x170000
    guest = Guest(SELF_NMI + NEXT + SELF_NMI + "jmp once_more; once_more:")
    guest.gdt[0x98] = segment(second, 0x67, 0x89, 0)
    guest.idt[NMI] = 0x98 << 16 | (0x8000 | TASK << 8) << 32
    guest.place(0x148000, f"again: inc dword ptr [{COUNT:#x}]; iretd; jmp again")
    task = bytearray(0x68)
    struct.pack_into("<II", task, 0x20, 0x148000, 2)
    struct.pack_into("<I", task, 0x38, 0x178000)
    struct.pack_into("<6I", task, 0x48, DATA0, CODE0, DATA0, DATA0, DATA0, DATA0)
    guest.pieces[second] = bytes(task)
    ran = guest.run()
    assert ran.outcome.status == RAN_ON
    assert ran.machine.ram.read(COUNT, 1) == b"\2"
