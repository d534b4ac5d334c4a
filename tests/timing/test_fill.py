"""Self-modifying code under "writable or executable, never both": whoever writes it, the new code runs.

The function under test is `mov eax, N; ret`; its N is rewritten. That such tests fail without the rule is
tested in test_write_xor_execute.py.
"""

import struct

import pytest

from tests.support import (
    EXIT,
    FRAMES,
    IDT,
    PENTIUM4,
    PROFILES,
    PROGRAM,
    TO_KERNEL,
    TO_USER,
    Outcome,
    P,
    Rig,
    U,
    W,
    assemble,
    check,
    gate,
    logged,
)

ALIAS, CODE = 0x1000000, 0x1001000  # two linear pages of one frame
CALL = f"mov edx, {CODE}; call edx; int 0x30;"


def function(value: int) -> bytes:
    return b"\xb8" + struct.pack("<I", value) + b"\xc3"


def rig(profile: str, **options: bool) -> Rig:
    made = Rig(profile, **options)
    made.small(ALIAS, FRAMES, P | W | U)
    made.small(CODE, FRAMES, P | W | U)
    made.machine.ram.write(FRAMES, function(1))
    return made


def rewrite(value: int, at: int = CODE) -> str:
    return f"mov dword ptr [{at + 1}], {value};"


modes = pytest.mark.parametrize("accounting", [True, False], ids=["accounting", "plain"])
profiles = pytest.mark.parametrize("profile", PROFILES)


@profiles
@modes
@pytest.mark.parametrize("at", [CODE, ALIAS], ids=["same page", "alias"])
@pytest.mark.parametrize(
    "first", ["", f"mov dword ptr [{ALIAS + 64}], 5;", f"mov dword ptr [{CODE + 64}], 5;"]
)
def test_rewritten_code_runs(profile: str, accounting: bool, at: int, first: str) -> None:
    made = rig(profile, accounting=accounting)
    program = "xor ebx, ebx;" + first + CALL
    for value in range(2, 6):
        program += rewrite(value, at) + CALL
    assert made.run(program + EXIT) == logged(1, 2, 3, 4, 5)


@profiles
@modes
@pytest.mark.parametrize("at", [CODE, ALIAS], ids=["same page", "alias"])
@pytest.mark.parametrize("first", ["", rewrite(1, ALIAS), rewrite(1, CODE)])
def test_code_rewritten_by_the_kernel_runs_in_the_user_s_ring(
    profile: str, accounting: bool, at: int, first: str
) -> None:
    made = rig(profile, accounting=accounting)
    program = "xor ebx, ebx;" + first + TO_USER + CALL
    for value in range(2, 6):
        program += TO_KERNEL + rewrite(value, at) + TO_USER + CALL
    assert made.run(program + EXIT) == logged(1, 2, 3, 4, 5)


@profiles
@modes
@pytest.mark.parametrize("at", [CODE, ALIAS], ids=["same page", "alias"])
def test_code_rewritten_by_the_user_runs_in_the_kernel_s_ring(
    profile: str, accounting: bool, at: int
) -> None:
    made = rig(profile, accounting=accounting)
    program = "xor ebx, ebx;" + TO_USER + rewrite(1, at) + TO_KERNEL + CALL
    for value in range(2, 6):
        program += TO_USER + rewrite(value, at) + TO_KERNEL + CALL
    assert made.run(program + EXIT) == logged(1, 2, 3, 4, 5)


@profiles
@modes
def test_code_and_its_data_in_one_page_may_take_turns(profile: str, accounting: bool) -> None:
    """A counter beside the code: every call writes the page that it runs in."""
    made = rig(profile, accounting=accounting)
    made.machine.ram.write(
        FRAMES, assemble(f"inc dword ptr [{ALIAS + 256}]; mov eax, [{CODE + 256}]; ret", CODE)
    )
    assert made.run("xor ebx, ebx;" + 4 * CALL + EXIT) == logged(1, 2, 3, 4)


@profiles
@modes
def test_an_instruction_may_rewrite_the_next_one(profile: str, accounting: bool) -> None:
    made = rig(profile, accounting=accounting)
    source = "xor ebx, ebx; mov dword ptr [{}], 2; mov eax, 1; int 0x30;"
    at = PROGRAM + len(assemble(source.format(PROGRAM).split("mov eax")[0], PROGRAM)) + 1
    log = made.run(source.format(at) + EXIT)
    assert log == logged(2)


@profiles
@modes
def test_code_rewritten_by_the_host_runs_after_memory_changed(profile: str, accounting: bool) -> None:
    made = rig(profile, accounting=accounting)
    stop = "mov al, 0; out 0xf4, al;"
    made.load("xor ebx, ebx;" + CALL + stop + CALL + EXIT)
    exited = Outcome("exit", 0, "the guest ended with status 0")
    assert made.machine.run(max_cycles=10**8) == exited
    made.machine.ram.write(FRAMES, function(2))
    made.machine.memory_changed()
    assert made.machine.run(max_cycles=10**8) == exited
    check(made.machine)
    assert made.log() == logged(1, 2)


@profiles
@modes
def test_an_interrupt_frame_pushed_over_code_is_new_code(profile: str, accounting: bool) -> None:
    """The pushed EIP, 0x0020C390, reads `nop; ret`: called after the interrupt, EAX stays what it was."""
    made = rig(profile, accounting=accounting)
    site = 0x20C390 - 2  # of INT 0x30, so that 0x20C390 is pushed
    jump = assemble("jmp eax", 0)
    back = PROGRAM + 0x100
    made.machine.ram.write(site, assemble(f"int 0x30; mov eax, {back}; ", site) + jump)
    code = assemble(
        f"xor ebx, ebx; mov edx, {CODE}; call edx; mov esp, {CODE + 12}; mov eax, {site}; jmp eax", PROGRAM
    )
    after = assemble(f"mov esp, 0x38000; mov eax, 9; mov edx, {CODE}; call edx; int 0x30; {EXIT}", back)
    log = made.run(code.ljust(0x100, b"\x90") + after)
    assert log == logged(site, 9)


@profiles
@modes
def test_an_interrupt_frame_from_page_0_down_to_the_top_of_the_address_space(
    profile: str, accounting: bool
) -> None:
    """Page 0 holds code, and where the frame ends nothing can be fetched: there is no memory."""
    made = rig(profile, accounting=accounting)
    top, landing = 0xFFC00000, PROGRAM + 0x100
    made.big(top, top, P | W)
    made.machine.ram.write(0x700, b"\xc3")
    made.machine.ram.write(IDT + 8 * 0x40, gate(landing))
    code = assemble("xor ebx, ebx; mov eax, 0x700; call eax; mov esp, 5; int 0x40", PROGRAM)
    log = made.run(
        code.ljust(0x100, b"\x90") + assemble(f"mov esp, 0x38000; mov eax, 7; int 0x30; {EXIT}", landing)
    )
    assert log == logged(7)


def test_the_model_decodes_rewritten_code_anew() -> None:
    """The same size, another number of instructions."""
    counts = []
    for new in (function(7), b"\x40" * 5 + b"\xc3"):
        made = rig(PENTIUM4)
        low, high = struct.unpack("<II", new + b"\0\0")
        write = f"mov dword ptr [{ALIAS}], {low}; mov dword ptr [{ALIAS + 4}], {high};"
        made.run(f"xor ebx, ebx; {CALL} {write} {CALL} {EXIT}")
        counts.append(made.machine.instructions)
    assert counts[1] == counts[0] + 4


def test_the_model_decodes_rewritten_code_anew_where_a_stale_entry_finds_it() -> None:
    """The code TLB still leads to the old frame, the tables to another."""
    counts = []
    for new in (function(7), b"\x40" * 5 + b"\xc3"):
        made = rig(PENTIUM4)
        low, high = struct.unpack("<II", new + b"\0\0")
        remap = f"mov dword ptr [{made.pte_at(CODE)}], {FRAMES + 0x1000 | P | W | U};"
        write = f"mov dword ptr [{ALIAS}], {low}; mov dword ptr [{ALIAS + 4}], {high};"
        log = made.run(f"xor ebx, ebx; {CALL} {remap} {write} {CALL}" + EXIT)
        assert len(log) == 2
        counts.append(made.machine.instructions)
    assert counts[1] == counts[0] + 4


def test_an_instruction_that_is_ours_to_execute_is_found_through_a_stale_entry() -> None:
    """RDMSR of an unknown register, whose page is no longer mapped but in the code TLB."""
    made = rig(PENTIUM4)
    unmap = f"mov dword ptr [{made.pte_at(CODE)}], 0;"
    made.machine.ram.write(FRAMES, b"\x0f\x32\xc3")
    log = made.run(
        f"""mov ecx, 0x12345; mov edx, {CODE}; lea edi, [one]; call edx
            one: {unmap} mov edx, {CODE}; lea edi, [two]; call edx
            two: {EXIT}"""
    )
    assert log == [(13, 0, CODE)] * 2


def test_write_xor_execute_costs_one_flush_for_each_frame_that_turns_to_code() -> None:
    made = rig(PENTIUM4)
    made.run("xor ebx, ebx;" + "".join(rewrite(value, ALIAS) + CALL for value in range(20)) + EXIT)
    assert made.machine.host_statistics()["write_execute_flushes"] == 1
