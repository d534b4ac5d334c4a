"""What the profile's processor doesn't have: #UD, or a message that says what is missing."""

import pytest

from emulator.cpu.features import lacks
from tests.cpu.support import GP, MAIN, P3, P4, UD, Guest

SSE = "mov eax, cr4; or eax, 0x600; mov cr4, eax;"
BUFFER = 0x150000
LACKING = {
    "rdtscp": (0x0F, 0x01, 0xF9),
    "syscall": (0x0F, 0x05),
    "monitor": (0x0F, 0x01, 0xC8),
    "haddps": (0xF2, 0x0F, 0x7C, 0xC1),
    "movddup": (0xF2, 0x0F, 0x12, 0xC1),
    "lddqu": (0xF2, 0x0F, 0xF0, 0x06),
    "fisttp": (0xDB, 0x0E),
    "pshufb": (0x66, 0x0F, 0x38, 0x00, 0xC1),
    "popcnt": (0xF3, 0x0F, 0xB8, 0xC1),
    "pmulld": (0x66, 0x0F, 0x38, 0x40, 0xC1),
    "xgetbv": (0x0F, 0x01, 0xD0),
    "movbe": (0x0F, 0x38, 0xF0, 0x06),
    "vmcall": (0x0F, 0x01, 0xC1),
    "rdrand": (0x0F, 0xC7, 0xF0),
}
SSE2 = {
    "addpd": (0x66, 0x0F, 0x58, 0xC1),
    "movdqa": (0x66, 0x0F, 0x6F, 0xC1),
    "paddq mm": (0x0F, 0xD4, 0xC1),
    "lfence": (0x0F, 0xAE, 0xE8),
    "mfence": (0x0F, 0xAE, 0xF0),
    "movnti": (0x0F, 0xC3, 0x06),
    "clflush": (0x0F, 0xAE, 0x3E),
}
SSE1 = {
    "addps": (0x0F, 0x58, 0xC1),
    "sfence": (0x0F, 0xAE, 0xF8),
    "pavgb mm": (0x0F, 0xE0, 0xC1),
    "cmov": (0x0F, 0x44, 0xC1),
    "paddb mm": (0x0F, 0xFC, 0xC1),
}


def guest(code: tuple[int, ...]) -> Guest:
    g = Guest(f"{SSE} mov esi, {BUFFER:#x}; nop; .byte {','.join(map(str, code))}")
    g.pieces[BUFFER] = bytes(64)
    return g


@pytest.mark.parametrize("name", [P3, P4])
@pytest.mark.parametrize("instruction", LACKING)
def test_instructions_later_than_the_processor_are_undefined(instruction: str, name: str) -> None:
    report = guest(LACKING[instruction]).report(qemu=False, name=name)
    assert report.vector == UD
    assert report.stack[0] > MAIN


@pytest.mark.parametrize("instruction", SSE2)
def test_sse2_is_the_pentium_4s(instruction: str) -> None:
    assert guest(SSE2[instruction]).report(qemu=False, name=P3).vector == UD
    assert guest(SSE2[instruction]).run(name=P4).outcome.status == 99


@pytest.mark.parametrize("name", [P3, P4])
@pytest.mark.parametrize("instruction", SSE1)
def test_sse_mmx_and_cmov_are_both_processors(instruction: str, name: str) -> None:
    assert guest(SSE1[instruction]).run(name=name).outcome.status == 99


@pytest.mark.parametrize("name", [P3, P4])
def test_cpuid_claims_no_pae_and_setting_it_ends_the_run_with_what_is_missing(name: str) -> None:
    """The processors have it (SDM vol. 3A 3.8), the machine model doesn't."""
    g = Guest(
        "mov eax, 1; cpuid; test edx, 0x40; jnz out;mov eax, cr4; or eax, 0x20; mov cr4, eax; out: nop; nop"
    )
    outcome = g.run(name=name).outcome
    assert outcome.kind == "error"
    assert "PAE" in outcome.message
    assert "without PAE" in outcome.message


def test_asking_for_64_bit_mode_ends_the_run_with_what_is_missing() -> None:
    g = Guest("mov ecx, 0xc0000080; mov eax, 0x100; xor edx, edx; wrmsr; nop")
    outcome = g.run().outcome
    assert outcome.kind == "error"
    assert "64-bit" in outcome.message


def test_reading_efer_is_gp_as_on_the_processors() -> None:
    assert Guest("mov ecx, 0xc0000080; rdmsr").report(qemu=False).vector == GP


@pytest.mark.parametrize(
    ("counter", "user", "pce", "vector"),
    [(0, False, False, None), (2, False, False, GP), (0, True, False, GP), (0, True, True, None)],
)
def test_rdpmc_reads_counters_that_stand_still(
    counter: int, user: bool, pce: bool, vector: int | None
) -> None:
    """SDM vol. 2B, RDPMC; the Pentium III has two counters."""
    source = f"mov ecx, {counter}; mov eax, 5; rdpmc; int 0x21"
    setup = "mov eax, cr4; or eax, 0x100; mov cr4, eax;" if pce else ""
    g = Guest(setup if user else setup + source, user=source if user else "")
    g.gate(0x21, dpl=3)
    report = g.report(qemu=False, name=P3)
    assert report.vector == (0x21 if vector is None else vector)
    if vector is None:
        assert report.registers[0] == 0


@pytest.mark.parametrize("bits", [16, 32])
def test_lock_before_an_instruction_that_cannot_have_it_is_undefined(bits: int) -> None:
    everything = 0xFFFFFFFF
    for code in (b"\xf0\x8b\x03", b"\x66\xf0\x90", b"\xf0\xc3"):
        assert lacks(code, bits, everything, everything)
    assert not lacks(b"\xf0\x01\x03", bits, everything, everything)
