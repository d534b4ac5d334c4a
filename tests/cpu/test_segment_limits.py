"""Limits, types and null selectors on data accesses (SDM vol. 3A 4.3 to 4.5 and 5.15), which TCG ignores.

QEMU ignores them too, so nothing here is compared with it.
"""

import pytest

from tests.cpu.support import (
    ALL,
    CODE0,
    DATA0,
    DUMP,
    GP,
    HOLE,
    MAIN,
    REPORT,
    SS,
    USER,
    Guest,
    assemble,
    far_jump,
    segment,
)

LIMITED, EXECUTE_ONLY = 0x90, 0x98
BUFFER = 0x150000
FLAT = f"mov ax, {DATA0}; mov ds, ax; mov es, ax"


def guest_with_segment(
    source: str, limit: int = 0xFF, access: int = 0x93, flags: int = 4, base: int = BUFFER, user: str = ""
) -> Guest:
    """`source` runs with a segment of `limit` at BUFFER in GDT entry `LIMITED`."""
    guest = Guest(source, user=user)
    guest.gdt[LIMITED] = segment(base, limit, access, flags)
    guest.gdt[EXECUTE_ONLY] = segment(0, ALL, 0x99, 0xC)
    guest.pieces[BUFFER] = bytes(0x400)
    guest.handler(GP, f"jmp {0x128000:#x}")
    guest.handler(SS, f"jmp {0x128040:#x}")
    for at, vector in ((0x128000, GP), (0x128040, SS)):
        guest.place(
            at,
            f"mov ss:[{REPORT + 16:#x}], eax; {FLAT}; mov dword ptr [{REPORT:#x}], {vector}; jmp {DUMP:#x}",
        )
    return guest


LOAD = f"mov ax, {LIMITED}; mov ds, ax; mov es, ax; mov edi, 0x100; mov ebp, 0x100; mov ebx, 0;"


@pytest.mark.parametrize(
    ("instruction", "faults"),
    [
        ("mov al, [0xff]", False),
        ("mov al, [0x100]", True),
        ("mov ax, [0xfe]", False),
        ("mov ax, [0xff]", True),
        ("mov eax, [0xfc]", False),
        ("mov eax, [0xfd]", True),
        ("mov [0xfd], eax", True),
        ("mov [0xfc], eax", False),
        ("mov dword ptr [edi-4], 1", False),
        ("mov dword ptr [edi-3], 1", True),
        ("mov dword ptr [edi*2-0x104], 1", False),
        ("mov dword ptr [edi*2-0x103], 1", True),
        ("add dword ptr [edi], 1", True),
        ("inc byte ptr [edi-1]", False),
        ("mov eax, [edi+0xfffffff0]", False),
        ("mov eax, [ebx-1]", True),
        (".byte 0x3e; mov eax, [ebp-4]", False),
        (".byte 0x3e, 0x8b, 0x45, 0xfd", True),
        ("push dword ptr [edi]", True),
        ("pop dword ptr [edi]", True),
        ("cmpxchg8b [edi-8]", False),
        ("cmpxchg8b [edi-7]", True),
        ("fld qword ptr [edi-8]", False),
        ("fld qword ptr [edi-7]", True),
        ("fld xword ptr [edi-9]", True),
        ("fnsave [edi-108]", False),
        ("fnsave [edi-107]", True),
        ("fnstcw [edi-1]", True),
        ("xlatb", False),
        ("mov al, 1; mov ebx, 0xff; xlatb", True),
        ("mov eax, 0x7ff; bt dword ptr [ebx], eax", False),
        ("mov eax, 0x800; bt dword ptr [ebx], eax", True),
        ("mov eax, -32; bts dword ptr [ebx], eax", True),
        ("stosd", True),
        ("sub edi, 4; stosd", False),
        ("mov esi, edi; lodsb", True),
        ("mov esi, edi; xor edi, edi; movsb", True),
        ("mov esi, edi; xor edi, edi; xor ecx, ecx; rep movsb", False),
        ("lea eax, [edi+100]", False),
        ("sgdt [edi-5]", True),
        ("call dword ptr [edi]", True),
        ("jmp dword ptr [edi]", True),
        ("les eax, [edi-5]", True),
        ("bound eax, [edi-7]", True),
        ("xchg [edi], eax", True),
        ("test [edi], eax", True),
    ],
)
def test_an_access_beyond_the_limit_is_gp_before_anything_happens(instruction: str, faults: bool) -> None:
    guest = guest_with_segment(f"{LOAD} {instruction}; {FLAT}")
    if not faults:
        assert guest.run().outcome.status == 99
        return
    *before, last = instruction.split("; ")
    at = MAIN + len(assemble(LOAD + ";".join(before), MAIN))
    report = guest.report(qemu=False)
    assert (report.vector, *report.stack[:3]) == (GP, 0, at, CODE0)
    assert last


def test_rep_movs_stops_at_the_limit_with_the_registers_of_the_faulting_element() -> None:
    guest = guest_with_segment(f"{LOAD} cld; mov esi, 0; mov edi, 0xe0; mov ecx, 100; .byte 0xf3, 0xa5")
    report = guest.report(qemu=False)
    assert report.vector == GP
    ecx, esi, edi = report.registers[1], report.registers[6], report.registers[7]
    assert (ecx, esi, edi) == (92, 0x20, 0x100)
    assert report.stack[1] == MAIN + len(
        assemble(LOAD + "cld; mov esi, 0; mov edi, 0xe0; mov ecx, 100", MAIN)
    )


def test_the_access_can_be_restarted_once_the_segment_has_grown() -> None:
    source = f"{LOAD} mov dword ptr [0x200], 0x1234; mov ecx, [0x200]; {FLAT}; int 0x21"
    guest = guest_with_segment(source)
    grown = segment(BUFFER, 0xFFF, 0x93, 4)
    guest.handler(
        GP,
        f"""{FLAT}; mov dword ptr [{0x101000 + LIMITED:#x}], {grown & ALL:#x}
        mov ax, {LIMITED}; mov ds, ax; add esp, 4; iretd""",
    )
    report = guest.report(qemu=False)
    assert (report.vector, report.registers[1]) == (0x21, 0x1234)


@pytest.mark.parametrize(
    ("offset", "faults"),
    [(0xFF, True), (0x100, False), (0xFFFF, False), (0x10000, False), (0xFFFFFFFF, False)],
)
@pytest.mark.parametrize("big", [True, False])
def test_expand_down_segments_hold_what_lies_above_the_limit(offset: int, faults: bool, big: bool) -> None:
    """SDM vol. 3A 4.3: up to 0xFFFF, or 0xFFFFFFFF with the B flag."""
    source = f"mov ax, {LIMITED}; mov ds, ax; mov ecx, {offset:#x}; mov al, [ecx]; {FLAT}"
    guest = guest_with_segment(source, access=0x97, flags=4 if big else 0)
    status = guest.run().outcome.status
    assert status == (1 if faults or (offset > 0xFFFF and not big) else 99)


@pytest.mark.parametrize(
    ("load", "instruction", "faults"),
    [
        (f"mov ax, {LIMITED}; mov ds, ax", "mov eax, [0x10]", False),
        (f"mov ax, {LIMITED}; mov ds, ax", "mov [0x10], eax", True),
        (f"mov ax, {LIMITED}; mov ds, ax", "or dword ptr [0x10], 1", True),
        (f"mov ax, {LIMITED}; mov ds, ax", "cmp dword ptr [0x10], 1", False),
        (f"mov ax, {LIMITED}; mov fs, ax", "mov fs:[0x10], eax", True),
        ("xor eax, eax; mov fs, ax", "mov eax, fs:[0]", True),
        ("xor eax, eax; mov gs, ax", "nop", False),
        ("xor eax, eax; mov ds, ax", "mov eax, [0]", True),
        ("nop", f"mov cs:[{BUFFER:#x}], eax", True),
        ("nop", f"mov eax, cs:[{BUFFER:#x}]", False),
    ],
)
def test_read_only_null_and_code_segments_refuse_writes(load: str, instruction: str, faults: bool) -> None:
    guest = guest_with_segment(f"{load}; {instruction}; {FLAT}", limit=ALL, access=0x91, flags=0xC)
    status = guest.run().outcome.status
    assert status == (1 if faults else 99)


def test_an_execute_only_code_segment_cannot_be_read() -> None:
    guest = guest_with_segment(far_jump(EXECUTE_ONLY, 0x12A000))
    guest.place(0x12A000, f"nop; mov eax, cs:[{BUFFER:#x}]; mov bl, 99; jmp 0x120200")
    report = guest.report(qemu=False)
    assert (report.vector, *report.stack[:3]) == (GP, 0, 0x12A001, EXECUTE_ONLY)


@pytest.mark.parametrize(
    ("instruction", "faults"),
    [
        ("push eax", False),
        ("push eax; push eax", True),
        ("pushad", True),
        ("mov eax, [esp+0xf8]", False),
        ("mov ebp, esp; mov eax, [ebp+0x100]", True),
        ("call 0x12a000", False),
        ("sub esp, 4; call 0x12a000", True),
        ("enter 0, 0; leave", False),
        ("enter 8, 0", True),
        ("add esp, 0xfc; pop eax", True),
        ("add esp, 0xf8; pop eax", False),
        ("add esp, 0xfc; ret", True),
        ("mov ebp, 0x200; leave", True),
        ("add esp, 0xf4; iretd", True),
        ("sub esp, 4; pushfd", True),
    ],
)
def test_the_stack_segments_limit_gives_ss(instruction: str, faults: bool) -> None:
    """The stack is 4 bytes above the segment's start, which an expand-up segment can't go below."""
    user = f"mov ax, 0x93; mov ss, ax; mov esp, 4; {instruction}; int 0x22"
    guest = guest_with_segment("", user=user)
    guest.gdt[LIMITED] = segment(BUFFER, 0xFF, 0xF3, 4)
    guest.user_flags = 2
    guest.place(0x12A000, "ret")
    guest.gate(0x22, dpl=3)
    report = guest.report(qemu=False)
    if not faults:
        assert report.vector == 0x22
        return
    *before, _ = instruction.split("; ")
    at = USER + len(assemble("mov ax, 0x93; mov ss, ax; mov esp, 4;" + ";".join(before), USER))
    assert (report.vector, *report.stack[:2]) == (SS, 0, at)


@pytest.mark.parametrize("base", [BUFFER, BUFFER + 0x40])
def test_a_hot_loop_in_a_window_faults_at_exactly_the_first_byte_beyond(base: int) -> None:
    """Ring 3, a based segment as a small address space has: 200 rounds inside, then one step too far."""
    user = f"""mov ax, {LIMITED | 3}; mov ds, ax; mov ecx, 200
        round: xor edi, edi
        inside: add byte ptr [edi], 1; inc edi; cmp edi, 0x100; jb inside; dec ecx; jnz round
        beyond: add byte ptr [edi], 1; inc edi; jmp beyond"""
    guest = guest_with_segment("", base=base, access=0xF3, user=user)
    guest.user_flags = 2
    report = guest.report(qemu=False)
    assert (report.vector, report.stack[0], report.registers[7]) == (GP, 0, 0x100)
    ran = guest.run()
    memory = ran.machine.ram.read(BUFFER, 0x200)
    assert memory.count(200) == 0x100
    assert memory[base - BUFFER : base - BUFFER + 0x100] == bytes([200]) * 0x100


def test_a_fetch_beyond_the_code_segments_limit_is_gp() -> None:
    guest = guest_with_segment(far_jump(LIMITED, 0xF8), access=0x9B)
    guest.pieces[BUFFER] = b"\x90" * 0x100
    report = guest.report(qemu=False)
    assert (report.vector, *report.stack[:3]) == (GP, 0, 0x100, LIMITED)


def test_an_instruction_across_the_code_segments_limit_is_gp_at_its_first_byte() -> None:
    guest = guest_with_segment(far_jump(LIMITED, 0xF8), access=0x9B)
    guest.pieces[BUFFER] = b"\x90" * 0xFD + assemble("mov eax, 1", 0)
    report = guest.report(qemu=False)
    assert (report.vector, *report.stack[:2]) == (GP, 0, 0xFD)


def test_the_limit_comes_before_the_page_when_a_fetch_breaks_both() -> None:
    end = HOLE - BUFFER
    guest = guest_with_segment(far_jump(LIMITED, end - 0x10), access=0x9B, limit=end - 1)
    guest.paging = True
    guest.map(HOLE, 0)
    guest.pieces[HOLE - 0x10] = b"\x90" * 0x10
    report = guest.report(qemu=False)
    assert (report.vector, *report.stack[:3]) == (GP, 0, end, LIMITED)


BRANCHES = {
    "jmp": "jmp 0x100",
    "short jmp": ".byte 0xeb, 0x7e",
    "call": "call 0x1000",
    "jump to a register": "jmp ecx",
    "call of a register": "call ecx",
    "jump through memory": f"jmp dword ptr [{BUFFER + 0xE0:#x}]",
    "call through memory": f"call dword ptr [{BUFFER + 0xE0:#x}]",
    "ret": "ret",
    "ret 4": "ret 4",
    "jz": "jz 0x100",
    "jbe": "jbe 0x12345",
    "loop": ".byte 0xe2, 0x7e",
    "loope": ".byte 0xe1, 0x7e",
}


@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
@pytest.mark.parametrize("accounting", [True, False])
def test_a_near_branch_out_of_the_code_segment_is_gp_at_the_branch(branch: str, accounting: bool) -> None:
    """Nothing has happened: ESP, ECX and the stack are as before."""
    before = f"mov ecx, 0x100; mov [{BUFFER + 0xE0:#x}], ecx; push ecx; xor eax, eax; mov ebx, esp;"
    guest = guest_with_segment(far_jump(LIMITED, 0x90), access=0x9B)
    code = assemble(before, 0x90)
    guest.pieces[BUFFER] = b"\x90" * 0x90 + code + assemble(branch, 0x90 + len(code)).ljust(0x50, b"\x90")
    report = guest.report(qemu=False, accounting=accounting)
    assert (report.vector, *report.stack[:3]) == (GP, 0, 0x90 + len(code), LIMITED)
    assert (report.registers[1], report.esp + 16) == (0x100, report.registers[3])


@pytest.mark.parametrize(
    ("before", "branch"),
    [
        ("or al, 1", "jz 0x100"),
        ("xor eax, eax", "jnz 0x100"),
        ("xor eax, eax", "ja 0x100"),
        ("cmp eax, eax", "jl 0x100"),
        ("mov ecx, 1", ".byte 0xe2, 0x70"),
        ("mov ecx, 1", ".byte 0xe3, 0x70"),
        ("xor eax, eax; mov ecx, 0x10001", ".byte 0x67, 0xe2, 0x70"),
        ("mov ecx, 5; or al, 1", ".byte 0xe1, 0x70"),
    ],
)
def test_a_conditional_branch_out_of_it_that_is_not_taken_is_none(before: str, branch: str) -> None:
    guest = guest_with_segment(far_jump(LIMITED, 0x90), access=0x9B)
    code = assemble(before, 0x90)
    code += assemble(branch, 0x90 + len(code)) + assemble("nop; int 0x21", 0)
    guest.pieces[BUFFER] = b"\x90" * 0x90 + code
    assert guest.report(qemu=False).vector == 0x21


def test_a_branch_with_a_16_bit_operand_wraps_and_stays_inside() -> None:
    guest = guest_with_segment(far_jump(LIMITED, 0x90), access=0x9B, limit=0xFFFF)
    guest.pieces[BUFFER] = b"\x90" * 0x90 + b"\x66\xe9" + (0xA0 - 0x94 & 0xFFFF).to_bytes(2, "little")
    guest.pieces[BUFFER] += b"\x90" * 12 + assemble("int 0x21", 0)
    assert guest.report(qemu=False).vector == 0x21


def test_a_segment_loaded_in_the_middle_of_a_block_counts_for_the_rest() -> None:
    load = f"mov ax, {LIMITED}; mov gs, ax"
    guest = guest_with_segment(f"{load}; mov eax, gs:[0xfd]")
    report = guest.report(qemu=False)
    assert (report.vector, *report.stack[:2]) == (GP, 0, MAIN + len(assemble(load, MAIN)))


def test_flat_segments_leave_the_fast_path_alone() -> None:
    ran = Guest("mov ecx, 100; again: mov eax, [0x150000]; dec ecx; jnz again").run()
    assert ran.machine.state.checks == 0


def test_a_delivery_onto_a_stack_segment_that_is_too_small_is_ss() -> None:
    """SDM vol. 2A, INT n: stack space for the frame, else #SS."""
    source = f"mov ax, {LIMITED}; mov ss, ax; mov esp, 8; int 0x22"
    guest = guest_with_segment(source)
    outcome = guest.run().outcome
    assert outcome.kind == "error"
    assert "12 #SS" in outcome.message


@pytest.mark.parametrize("accounting", [True, False])
def test_the_checks_hold_without_a_model_too(accounting: bool) -> None:
    guest = guest_with_segment(f"{LOAD} mov eax, [0xfd]")
    assert guest.report(qemu=False, accounting=accounting).vector == GP


def test_checked_execution_costs_the_guest_nothing() -> None:
    """The same work with a limit that never matters takes the same modelled time."""
    loop = "mov ecx, 200; again: mov eax, [ecx]; add [ecx+4], eax; dec ecx; jnz again"
    cycles = []
    for limit, flags in ((0xFFF, 4), (ALL, 0xC)):
        ran = guest_with_segment(f"{LOAD} {loop}; {FLAT}", limit, flags=flags).run()
        assert ran.outcome.status == 99
        cycles.append((ran.machine.cycles, ran.machine.instructions))
    assert cycles[0] == cycles[1]
