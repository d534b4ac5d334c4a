"""RDMSR and WRMSR (SDM vol. 2B; the registers themselves: vol. 3B, appendix B)."""

import pytest

from tests.cpu.support import CODE0, CODE3, GP, MAIN, P3, P4, REPORT, RF, USER, Guest, assemble

UNKNOWN = 0x0C0FFEE0
KNOWN = {
    "IA32_SYSENTER_CS": 0x174,
    "IA32_SYSENTER_ESP": 0x175,
    "IA32_SYSENTER_EIP": 0x176,
    "IA32_MTRR_DEF_TYPE": 0x2FF,
    "IA32_PAT": 0x277,
}


@pytest.mark.parametrize("source", ["rdmsr", "wrmsr"])
def test_an_unknown_register_is_a_general_protection_fault_at_the_instruction(source: str) -> None:
    before = f"mov ecx, {UNKNOWN:#x}; mov eax, 0x1111; mov edx, 0x2222"
    report = Guest(f"{before}; {source}; mov eax, 5").report(qemu=False)  # QEMU reads 0
    at = MAIN + len(assemble(before, MAIN))
    assert (report.vector, *report.stack[:4]) == (GP, 0, at, CODE0, RF | 2 | report.stack[3] & 0xD5)
    assert report.registers[:3] == (0x1111, UNKNOWN, 0x2222)


@pytest.mark.parametrize("register", [UNKNOWN, 0x174, 0x10])
@pytest.mark.parametrize("source", ["rdmsr", "wrmsr"])
def test_ring_3_may_not_touch_them(source: str, register: int) -> None:
    guest = Guest(user=f"mov ecx, {register:#x}; xor eax, eax; xor edx, edx; {source}")
    guest.user_flags = 0x3002
    report = guest.report()
    at = USER + len(assemble(f"mov ecx, {register:#x}; xor eax, eax; xor edx, edx", 0))
    assert (report.vector, *report.stack[:3]) == (GP, 0, at, CODE3)


@pytest.mark.parametrize("register", KNOWN.values(), ids=KNOWN.keys())
def test_what_is_written_is_read_back(register: int) -> None:
    write = f"mov ecx, {register:#x}; mov eax, 0x06050400; xor edx, edx; wrmsr; "
    ran = Guest(
        f"{write} xor eax, eax; mov edx, -1; rdmsr; mov [{REPORT:#x}], eax; mov [{REPORT + 4:#x}], edx"
    ).run()
    assert ran.words[:2] == (0x06050400, 0)


def test_the_apic_base_says_enabled_and_bootstrap_and_refuses_reserved_bits() -> None:
    ran = Guest(f"mov ecx, 0x1b; rdmsr; mov [{REPORT:#x}], eax; mov [{REPORT + 4:#x}], edx").run()
    assert ran.words[:2] == (0xFEE00900, 0)
    report = Guest("mov ecx, 0x1b; mov eax, 0xfee00901; xor edx, edx; wrmsr").report(qemu=False)
    assert (report.vector, report.stack[0]) == (GP, 0)


def test_the_tsc_is_modelled_time_and_writing_it_clears_the_high_half() -> None:
    write = "mov ecx, 0x10; mov eax, 1000; mov edx, 77; wrmsr; rdmsr; "
    ran = Guest(
        f"{write} mov [{REPORT:#x}], eax; mov [{REPORT + 4:#x}], edx; rdtsc; mov [{REPORT + 8:#x}], eax"
    ).run()
    value, high, later = ran.words[:3]
    assert (high, 1000 <= value < later < 10_000) == (0, True)


@pytest.mark.parametrize(("name", "same"), [(P4, True), (P3, False)])
def test_misc_enable_is_the_pentium_4s(name: str, same: bool) -> None:
    guest = Guest(f"mov ecx, 0x1a0; rdmsr; mov [{REPORT + 16:#x}], eax")
    ran = guest.run(name=name)
    assert (ran.outcome.status == 99) == same
    assert same or ran.report.vector == GP


def test_read_only_registers_refuse_writes() -> None:
    guest = Guest("mov ecx, 0xfe; rdmsr; wrmsr")
    report = guest.report(qemu=False)
    assert (report.vector, report.stack[1]) == (GP, MAIN + 7)


def test_rdmsr_keeps_the_flags_and_the_other_registers() -> None:
    tell = f"pushfd; pop dword ptr [{REPORT:#x}]; mov [{REPORT + 4:#x}], ebx"
    ran = Guest(f"stc; mov ecx, 0x174; mov ebx, 7; rdmsr; {tell}").run()
    assert ran.words[0] & 1
    assert ran.words[1] == 7


def test_an_instruction_after_rdmsr_in_the_block_runs_once() -> None:
    guest = Guest(
        f"xor ebx, ebx; inc ebx; mov ecx, 0x174; rdmsr; inc ebx; rdmsr; inc ebx; mov [{REPORT:#x}], ebx"
    )
    ran = guest.run()
    assert ran.words[0] == 3


def test_rdmsr_in_the_middle_of_a_block_is_charged_once() -> None:
    """The block is entered again behind the instruction: instructions and cycles are those of one pass."""
    counts = []
    for source in ("mov ecx, 0x174; rdmsr", "mov ecx, 0x174; rdmsr; nop; nop; nop; nop"):
        ran = Guest(source).run()
        counts.append(ran.machine.instructions)
    assert counts[1] - counts[0] == 4


def test_rdmsr_runs_again_under_another_linear_address() -> None:
    guest = Guest("call 0x148000; call 0x248000", paging=True)
    guest.map(0x248000, 0x148003)
    guest.place(0x148000, f"mov ecx, {0x1B:#x}; rdmsr; add [{REPORT:#x}], eax; ret")
    ran = guest.run()
    assert ran.words[0] == 2 * 0xFEE00900 & 0xFFFFFFFF
