"""#AC: misaligned data accesses at ring 3 with CR0.AM and EFLAGS.AC set (SDM vol. 3A 5.15, interrupt 17).

QEMU has no #AC, so nothing here is compared with it.
"""

import pytest

from tests.cpu.support import HOLE, PF, USER, Guest, assemble

AC = 17
AC_FLAG = 0x40000
BUFFER = 0x150000
AM = "mov eax, cr0; or eax, 0x40000; mov cr0, eax;"


def user(source: str, *, am: bool = True, flags: int = AC_FLAG | 2, paging: bool = False) -> Guest:
    guest = Guest(AM if am else "", user=f"mov esi, {BUFFER:#x}; nop; {source}; nop; int 0x21", paging=paging)
    guest.user_flags = flags
    guest.gate(0x21, dpl=3)
    guest.pieces[BUFFER] = bytes(1024)
    return guest


def place(source: str) -> int:
    before = "; ".join([f"mov esi, {BUFFER:#x}; nop", *source.split("; ")[:-1]])
    return USER + len(assemble(before, USER))


@pytest.mark.parametrize(
    ("instruction", "faults"),
    [
        ("mov al, [esi+1]", False),
        ("mov ax, [esi+1]", True),
        ("mov ax, [esi+2]", False),
        ("mov eax, [esi+2]", True),
        ("mov eax, [esi+4]", False),
        ("mov [esi+6], eax", True),
        ("add dword ptr [esi+1], 1", True),
        ("fld dword ptr [esi+2]", True),
        ("fld qword ptr [esi+4]", True),
        ("fld qword ptr [esi+8]", False),
        ("fld xword ptr [esi+4]", True),
        ("fld xword ptr [esi+8]", False),
        ("fnstcw [esi+1]", True),
        ("fnsave [esi+4]", False),
        ("fnsave [esi+2]", True),
        ("cmpxchg8b [esi+4]", True),
        ("push dword ptr [esi+2]", True),
        ("inc esi; .byte 0xad", True),  # lodsd
        ("inc esi; .byte 0xac", False),
        ("dec esp; push eax", True),
        ("dec esp; pushfd", True),
        ("dec esp; call 0x150000", True),
        ("lea eax, [esi+1]", False),
        ("les eax, [esi+1]", True),
    ],
)
def test_a_misaligned_access_is_ac_with_error_code_0(instruction: str, faults: bool) -> None:
    report = user(instruction).report(qemu=False)
    if faults:
        assert (report.vector, *report.stack[:2]) == (AC, 0, place(instruction))
    else:
        assert report.vector == 0x21


@pytest.mark.parametrize(("am", "flags"), [(False, AC_FLAG | 2), (True, 2)])
def test_without_am_or_ac_nothing_is_checked(am: bool, flags: int) -> None:
    ran = user("mov eax, [esi+1]", am=am, flags=flags).run()
    assert ran.report.vector == 0x21
    assert ran.machine.state.checks == 0


def test_ring_0_is_never_checked() -> None:
    guest = Guest(f"{AM} pushfd; or dword ptr [esp], {AC_FLAG}; popfd; mov eax, [{BUFFER + 1:#x}]")
    assert guest.run().outcome.status == 99


def test_popf_at_ring_3_turns_checking_on_and_off() -> None:
    on = f"pushfd; or dword ptr [esp], {AC_FLAG}; popfd"
    off = f"pushfd; and dword ptr [esp], {~AC_FLAG & 0xFFFFFFFF}; popfd"
    source = f"mov eax, [esi+1]; {on}; mov eax, [esi+4]; {off}; mov eax, [esi+1]; {on}; mov eax, [esi+3]"
    report = user(source, flags=2).report(qemu=False)
    assert (report.vector, *report.stack[:2]) == (AC, 0, place(source))


def test_the_handler_can_make_the_program_go_on() -> None:
    guest = user("mov ecx, 7; mov [esi+1], ecx; mov edx, [esi+4]")
    guest.handler(AC, f"and dword ptr [esp+12], {~AC_FLAG & 0xFFFFFFFF}; add esp, 4; iretd")
    report = guest.report(qemu=False)
    assert report.vector == 0x21


def test_a_page_fault_comes_before_the_alignment_check() -> None:
    guest = user(f"mov eax, [{HOLE + 1:#x}]", paging=True)
    guest.map(HOLE, 0)
    report = guest.report(qemu=False)
    assert (report.vector, report.cr2) == (PF, HOLE + 1)
