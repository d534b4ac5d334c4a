"""SSE and MMX instructions: unaligned operands, and which of #UD and #NM comes first."""

import pytest

from tests.cpu.support import ALL, DATA0, GP, MAIN, NM, P3, UD, Guest, assemble, segment

AC = 17
SSE = "mov eax, cr4; or eax, 0x200; mov cr4, eax;"
BUFFER = 0x150000


def guest(source: str, enable: str = SSE) -> Guest:
    g = Guest(f"{enable} mov esi, {BUFFER:#x}; mov ecx, 2; nop; {source}")
    g.pieces[BUFFER] = bytes(range(256))
    return g


def last_instruction(g: Guest) -> int:
    return MAIN + len(assemble(g.main_source.rpartition("; ")[0], MAIN))


@pytest.mark.parametrize(
    "instruction",
    [
        "movaps xmm0, [esi+8]",
        "movaps [esi+1], xmm0",
        "movapd xmm0, [esi+4]",
        "movdqa [esi+8], xmm3",
        "movntps [esi+8], xmm0",
        "movntdq [esi+ecx*4], xmm0",
        "addps xmm0, [esi+15]",
        "paddd xmm1, [esi+ecx*2+4]",
        "pshufd xmm1, [esi+8], 3",
        "cmpps xmm0, [esi+4], 1",
        "subpd xmm0, [esi+8]",
    ],
)
def test_an_unaligned_16_byte_operand_is_gp_0(instruction: str) -> None:
    g = guest(f"nop; {instruction}")
    report = g.report()
    assert (report.vector, *report.stack[:2]) == (GP, 0, last_instruction(g))


@pytest.mark.parametrize(
    "instruction",
    [
        "movaps xmm0, [esi+16]",
        "movaps [esi+ecx*8], xmm0",
        "movups xmm0, [esi+8]",
        "movupd [esi+1], xmm0",
        "movdqu xmm0, [esi+3]",
        "movss xmm0, [esi+1]",
        "movsd xmm0, [esi+1]",
        "movhps xmm0, [esi+4]",
        "movlpd [esi+3], xmm0",
        "cvtps2pd xmm0, [esi+4]",
        "movq xmm0, [esi+4]",
        "paddd mm0, [esi+4]",
        "cvtpi2ps xmm0, [esi+1]",
    ],
)
def test_aligned_and_exempt_operands_are_let_through(instruction: str) -> None:
    assert guest(instruction).run().outcome.status == 99


def test_the_linear_address_counts_not_the_offset() -> None:
    g = guest("mov ax, 0x98; mov fs, ax; movaps xmm0, fs:[esi+8]; movaps xmm0, fs:[esi]")
    g.gdt[0x98] = segment(8, ALL, 0x93, 0xC)
    report = g.report()
    assert (report.vector, report.stack[1]) == (GP, last_instruction(g))


def test_registers_that_the_block_has_changed_are_seen_each_time_round() -> None:
    source = (
        "mov ecx, 5; again: movaps xmm0, [esi]; add esi, 16; dec ecx; jnz again; inc esi; movaps [esi], xmm0"
    )
    report = guest(source).report()
    assert (report.vector, report.registers[6]) == (GP, BUFFER + 5 * 16 + 1)


def test_a_handler_can_align_the_operand_and_go_on() -> None:
    g = guest("inc esi; mov edx, 7; movaps xmm0, [esi]; cmp edx, 7; jne bad; movd eax, xmm0; bad: ud2")
    g.handler(GP, "and esi, -16; add esp, 4; iretd")
    report = g.report()
    assert (report.vector, report.registers[0]) == (UD, 0x03020100)


def test_alignment_checking_leaves_16_byte_operands_to_gp_and_movdqu_alone() -> None:
    am = f"{SSE} mov eax, cr0; or eax, 0x40000; mov cr0, eax"
    for instruction, vector in (("movaps xmm0, [esi+8]", GP), ("movdqu xmm0, [esi+8]", 0x21)):
        g = Guest(am, user=f"mov esi, {BUFFER:#x}; nop; {instruction}; int 0x21")
        g.user_flags = 0x40002
        g.gate(0x21, dpl=3)
        g.pieces[BUFFER] = bytes(64)
        assert g.report(qemu=False).vector == vector


def test_unaligned_operands_of_instructions_that_the_processor_lacks_are_ud() -> None:
    assert guest("movdqa xmm0, [esi+8]").report(qemu=False, name=P3).vector == UD


TS, EM = "mov eax, cr0; or eax, 8; mov cr0, eax;", "mov eax, cr0; or eax, 4; mov cr0, eax;"
TABLE = [  # SDM vol. 3A, tables 12-1 and 13-1
    (TS, "movaps xmm0, xmm1", UD),
    (SSE + TS, "movaps xmm0, xmm1", NM),
    (SSE + EM, "movaps xmm0, xmm1", UD),
    (SSE + TS + EM, "movaps xmm0, xmm1", UD),
    (TS, "movaps xmm0, [esi+8]", UD),
    (SSE + TS, "movaps xmm0, [esi+8]", NM),
    (TS, "ldmxcsr [esi]", UD),
    (SSE + TS, "ldmxcsr [esi]", NM),
    (TS, "paddd mm0, mm1", NM),
    (EM + TS, "paddd mm0, mm1", UD),
    (EM + TS, "emms", UD),
    (EM, "fld1", NM),
    (EM + TS, "fld1", NM),
    (TS, "fld1", NM),
    (TS, "fxsave [esi]", NM),
]


@pytest.mark.parametrize(("enable", "instruction", "vector"), TABLE)
def test_ud_comes_before_nm(enable: str, instruction: str, vector: int) -> None:
    g = guest(instruction, enable)
    report = g.report(qemu=not (EM in enable and TS in enable))  # QEMU 7.2 looks at TS before EM
    assert (report.vector, report.stack[0]) == (vector, last_instruction(g))
    assert report.ss == DATA0
