"""Code that runs to the end of a page whose successor can't be fetched (SDM vol. 3A 6.6: precise faults)."""

import pytest

from tests.cpu.support import DB, GP, HOLE, PF, TABLES, UD, Guest, assemble

PAGE = HOLE - 0x1000  # the last page that is mapped
DE = 0


def guest(code: str, tail: bytes, *, user: bool = False) -> tuple[Guest, int]:
    """Runs `code` and then `tail` up to the end of `PAGE`; the address where `tail` begins too."""
    body = assemble(code, PAGE + 0x800)
    start = HOLE - len(body) - len(tail)
    g = Guest(f"jmp {start:#x}", paging=True) if not user else Guest(user=f"jmp {start:#x}", paging=True)
    g.map(HOLE, 0)
    g.pieces[start] = assemble(code, start) + tail
    return g, HOLE - len(tail)


COUNT = "mov ecx, 7; inc ecx; add ecx, ecx"


@pytest.mark.parametrize("user", [False, True])
@pytest.mark.parametrize(
    "tail", [b"", b"\xb8", b"\xb8\x01\x02\x03", b"\x81\x05", b"\x66", b"\x0f", b"\x90" * 3 + b"\xc7\x05"]
)
def test_the_frame_has_the_eip_of_the_instruction_that_faults(tail: bytes, user: bool) -> None:
    g, at = guest(COUNT, tail, user=user)
    report = g.report()
    nops = len(tail) - len(tail.lstrip(b"\x90"))
    assert (report.vector, report.cr2) == (PF, HOLE)
    assert report.stack[:2] == (4 if user else 0, at + nops)
    assert report.registers[1] == 16  # what comes before has run


def test_a_handler_that_maps_the_page_goes_on_there_and_nothing_runs_twice() -> None:
    g, _ = guest("inc dword ptr [0x150000]; inc ecx", b"\xb8")
    g.pieces[0x150000] = bytes(4)
    g.pieces[HOLE] = b"\x44\x33\x22\x11" + assemble("mov ebx, [0x150000]; ud2", HOLE + 4)
    entry = TABLES + 0x1000 + 4 * (HOLE >> 12)
    g.handler(PF, f"mov dword ptr [{entry:#x}], {HOLE | 7:#x}; invlpg [{HOLE:#x}]; add esp, 4; iretd")
    ran = g.run()
    report = ran.report
    assert (report.vector, report.registers[0], report.registers[1], report.registers[3]) == (
        UD,
        0x11223344,
        1,
        1,
    )
    assert ran.machine.processor.counts["exceptions"] == 2
    assert ran.machine.processor.counts["page_faults"] == 1


def test_an_instruction_before_the_end_may_fault_itself() -> None:
    g, _ = guest("xor edx, edx; xor ebx, ebx; div ebx; inc ecx", b"\xb8")
    assert g.report().vector == DE
    g, _ = guest("mov ax, 0x1230; mov ds, ax; inc ecx", b"\xb8")
    assert g.report().vector == GP
    g, _ = guest(f"mov eax, [{HOLE + 8:#x}]; inc ecx", b"\xb8")
    report = g.report()
    assert (report.vector, report.cr2, report.registers[1]) == (PF, HOLE + 8, 0)


def test_a_handler_that_goes_back_meets_the_end_again() -> None:
    g, at = guest("xor edx, edx; mov eax, 6; xor ebx, ebx; nop; div ebx; inc ecx", b"\xb8")
    g.handler(DE, "mov ebx, 3; iretd")
    report = g.report()
    assert (report.vector, report.stack[1], report.registers[0], report.registers[1]) == (PF, at, 2, 1)


def test_single_steps_come_one_by_one_up_to_the_end() -> None:
    g, at = guest(COUNT, b"\xb8")
    g.main_source = f"push 0x102; popfd; {g.main_source}"
    g.handler(DB, "inc esi; iretd")
    report = g.report()
    assert (report.vector, report.stack[1], report.registers[1]) == (PF, at, 16)
    assert report.registers[6] == 4


def test_a_page_taken_away_from_a_block_that_has_run_before() -> None:
    entry = TABLES + 0x1000 + 4 * (HOLE >> 12)
    g, at = guest("inc ecx; inc edx", b"\xb8")
    start = HOLE - len(b"\x41\x42\xb8")
    g.tables = {}
    g.main_source = f"call {start:#x}; mov dword ptr [{entry:#x}], 0; invlpg [{HOLE:#x}]; call {start:#x}"
    g.pieces[HOLE] = bytes(4) + b"\xc3"
    report = g.report()
    assert (report.vector, report.stack[1]) == (PF, at)
    assert report.registers[1:3] == (2, 2)
    assert report.cr2 == HOLE
