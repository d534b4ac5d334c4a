"""Faults while a fault is delivered: SDM vol. 3A table 5-5, and the shutdown after a double fault."""

from tests.cpu.support import (
    CODE0,
    CODE1,
    DATA0,
    DATA3,
    DF,
    GP,
    HOLE,
    MAIN,
    PF,
    USER,
    Guest,
    stack_of,
)


def test_contributory_then_contributory_is_a_double_fault_with_error_code_0() -> None:
    guest = Guest("nop; mov ax, 0x1238; mov fs, ax")
    guest.gate(GP, present=False)
    report = guest.report()
    assert (report.vector, *report.stack[:3]) == (DF, 0, MAIN + 5, CODE0)


def test_page_fault_then_contributory_is_a_double_fault() -> None:
    guest = Guest(f"nop; mov eax, [{HOLE:#x}]", paging=True)
    guest.map(HOLE, 0)
    guest.gate(PF, present=False)
    report = guest.report()
    assert (report.vector, *report.stack[:2], report.cr2) == (DF, 0, MAIN + 1, HOLE)


def ring0_stack_unmapped(user: str) -> Guest:
    """Ring 3, whose ring 0 stack isn't mapped; #PF and #DF enter ring 1."""
    guest = Guest(user=user, paging=True)
    guest.user_flags = 0x3002
    guest.map(HOLE, 0)
    guest.tss[0] = (HOLE + 0x1000, DATA0)
    guest.gate(PF, selector=CODE1)
    guest.gate(DF, selector=CODE1)
    return guest


def test_contributory_then_page_fault_is_just_the_page_fault() -> None:
    guest = ring0_stack_unmapped("nop; cli; mov eax, 0x1238; mov fs, ax")
    report = guest.report()
    # a supervisor write: the error code has W but neither P nor U
    assert (report.vector, *report.stack[:2]) == (PF, 2, USER + 7)


def test_page_fault_then_page_fault_is_a_double_fault() -> None:
    guest = ring0_stack_unmapped(f"nop; mov eax, [{HOLE + 0x1000:#x}]")
    guest.map(HOLE + 0x1000, 0)
    guest.gate(PF)  # ring 0
    report = guest.report()
    assert (report.vector, *report.stack[:2], report.cs) == (DF, 0, USER + 1, CODE1)


def test_benign_then_page_fault_is_the_page_fault() -> None:
    report = ring0_stack_unmapped("nop; ud2").report()
    assert (report.vector, *report.stack[:2]) == (PF, 2, USER + 1)


def test_int_n_then_page_fault_restarts_at_the_int() -> None:
    guest = ring0_stack_unmapped("nop; int 0x21")
    guest.gate(0x21, dpl=3)
    report = guest.report()
    assert (report.vector, *report.stack[:2]) == (PF, 2, USER + 1)


def test_a_failed_delivery_leaves_the_interrupted_state_alone() -> None:
    guest = ring0_stack_unmapped("mov eax, 0x11111111; mov ebx, 0x22222222; ud2")
    report = guest.report()
    assert report.registers[0] == 0x11111111
    assert report.registers[3] == 0x22222222
    assert report.stack[4:6] == (stack_of(3), DATA3)


# -- triple faults


def triple(guest: Guest) -> str:
    outcome = guest.run().outcome
    assert (outcome.kind, outcome.status) == ("error", 121), outcome
    return outcome.message


def test_a_triple_fault_names_every_fault_with_error_code_and_place() -> None:
    guest = Guest("nop; mov ax, 0x1238; mov fs, ax")
    guest.gate(GP, present=False)
    guest.gate(DF, present=False)
    message = triple(guest)
    assert [line.split() for line in message.splitlines()[1:]] == [
        ["13", "#GP", "error", "code", "0x1238", "at", f"0008:{MAIN + 5:08x}"],
        ["11", "#NP", "error", "code", hex(GP * 8 + 3), "at", f"0008:{MAIN + 5:08x}"],
        ["8", "#DF", "error", "code", "0x0", "at", f"0008:{MAIN + 5:08x}"],
        ["11", "#NP", "error", "code", hex(DF * 8 + 3), "at", f"0008:{MAIN + 5:08x}"],
    ]


def test_a_triple_fault_by_page_faults_tells_cr2_of_each() -> None:
    guest = Guest(f"mov esp, {HOLE + 0x20:#x}; mov eax, [{HOLE + 0x1234:#x}]", paging=True)
    guest.map(HOLE, 0)
    guest.map(HOLE + 0x1000, 0)
    lines = triple(guest).splitlines()[1:]
    assert [line.split()[1] for line in lines] == ["#PF", "#PF", "#DF", "#PF"]
    assert [line.split("CR2 ")[1] for line in lines if "CR2" in line] == [
        f"{HOLE + 0x1234:08x}", f"{HOLE + 0x1C:08x}", f"{HOLE + 0x1C:08x}"
    ]  # fmt: skip


def test_int_n_with_an_empty_idt_is_a_triple_fault_at_the_int() -> None:
    guest = Guest("nop; nop; int 0x21")
    guest.idt_limit = 0
    lines = triple(guest).splitlines()[1:]
    assert lines[0].split()[0] == "33"
    assert f"0008:{MAIN + 2:08x}" in lines[1]


def test_int_8_through_a_gate_below_its_dpl_is_a_general_protection_fault_and_no_double_fault() -> None:
    report = Guest(user="nop; int 8").report()
    assert (report.vector, *report.stack[:2]) == (GP, DF * 8 + 2, USER + 1)
