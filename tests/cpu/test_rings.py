"""Ways between rings that Unicorn executes natively: IRET, call gates, far returns, conforming code."""

import pytest

from tests.cpu.support import (
    CODE0,
    CODE3,
    CONFORMING,
    DATA0,
    DATA3,
    GP,
    MAIN,
    NP,
    REPORT,
    USER,
    Guest,
    assemble,
    far_call,
    far_jump,
    gate,
    stack_of,
)


def test_iret_to_an_outer_ring_loads_its_stack_and_flags_and_drops_inner_data_segments() -> None:
    guest = Guest(f"mov ax, {DATA3}; mov fs, ax", user="mov eax, 0x1111; int 0x21")
    guest.user_segments = False
    guest.user_flags = 0x3AD7
    guest.gate(0x21, dpl=3)
    report = guest.report()
    assert report.stack[:5] == (USER + 7, CODE3, 0x3AD7, stack_of(3), DATA3)
    assert report.data == (0, 0, DATA3, 0)  # DS, ES, GS were of ring 0


def test_iret_at_ring_3_changes_neither_iopl_nor_if() -> None:
    guest = Guest(user=f"push 0x3202; push {CODE3}; push {USER + 20:#x}; iretd")
    guest.pieces[USER + 20] = assemble("int 0x21", USER + 20)
    guest.gate(0x21, dpl=3)
    assert guest.report().stack[2] == 0x2


def test_iret_to_an_inner_ring_is_refused() -> None:
    guest = Guest(user=f"nop; push 2; push {CODE0}; push {MAIN:#x}; iretd")
    report = guest.report()
    at = USER + len(assemble(f"nop; push 2; push {CODE0}; push {MAIN:#x}", 0))
    assert (report.vector, *report.stack[:2]) == (GP, CODE0, at)


def call_gate(
    guest: Guest, source: str, *, words: int = 0, dpl: int = 3, present: bool = True, selector: int = CODE0
) -> None:
    guest.gdt[GATE_SELECTOR] = gate(selector, GATE_CODE, 12, dpl, present, words)
    guest.place(GATE_CODE, source)


GATE_SELECTOR = 0x68
GATE_CODE = 0x150000


def test_a_call_gate_copies_parameters_to_the_inner_stack_and_lret_takes_them_off_both() -> None:
    back = f"{far_call(GATE_SELECTOR)}; mov edx, esp; int 0x22"
    guest = Guest(user=f"push 0x1111; push 0x2222; {back}")
    inner = "".join(
        f"mov eax, [esp+{4 * i}]; mov ss:[{REPORT + 0x80 + 4 * (12 + i):#x}], eax; " for i in range(6)
    )
    call_gate(guest, f"mov ecx, esp; mov ebx, cs; {inner} .byte 0xca, 8, 0", words=2)
    guest.gate(0x22, dpl=3)
    ran = guest.run()
    report = ran.report
    after = USER + len(assemble(f"push 0x1111; push 0x2222; {far_call(GATE_SELECTOR)}", 0))
    assert ran.words[44:50] == (after, CODE3, 0x2222, 0x1111, stack_of(3) - 8, DATA3)
    assert report.registers[1] == stack_of(0) - 24
    assert report.registers[3] == CODE0
    assert report.registers[2] == stack_of(3)  # LRET 8 released the parameters here too
    assert report.stack[1] == CODE3


@pytest.mark.parametrize(
    ("options", "vector", "error"),
    [
        ({"dpl": 0}, GP, GATE_SELECTOR),
        ({"present": False}, NP, GATE_SELECTOR),
        ({"selector": DATA0}, GP, DATA0),
    ],
)
def test_a_bad_call_gate_faults_at_the_call(options: dict[str, int], vector: int, error: int) -> None:
    guest = Guest(user=f"nop; {far_call(GATE_SELECTOR)}")
    call_gate(guest, "ud2", **options)  # type: ignore[arg-type]
    report = guest.report()
    assert (report.vector, *report.stack[:3]) == (vector, error, USER + 1, CODE3)


def test_a_far_call_to_conforming_code_keeps_the_ring() -> None:
    guest = Guest(user=f"{far_call(CONFORMING, USER + 0x40)}; int 0x22")
    guest.place(USER + 0x40, "mov eax, cs; mov ebx, esp; retf")
    guest.gate(0x22, dpl=3)
    report = guest.report()
    assert report.registers[0] == CONFORMING | 3
    assert report.registers[3] == stack_of(3) - 8
    assert report.stack[:2] == (USER + 9, CODE3)


def test_a_far_jump_to_an_inner_ring_is_refused() -> None:
    report = Guest(user=f"nop; {far_jump(CODE0, MAIN)}").report()
    assert (report.vector, *report.stack[:3]) == (GP, CODE0, USER + 1, CODE3)
