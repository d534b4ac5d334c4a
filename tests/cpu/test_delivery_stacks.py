"""Delivery by inner stacks, 16-bit gates and conforming handlers (SDM vol. 3A, 5.12; vol. 2A, INT n)."""

import pytest

from tests.cpu.support import (
    ABSENT_DATA,
    ABSENT_DATA3,
    CODE0,
    CODE1,
    CODE3,
    CONFORMING,
    DATA0,
    DATA1,
    DATA3,
    DATA16,
    FINISH,
    IF,
    INTERRUPT16,
    MAIN,
    NEAR_CODE,
    NP,
    READ_ONLY,
    REPORT,
    RF,
    SS,
    TRAP16,
    TS,
    TSS,
    TSS16_SELECTOR,
    TSS_SELECTOR,
    UD,
    USER,
    Guest,
    assemble,
    segment,
    stack_of,
)

# -- the stack of an inner ring


def bad_stack(ss: int | None = None, esp: int | None = None) -> Guest:
    """Ring 3 with IOPL 3. Interrupt 0x21 enters ring 0, whose stack is bad; exceptions enter ring 1."""
    guest = Guest(user="nop; int 0x21")
    guest.user_flags = 0x3002
    for vector in range(0x20):
        guest.gate(vector, selector=CODE1)
    guest.gate(0x21, dpl=3)
    top, selector = guest.tss[0]
    guest.tss[0] = (top if esp is None else esp, selector if ss is None else ss)
    return guest


@pytest.mark.parametrize(
    ("ss", "vector", "error"),
    [
        (0, TS, 0),
        (3, TS, 0),
        (0x1238, TS, 0x1238),
        (DATA0 | 3, TS, DATA0),
        (DATA3, TS, DATA3 & ~3),
        (DATA3 & ~3, TS, DATA3 & ~3),
        (DATA1 & ~3, TS, DATA1 & ~3),
        (CODE0, TS, CODE0),
        (READ_ONLY, TS, READ_ONLY),
        (TSS_SELECTOR, TS, TSS_SELECTOR),
        (ABSENT_DATA, SS, ABSENT_DATA),
    ],
)
def test_a_bad_inner_stack_segment_is_an_invalid_tss_or_stack_fault(ss: int, vector: int, error: int) -> None:
    # a stack that isn't present is #SS (SDM vol. 2A, INT n); QEMU 7.2 raises #TS
    report = bad_stack(ss).report(qemu=vector == TS)
    assert (report.vector, *report.stack[:3]) == (vector, error, USER + 1, CODE3)
    assert (report.cs, report.ss, report.esp) == (CODE1, DATA1, stack_of(1) - 24)


def test_a_tss_that_ends_before_the_stack_is_an_invalid_tss_fault() -> None:
    guest = Guest(user="nop; int 0x21")
    guest.user_flags = 0x3002
    guest.gate(0x21, dpl=3)
    guest.gdt[TSS_SELECTOR] = segment(TSS, 8, 0x89, 0)  # SS0 needs bytes 8 and 9
    for vector in range(0x20):
        guest.gate(vector, selector=CODE3)
    report = guest.report()
    assert (report.vector, *report.stack[:3]) == (TS, TSS_SELECTOR, USER + 1, CODE3)


def test_a_16_bit_tss_gives_16_bit_stacks() -> None:
    guest = Guest(user="int 0x21")
    guest.task = TSS16_SELECTOR
    guest.tss[0] = (0x8000, DATA0)
    guest.gate(0x21, dpl=3)
    report = guest.report()
    assert (report.ss, report.esp) == (DATA0, 0x8000 - 20)
    assert report.stack[:5] == (USER + 2, CODE3, 2, stack_of(3), DATA3)


# -- 16-bit gates


@pytest.mark.parametrize("kind", [INTERRUPT16, TRAP16])
def test_a_16_bit_gate_pushes_words(kind: int) -> None:
    guest = Guest("sti; nop; mov esp, 0x16abcd; ud2")
    guest.gate(UD, kind, selector=NEAR_CODE)
    report = guest.report()
    eip = (MAIN + 7) & 0xFFFF
    assert report.halfwords(3)[:2] == (eip, CODE0)
    assert report.halfwords(3)[2] & IF
    assert report.esp == 0x16ABCD - 6
    assert report.cs == NEAR_CODE
    assert bool(report.eflags & IF) == (kind == TRAP16)


def test_a_16_bit_gate_to_an_inner_ring_pushes_the_stack_and_error_as_words() -> None:
    guest = Guest(user=f"mov ax, {ABSENT_DATA3}; mov ds, ax")
    guest.gate(NP, INTERRUPT16, selector=NEAR_CODE)
    report = guest.report()
    expected = (ABSENT_DATA3 & ~3, (USER + 4) & 0xFFFF, CODE3, 2, stack_of(3) & 0xFFFF, DATA3)
    assert report.halfwords(6) == expected
    assert report.esp == stack_of(0) - 12


def test_a_16_bit_stack_segment_wraps_sp_and_keeps_the_high_half_of_esp() -> None:
    before = f"mov ax, {DATA16}; mov ss, ax; mov esp, 0x120004"
    guest = Guest(f"{before}; ud2")
    tell = "".join(
        f"mov eax, [{at:#x}]; mov [{REPORT + to:#x}], eax; " for at, to in ((0xFFFC, 4), (0, 8), (0xFFF8, 12))
    )
    back = f"mov bl, 1; mov ax, {DATA0}; mov ss, ax; mov esp, {stack_of(4):#x}; jmp {FINISH:#x}"
    guest.handler(UD, f"mov [{REPORT:#x}], esp; {tell}{back}")
    report = guest.report(qemu=False)  # RF again
    assert report.words[:4] == (0x12FFF8, CODE0, RF | 2, MAIN + len(assemble(before, MAIN)))


# -- conforming code, other rings


def test_a_conforming_handler_runs_at_the_ring_of_the_program() -> None:
    guest = Guest(user="nop; ud2")
    guest.user_flags = 0x3202
    guest.gate(UD, selector=CONFORMING)
    report = guest.report()
    assert (report.cs, report.ss, report.esp) == (CONFORMING | 3, DATA3, stack_of(3) - 12)
    assert report.stack[:3] == (USER + 1, CODE3, 0x3202 | RF)
    assert report.eflags & IF == 0


def test_ring_3_handles_its_own_exception_on_its_own_stack() -> None:
    guest = Guest(user="nop; ud2")
    guest.user_flags = 0x3002
    guest.gate(UD, selector=CODE3 & ~3)
    report = guest.report()
    assert (report.cs, report.ss, report.esp) == (CODE3, DATA3, stack_of(3) - 12)


def test_an_exception_in_ring_3_may_enter_ring_1() -> None:
    guest = Guest(user="nop; ud2")
    guest.user_flags = 0x3002
    guest.gate(UD, selector=CODE1)
    report = guest.report()
    assert (report.cs, report.ss, report.esp) == (CODE1, DATA1, stack_of(1) - 20)
    assert report.stack[:5] == (USER + 1, CODE3, 0x3002 | RF, stack_of(3), DATA3)
