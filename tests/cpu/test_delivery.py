"""Interrupts and exceptions through the IDT, seen by the guest's own handlers (SDM vol. 3A, chapter 5).

Section numbers are those of the manuals of the Pentium 4's time, as everywhere in Ringtoll. Where QEMU
is asked too (RINGTOLL_QEMU=1), two differences are known: QEMU 7.2 sets neither RF in the frame of a
fault (SDM 3A 15.3.1.1) nor the EXT bit of error codes (5.13).
"""

import dataclasses
from collections.abc import Callable

import pytest

from tests.cpu.support import (
    ABSENT_CODE,
    ABSENT_DATA3,
    BP,
    BR,
    CODE0,
    CODE1,
    CODE3,
    DATA0,
    DATA1,
    DATA3,
    DB,
    DE,
    GP,
    HOLE,
    IF,
    INTERRUPT32,
    MAIN,
    MF,
    NM,
    NP,
    OF,
    PF,
    RAN_ON,
    REPORT,
    RF,
    SYSTEM_FLAGS,
    TABLES,
    TF,
    TRAP32,
    TSS_SELECTOR,
    UD,
    USER,
    Guest,
    assemble,
    stack_of,
)


@dataclasses.dataclass(frozen=True)
class Exception_:
    """A way to raise `vector`: `before` runs, then one instruction."""

    vector: int
    instruction: str
    before: str = ""
    setup: str = ""  # in ring 0, before
    error: int | None = None
    trap: bool = False
    pushed: int = 0  # system flags in the frame besides IF


EXCEPTIONS = {
    "divide by zero": Exception_(DE, "div ecx", "xor ecx, ecx"),
    "divide overflow": Exception_(DE, "idiv ecx", "mov eax, 0x80000000; cdq; mov ecx, -1"),
    "aam 0": Exception_(DE, ".byte 0xd4, 0"),
    "single step": Exception_(DB, "nop", "pushfd; or dword ptr [esp], 0x100; popfd", trap=True, pushed=TF),
    "breakpoint": Exception_(BP, "int3", trap=True),
    "overflow": Exception_(OF, "into", "mov al, 0x7f; inc al", trap=True),
    "bound": Exception_(BR, f"bound eax, [{REPORT + 0x400:#x}]", "mov eax, 7"),
    "undefined opcode": Exception_(UD, "ud2"),
    "syscall": Exception_(UD, "syscall"),
    "int1": Exception_(DB, ".byte 0xf1", trap=True),
    "undefined lock": Exception_(UD, ".byte 0xf0, 0x90"),
    "no coprocessor": Exception_(NM, "fld1", setup="mov eax, cr0; or eax, 8; mov cr0, eax"),
    "no coprocessor for sse": Exception_(
        NM,
        "addps xmm0, xmm1",
        setup="mov eax, cr4; or eax, 0x600; mov cr4, eax; mov eax, cr0; or eax, 8; mov cr0, eax",
    ),
    "absent data segment": Exception_(NP, "mov fs, ax", f"mov ax, {ABSENT_DATA3}", error=ABSENT_DATA3 & ~3),
    "selector beyond the GDT": Exception_(GP, "mov fs, ax", "mov ax, 0x1238", error=0x1238),
    "null stack segment": Exception_(GP, "mov ss, ax", "xor ax, ax", error=0),
    "page not present": Exception_(PF, f"mov eax, [{HOLE:#x}]", error=0),
    "write to an absent page": Exception_(PF, f"mov [{HOLE:#x}], eax", error=2),
    "x87 error": Exception_(
        MF,
        "fwait",
        f"fldcw [{REPORT + 0x410:#x}]; fld1; fldz; fdivp st(1), st",
        setup="mov eax, cr0; or eax, 0x20; mov cr0, eax; fninit",
    ),
}
CONSTANTS = bytes(8) + bytes(8) + b"\x3b\x03"


def raising(how: Exception_, *, user: bool, kind: int) -> tuple[Guest, int]:
    """A guest that raises `how` in ring 0 or 3, IF set, and the EIP that its frame must show."""
    sti = "" if user else "sti; nop; "
    source = sti + how.before + "; " + how.instruction
    guest = Guest(how.setup if user else how.setup + "; " + source, user=source if user else "", paging=True)
    guest.user_flags = 0x202
    guest.pieces[REPORT + 0x400] = CONSTANTS
    guest.map(HOLE, 0)
    guest.gate(how.vector, kind, dpl=3)
    first = assemble(sti + how.before, USER if user else MAIN)
    start = USER if user else MAIN + len(assemble(how.setup, MAIN))
    length = len(assemble(how.instruction, MAIN)) if how.trap else 0
    return guest, start + len(first) + length


@pytest.mark.parametrize("kind", [INTERRUPT32, TRAP32], ids=["interrupt gate", "trap gate"])
@pytest.mark.parametrize("user", [False, True], ids=["in ring 0", "in ring 3"])
@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_exception_enters_its_handler_with_the_manuals_frame(name: str, user: bool, kind: int) -> None:
    how = EXCEPTIONS[name]
    guest, eip = raising(how, user=user, kind=kind)
    report = guest.report()
    error = how.error
    if error is not None and how.vector == PF and user:
        error |= 4
    frame = list(report.stack)
    assert report.vector == how.vector
    if error is not None:
        assert frame.pop(0) == error
    assert frame[0] == eip
    assert frame[1] == (CODE3 if user else CODE0)
    # 15.3.1.1: RF is pushed set for a fault, unchanged for a trap and for INT n
    assert frame[2] & SYSTEM_FLAGS == IF | how.pushed | (0 if how.trap else RF)
    assert report.eflags & SYSTEM_FLAGS == (IF if kind == TRAP32 else 0)  # TF, NT, RF and VM are cleared
    words = 3 + (error is not None)
    if user:
        assert frame[3:5] == [stack_of(3), DATA3]
        words += 2
    assert report.esp == stack_of(0 if user else 4) - 4 * words
    assert (report.cs, report.ss) == (CODE0, DATA0)
    assert report.cr2 == (HOLE if how.vector == PF else 0)


# -- INT n


@pytest.mark.parametrize("source", ["int 0x21", ".byte 0x66, 0xcd, 0x21", ".byte 0x2e, 0xcd, 0x21"])
def test_int_n_pushes_the_address_after_it_and_no_error_code(source: str) -> None:
    guest = Guest(user="nop; " + source)
    guest.gate(0x21, dpl=3)
    if "0x66" in source:
        guest.gate(0x21, TRAP32, dpl=3)
    report = guest.report()
    length = len(assemble(source, 0))
    assert (report.vector, report.stack[0], report.stack[1]) == (0x21, USER + 1 + length, CODE3)
    assert report.stack[2] & RF == 0


@pytest.mark.parametrize("vector", [8, 10, 11, 12, 13, 14, 17])
def test_int_n_of_a_vector_with_error_code_pushes_none(vector: int) -> None:
    guest = Guest(user=f"int {vector}")
    guest.gate(vector, dpl=3)
    assert guest.report().stack[:2] == (USER + 2, CODE3)


@pytest.mark.parametrize(
    ("source", "vector"),
    [
        ("int 0x21", 0x21),
        ("int3", 3),
        ("mov al, 0x7f; inc al; into", 4),
        (".byte 0x3e, 0xcd, 0x22", 0x22),
        ("int 14", 14),
    ],
)
def test_int_n_below_its_gates_privilege_faults_at_the_int(source: str, vector: int) -> None:
    """SDM vol. 2A, INT n: #GP(vector * 8 + 2) if software and gate DPL < CPL; EXT is 0; EIP at the INT."""
    guest = Guest(user="nop; " + source)
    report = guest.report()
    last = source.split("; ")[-1]
    at = USER + 1 + len(assemble(source, 0)) - len(assemble(last, 0))
    assert (report.vector, *report.stack[:3]) == (GP, vector * 8 + 2, at, CODE3)


def test_ring_1_may_use_a_gate_of_its_own_privilege_but_not_of_ring_0() -> None:
    enter = f"push {DATA1}; push {stack_of(1):#x}; push 0x1002; push {CODE1}; push {USER:#x}; iretd"
    for dpl, expected in ((1, (0x21, USER + 2, CODE1)), (0, (GP, 0x21 * 8 + 2, USER))):
        guest = Guest(enter)
        guest.place(USER, "int 0x21")
        guest.gate(0x21, dpl=dpl)
        report = guest.report()
        assert (report.vector, *report.stack[: len(expected) - 1]) == expected


def test_a_fault_is_restarted_by_iret_and_a_trap_goes_on() -> None:
    guest = Guest(
        f"mov ebx, 5; int 0x21; mov eax, [{HOLE:#x}]; mov [{REPORT:#x}], eax; mov [{REPORT + 4:#x}], ebx",
        paging=True,
    )
    guest.map(HOLE, 0)
    guest.gate(0x21)
    guest.handler(0x21, "inc ebx; iretd")
    entry = TABLES + 0x1000 + 4 * (HOLE >> 12)
    guest.handler(PF, f"mov dword ptr [{entry:#x}], {REPORT + 0x1003:#x}; inc ebx; add esp, 4; iretd")
    guest.pieces[REPORT + 0x1000] = b"\x44\x33\x22\x11"
    ran = guest.run()
    assert ran.outcome.status == RAN_ON
    assert ran.words[:2] == (0x11223344, 7)


# -- bad gates: (how the guest breaks the gate of vector 0x21, vector raised, error code without EXT)

BAD_GATES: dict[str, tuple[Callable[[Guest], None], int, int]] = {
    "not present": (lambda g: g.gate(0x21, present=False, dpl=3), NP, 0x21 * 8 + 2),
    "beyond the IDT": (lambda g: setattr(g, "idt_limit", 0x21 * 8 + 6), GP, 0x21 * 8 + 2),
    "empty": (lambda g: g.idt.update({0x21: 0}), GP, 0x21 * 8 + 2),
    "a call gate": (lambda g: g.gate(0x21, 12, dpl=3), GP, 0x21 * 8 + 2),
    "a TSS descriptor": (lambda g: g.gate(0x21, 9, dpl=3), GP, 0x21 * 8 + 2),
    "to a null selector": (lambda g: g.gate(0x21, selector=0, dpl=3), GP, 0),
    "to a null selector with RPL": (lambda g: g.gate(0x21, selector=3, dpl=3), GP, 0),
    "to a selector beyond the GDT": (lambda g: g.gate(0x21, selector=0x1238, dpl=3), GP, 0x1238),
    "to a selector beyond the GDT with RPL": (lambda g: g.gate(0x21, selector=0x123B, dpl=3), GP, 0x1238),
    "to data": (lambda g: g.gate(0x21, selector=DATA0, dpl=3), GP, DATA0),
    "to a system segment": (lambda g: g.gate(0x21, selector=TSS_SELECTOR, dpl=3), GP, TSS_SELECTOR),
    "to absent code": (lambda g: g.gate(0x21, selector=ABSENT_CODE, dpl=3), NP, ABSENT_CODE),
    "to an absent LDT": (lambda g: g.gate(0x21, selector=0x0C, dpl=3), GP, 0x0C),
}
OUTWARD = {"to an outer ring": (lambda g: g.gate(0x21, selector=CODE3), GP, CODE3 & ~3)}


@pytest.mark.parametrize("name", [*BAD_GATES, *OUTWARD])
def test_int_n_through_a_bad_gate_faults_at_the_int(name: str) -> None:
    damage, vector, error = (BAD_GATES | OUTWARD)[name]
    guest = Guest("xor ax, ax; lldt ax; int 0x21")
    damage(guest)
    report = guest.report()
    at = MAIN + len(assemble("xor ax, ax; lldt ax", MAIN))
    assert (report.vector, *report.stack[:3]) == (vector, error, at, CODE0)
    assert report.stack[3] & RF


@pytest.mark.parametrize("name", BAD_GATES)
def test_int_n_through_a_bad_gate_faults_in_ring_3_too(name: str) -> None:
    damage, vector, error = BAD_GATES[name]
    guest = Guest("xor ax, ax; lldt ax", user="nop; int 0x21")
    damage(guest)
    report = guest.report()
    assert (report.vector, *report.stack[:3]) == (vector, error, USER + 1, CODE3)


def test_a_bad_gate_for_an_exception_sets_the_ext_bit() -> None:
    """5.13: EXT is set when the event is external to the program: an interrupt or an earlier exception."""
    guest = Guest("ud2")
    guest.gate(UD, present=False)
    assert guest.report().stack[:2] == (UD * 8 + 2 + 1, MAIN)
    guest.gate(UD, selector=ABSENT_CODE)
    assert guest.report().stack[:2] == (ABSENT_CODE + 1, MAIN)


def test_rf_that_iret_set_is_over_when_int_n_pushes_its_frame() -> None:
    """SDM vol. 3B 17.3.1.1: RF is cleared when an INT n begins. QEMU 7.2 pushes it."""
    guest = Guest(user="int 0x21")
    guest.user_flags = RF | 2
    guest.gate(0x21, dpl=3)
    assert guest.report(qemu=False).stack[2] == 2


def test_a_fault_in_the_instruction_that_iret_went_to_pushes_rf_set() -> None:
    guest = Guest(user="ud2")
    guest.user_flags = RF | 2
    assert guest.report().stack[2] == RF | 2


@pytest.mark.parametrize("before", ["", "nop; "])
def test_rf_that_iret_set_is_never_seen_by_pushfd(before: str) -> None:
    """SDM vol. 2B, PUSHF: its image has RF clear; and RF lasts for one instruction only."""
    guest = Guest(user=f"{before}pushfd; pop eax; int 0x21")
    guest.user_flags = RF | 2
    guest.gate(0x21, dpl=3)
    assert guest.report().registers[0] == 2
