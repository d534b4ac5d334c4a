"""SYSENTER and SYSEXIT (SDM vol. 2B): the state they leave, exactly, and when they are refused."""

import pytest

from tests.cpu.support import (
    CODE0,
    CODE3,
    CONFORMING,
    DATA0,
    DATA3,
    GP,
    IF,
    MAIN,
    P3,
    P4,
    REPORT,
    RF,
    USER,
    Guest,
    assemble,
    flat,
    stack_of,
)

TARGET, BACK, STACK = 0x148000, 0x149000, 0x16C000


def msrs(cs: int = CODE0, esp: int = STACK, eip: int = TARGET) -> str:
    return "".join(
        f"mov ecx, {index:#x}; mov eax, {value:#x}; xor edx, edx; wrmsr; "
        for index, value in ((0x174, cs), (0x175, esp), (0x176, eip))
    )


# the default handler of a vector, entered by hand, reports without a frame
REPORT_HERE = f"mov ss:[{REPORT + 16:#x}], eax; mov dword ptr ss:[{REPORT:#x}], 0x99; jmp 0x120000"


@pytest.mark.parametrize("name", [P4, P3])
def test_sysenter_loads_flat_ring_0_segments_and_the_msrs_and_clears_if(name: str) -> None:
    registers = "mov eax, 1; mov ecx, 2; mov edx, 3; mov ebx, 4; mov ebp, 5; mov esi, 6; mov edi, 7; stc"
    guest = Guest(msrs(), user=f"{registers}; sysenter")
    guest.user_segments = False
    guest.user_flags = 0x202
    guest.place(TARGET, REPORT_HERE)
    report = guest.report(name=name)
    assert (report.cs, report.ss) == (CODE0, DATA0)
    assert report.registers == (1, 2, 3, 4, STACK, 5, 6, 7)
    assert report.eflags & IF == 0
    assert report.eflags & 1 == 1  # the carry flag goes through
    assert report.data == (0, 0, 0, 0)
    machine = guest.machine(name=name)
    assert machine.run(max_cycles=1_000_000).kind == "exit"
    r = machine.processor.registers
    for index, flags in ((1, 0x00CF9B00), (2, 0x00CF9300)):
        assert r.base(index) == 0
        assert r.descriptor_flags(index) & 0xF0FF00 & ~0x100 == flags & ~0x100 & 0xF0FF00
    assert machine.state.sysenters == 1


def test_the_low_two_bits_of_sysenter_cs_are_ignored() -> None:
    guest = Guest(msrs(cs=CODE0 | 3), user="sysenter")
    guest.place(TARGET, REPORT_HERE)
    report = guest.report()
    assert (report.cs, report.ss) == (CODE0, DATA0)


def test_sysenter_pushes_nothing() -> None:
    guest = Guest(msrs(), user="sysenter")
    guest.place(TARGET, REPORT_HERE)
    guest.pieces[STACK - 16] = b"\x5a" * 16
    ran = guest.run()
    assert ran.machine.ram.read(STACK - 16, 16)[:12] == b"\x5a" * 12  # the report itself pushes EFLAGS


def test_sysenter_works_in_ring_0_too() -> None:
    guest = Guest(msrs() + "sysenter")
    guest.place(TARGET, REPORT_HERE)
    report = guest.report()
    assert (report.cs, report.ss, report.esp) == (CODE0, DATA0, STACK)


@pytest.mark.parametrize("cs", [0, 3])
def test_sysenter_with_a_null_code_segment_is_a_general_protection_fault_at_it(cs: int) -> None:
    guest = Guest(msrs(cs=cs), user="nop; sysenter")
    report = guest.report(qemu=cs == 0)  # QEMU doesn't mask the RPL
    assert (report.vector, *report.stack[:4]) == (GP, 0, USER + 1, CODE3, RF | 2)


def test_sysenter_without_any_msr_written_is_a_general_protection_fault() -> None:
    report = Guest(user="nop; sysenter").report()
    assert (report.vector, *report.stack[:2]) == (GP, 0, USER + 1)


def test_taking_the_code_segment_away_later_is_noticed() -> None:
    guest = Guest(msrs(), user="sysenter")
    nothing = "mov ecx, 0x174; xor eax, eax; xor edx, edx; wrmsr; "
    back = f"mov edx, {USER:#x}; mov ecx, {stack_of(3):#x}"
    # IRET, since SYSEXIT too needs the register
    leave = f"push {DATA3}; push ecx; push 2; push {CODE3}; push edx; iretd"
    guest.place(TARGET, f"{nothing} {back}; {leave}")
    report = guest.report()
    assert (report.vector, *report.stack[:3]) == (GP, 0, USER, CODE3)


def test_giving_the_code_segment_back_is_noticed() -> None:
    guest = Guest(user="sysenter")
    guest.handler(GP, msrs() + "add esp, 4; iretd")
    guest.place(TARGET, REPORT_HERE)
    assert guest.report().vector == 0x99


def test_sysenter_in_real_mode_is_refused() -> None:
    machine = flat("mov eax, cr0; and al, 0xfe; mov cr0, eax; sysenter")
    outcome = machine.run(max_cycles=1_000_000)
    assert outcome.kind == "error"
    assert "13 #GP" in outcome.message


def test_sysexit_loads_flat_ring_3_segments_and_keeps_if() -> None:
    go = f"mov edx, {BACK:#x}; mov ecx, {STACK:#x}; mov eax, 5; stc; sysexit"
    guest = Guest(msrs() + go)
    guest.place(BACK, "mov ebx, cs; mov esi, ss; int 0x21")
    guest.gate(0x21, dpl=3)
    guest.gdt[0x18] = 0  # the descriptors themselves are not read
    report = guest.report(qemu=True)
    assert report.registers[3] == CODE0 + 16 | 3
    assert report.registers[6] == CODE0 + 24 | 3
    assert report.registers[0] == 5
    assert report.stack[:2] == (BACK + len(assemble("mov ebx, cs; mov esi, ss; int 0x21", 0)), 0x1B)
    assert report.stack[2] & ~0x44 == 3  # carry, IF off
    assert report.stack[3:5] == (STACK, 0x23)


def test_sysexit_returns_where_it_was_told_with_interrupts_on_if_they_were() -> None:
    guest = Guest(msrs() + f"mov edx, {BACK:#x}; mov ecx, {STACK:#x}; sti; sysexit")
    guest.place(BACK, "int 0x21")
    guest.gate(0x21, dpl=3)
    report = guest.report()
    assert report.stack[:2] == (BACK + 2, CODE3)
    assert report.stack[2] & ~0x44 == 0x202


@pytest.mark.parametrize("setup", [msrs(), ""])
def test_sysexit_in_ring_3_is_refused(setup: str) -> None:
    report = Guest(setup, user="nop; sysexit").report()
    assert (report.vector, *report.stack[:3]) == (GP, 0, USER + 1, CODE3)


def test_sysexit_with_a_null_code_segment_is_refused() -> None:
    report = Guest("nop; sysexit").report()
    assert (report.vector, *report.stack[:3]) == (GP, 0, MAIN + 1, CODE0)


def test_a_round_trip_comes_back_with_everything_else_unchanged() -> None:
    user = "mov ebx, 0x1111; mov ebp, esp; mov edi, 0x2222; call 0x14a000; int 0x21"
    guest = Guest(msrs(), user=user)
    guest.place(0x14A000, "mov ecx, esp; mov edx, 0x14b000; sysenter")
    guest.place(TARGET, "mov eax, 0x3333; sysexit")
    guest.place(0x14B000, "ret")
    guest.gate(0x21, dpl=3)
    report = guest.report()
    assert report.registers[0] == 0x3333
    assert report.registers[3] == 0x1111
    assert report.registers[7] == 0x2222
    assert report.stack[:5] == (USER + len(assemble(user, USER)), CODE3, 2, stack_of(3), DATA3)


def test_conforming_callers_enter_like_any_other() -> None:
    guest = Guest(msrs(), user=f".byte 0xea; .long 0x14a000; .short {CONFORMING}")
    guest.place(0x14A000, "sysenter")
    guest.place(TARGET, REPORT_HERE)
    assert guest.report().cs == CODE0


def test_sysenter_from_code_with_based_segments_keeps_their_bases() -> None:
    guest = Guest(msrs() + "mov ax, 0x90; mov ds, ax; sysenter")
    guest.place(TARGET, f"mov ebx, [{REPORT - 0x1000 + 0x400:#x}]; " + REPORT_HERE)
    guest.pieces[REPORT + 0x400] = b"DS's"  # DS still has base 0x1000
    report = guest.report()
    assert report.data[0] == 0x90
    assert report.registers[3] == int.from_bytes(b"DS's", "little")
