"""Single step, ICEBP, instruction and data breakpoints, the debug registers (SDM vol. 3B, chapter 15)."""

import pytest

from tests.cpu.support import (
    ALL,
    DB,
    GP,
    MAIN,
    P3,
    REPORT,
    TF,
    UD,
    USER,
    Guest,
    Report,
    assemble,
)

LOG = REPORT + 48 * 4  # inside the report, so that QEMU's is compared too
POINTER = REPORT + 47 * 4
B0, B1, B2, B3, BD, BS = 1, 2, 4, 8, 1 << 13, 1 << 14
CLEAR = 0xFFFF0FF0
EXECUTE, WRITE, READ_WRITE = 0, 1, 3
BUFFER = 0x150000
# every #DB is logged as (EIP, DR6); then DR6 is cleared
HANDLER = f"""
    push eax; push ebx
    mov ebx, ss:[{POINTER:#x}]; add dword ptr ss:[{POINTER:#x}], 8
    mov eax, [esp + 8]; mov ss:[ebx], eax
    mov eax, dr6; mov ss:[ebx + 4], eax
    xor eax, eax; mov dr6, eax
    pop ebx; pop eax; iretd
"""
RESUME = "or dword ptr [esp + 8], 0x10000;" + HANDLER  # RF: go on over an instruction breakpoint
STEP = "pushfd; or dword ptr [esp], 0x100; popfd;"
STOP = "pushfd; and dword ptr [esp], 0xfffffeff; popfd;"


def dr7(number: int, kind: int, length: int, enable: int = 1) -> int:
    return enable << 2 * number | kind << 16 + 4 * number | (length - 1) << 18 + 4 * number


OFF = "mov eax, 0; mov dr7, eax"


def watch(number: int, address: int, kind: int, length: int, enable: int = 1) -> str:
    bits = dr7(number, kind, length, enable)
    return f"mov eax, {address:#x}; mov dr{number}, eax; mov eax, {bits:#x}; mov dr7, eax"


def at(*parts: str, start: int = MAIN) -> int:
    """Address behind some code."""
    return start + len(assemble("; ".join(parts), start))


def guest(source: str, *, handler: str = HANDLER, user: str = "") -> Guest:
    g = Guest(f"mov dword ptr [{POINTER:#x}], {LOG:#x}; {source}; int 0x21", user=user)
    g.handler(DB, handler)
    g.gate(0x21, dpl=3)
    g.pieces[BUFFER] = bytes(64)
    return g


PRELUDE = f"mov dword ptr [{POINTER:#x}], {LOG:#x}"


def log(report: Report) -> list[tuple[int, int]]:
    count = (report.words[47] - LOG) // 4
    words = report.words[48 : 48 + count]
    return list(zip(words[::2], words[1::2], strict=True))


def lines(*source: str, start: int = MAIN) -> list[int]:
    """The address of each line."""
    return [at(*source[:i], start=start) for i in range(len(source))]


def test_single_step_traps_after_every_instruction_once() -> None:
    steps = [
        "nop",
        "mov ecx, 3",
        "add ecx, 4",
        f"mov [{BUFFER}], ecx",
        f"push dword ptr [{BUFFER}]",
        "pop edx",
    ]
    source = [PRELUDE, STEP, *steps, STOP]
    report = guest("; ".join(source[1:])).report()
    addresses = lines(*source, "int 0x21")[3:]
    found = log(report)
    # the trap flag is pushed, cleared and popped again: three more traps
    assert [eip for eip, _ in found][: len(steps)] == addresses[: len(steps)]
    assert len(found) == len(steps) + 3
    assert {dr6 for _, dr6 in found} == {CLEAR | BS}
    assert report.registers[2] == 7


def test_single_step_over_jumps_calls_and_conditional_branches() -> None:
    body = "mov ecx, 2; again: dec ecx; jnz again; call near; jmp over; near: ret; over: nop"
    report = guest(f"{STEP} {body}; {STOP}").report()
    start = at(PRELUDE, STEP)
    offsets = [eip - start for eip, _ in log(report)]
    call = 5 + 1 + 2
    assert offsets[:9] == [5, 6, 5, 6, call, call + 7, call + 5, call + 8, call + 9]


def test_int_n_isnt_single_stepped_in_its_handler_and_the_next_instruction_is() -> None:
    """SDM vol. 3B 15.3.1.4: delivery clears TF; IRET restores it, and the trap follows what comes then."""
    g = guest(f"{STEP} int 0x22; nop; nop; {STOP}")
    g.gate(0x22)
    g.handler(0x22, "inc esi; iretd")
    report = g.report()
    start = at(PRELUDE, STEP)
    assert [eip - start for eip, _ in log(report)][:2] == [3, 4]
    assert report.registers[6] == 1


def test_iret_that_sets_tf_traps_after_the_instruction_it_returns_to() -> None:
    frame = f"pushfd; or dword ptr [esp], {TF:#x}; push 8; push {MAIN + 0x100:#x}; iretd"
    g = guest(frame)
    g.place(MAIN + 0x100, f"nop; nop; {STOP} int 0x21")
    found = log(g.report())
    assert [eip for eip, _ in found][:2] == [MAIN + 0x101, MAIN + 0x102]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_repeated_instruction_traps_after_each_iteration(count: int) -> None:
    """SDM vol. 3B 15.3.1.4."""
    setup = f"cld; mov esi, {BUFFER}; mov edi, {BUFFER + 32}; mov ecx, {count}"
    report = guest(f"{setup}; {STEP} .byte 0xf3, 0xa4; nop; {STOP}").report()
    start = at(PRELUDE, setup, STEP)
    eips = [eip - start for eip, _ in log(report)]
    assert eips[: max(count, 1) + 1] == [0] * (max(count, 1) - 1) + [2, 3]


def test_a_stack_segment_load_holds_the_trap_off_for_one_instruction() -> None:
    """SDM vol. 3A 5.8.3 (QEMU 7.2 doesn't)."""
    report = guest(f"mov eax, ss; {STEP} .byte 0x8e, 0xd0; nop; nop; push ss; pop ss; nop; {STOP}").report(
        qemu=False
    )
    start = at(PRELUDE, "mov eax, ss", STEP)
    eips = [eip - start for eip, _ in log(report)]
    assert eips[0] == 3  # behind the NOP
    size = len(assemble("push ss", 0))
    assert eips[1:4] == [4, 4 + size, 4 + size + len(assemble("pop ss", 0)) + 1]


@pytest.mark.parametrize(
    "instruction", ["cpuid", "mov eax, dr7", "mov eax, cr0", "rdtsc", "mov ecx, 0x174; rdmsr"]
)
def test_instructions_that_are_done_in_hooks_are_stepped_like_others(instruction: str) -> None:
    report = guest(f"{STEP} {instruction}; nop; {STOP}").report(
        qemu="rdtsc" not in instruction and "cpuid" not in instruction
    )
    start = at(PRELUDE, STEP)
    eips = [eip - start for eip, _ in log(report)]
    expected = [at(*instruction.split("; ")[: i + 1], start=0) for i in range(instruction.count(";") + 1)]
    assert eips[: len(expected) + 1] == [*expected, expected[-1] + 1]


def test_sysenter_with_tf_traps_at_its_target() -> None:
    """SYSENTER doesn't clear TF (SDM vol. 2B)."""
    msrs = "xor edx, edx;" + "".join(
        f"mov ecx, {index:#x}; mov eax, {value:#x}; wrmsr;"
        for index, value in ((0x174, 8), (0x175, 0x170000), (0x176, MAIN + 0x200))
    )
    g = guest(f"{msrs} {STEP} sysenter")
    g.place(MAIN + 0x200, f"nop; {STOP} int 0x21")
    found = log(g.report(qemu=False))
    assert [eip for eip, _ in found][:2] == [MAIN + 0x200, MAIN + 0x201]


def test_a_fault_while_stepping_is_delivered_and_not_stepped() -> None:
    g = guest(f"{STEP} nop; ud2; nop; {STOP}")
    g.handler(UD, "add dword ptr [esp], 2; iretd")
    report = g.report()
    start = at(PRELUDE, STEP)
    assert [eip - start for eip, _ in log(report)][:2] == [1, 4]


def test_a_user_program_is_stepped_from_ring_0() -> None:
    g = guest("nop", user=f"nop; mov eax, [{BUFFER}]; inc eax; int 0x21")
    g.main_source = PRELUDE + ";"
    g.user_flags = 2 | TF
    report = g.report()
    assert [eip - USER for eip, _ in log(report)] == [1, 6, 7]


@pytest.mark.parametrize("user", [False, True])
def test_icebp_is_a_debug_trap_that_ignores_the_gates_dpl_and_leaves_dr6(user: bool) -> None:
    g = guest("nop; .byte 0xf1; nop", user="nop; .byte 0xf1; nop; int 0x21" if user else "")
    if user:
        g.main_source = PRELUDE + ";"
    found = log(g.report(qemu=False))  # QEMU 7.2: #UD
    assert found == [(USER + 2 if user else at(PRELUDE, "nop") + 1, CLEAR)]


# -- instruction breakpoints


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("enable", [1, 2])
def test_an_instruction_breakpoint_is_a_fault_before_the_instruction(number: int, enable: int) -> None:
    where = MAIN + 0x300
    setup = watch(number, where, EXECUTE, 1, enable)
    g = guest(f"{setup}; mov ecx, 5; jmp {where:#x}", handler=RESUME)
    g.place(where, "inc ecx; inc ecx; int 0x21")
    report = g.report()
    assert log(report) == [(where, CLEAR | 1 << number)]
    assert report.registers[1] == 7


def test_without_rf_an_instruction_breakpoint_comes_again() -> None:
    """SDM vol. 3B 15.3.1.1: the processor doesn't set RF in that frame; the handler must."""
    where = MAIN + 0x300
    setup = watch(0, where, EXECUTE, 1)
    thrice = f"cmp dword ptr [{POINTER:#x}], {LOG + 24:#x}; jb on; or dword ptr [esp+8], 0x10000; on:"
    g = guest(f"{setup}; jmp {where:#x}", handler=thrice + HANDLER)
    g.place(where, "nop; nop; int 0x21")
    report = g.report()
    assert [eip for eip, _ in log(report)] == [where] * 4


def test_rf_holds_a_breakpoint_off_for_one_instruction_only() -> None:
    where = MAIN + 0x300
    setup = watch(0, where, EXECUTE, 1) + "; mov ecx, 3"
    g = guest(f"{setup}; jmp {where:#x}", handler=RESUME)
    g.place(where, f"dec ecx; jnz {where:#x}; int 0x21")
    assert [eip for eip, _ in log(g.report())] == [where] * 3


def test_a_breakpoint_in_the_middle_of_a_block_that_has_run_before_is_met() -> None:
    where = MAIN + 0x300
    setup = f"mov eax, {where + 1:#x}; mov dr1, eax"
    arm = f"mov eax, {dr7(1, EXECUTE, 1):#x}; mov dr7, eax"
    call = f"call {where:#x}"
    g = guest(f"{setup}; {call}; {arm}; {call}; {OFF}; {call}", handler=RESUME)
    g.place(where, "nop; nop; ret")
    assert log(g.report()) == [(where + 1, CLEAR | B1)]


# -- data breakpoints


def data_guest(kind: int, length: int, address: int, access: str) -> Guest:
    setup = f"mov ecx, 0x1234; mov esi, {BUFFER:#x}; mov edi, {BUFFER + 32:#x}"
    return guest(f"{watch(0, address, kind, length)}; {setup}; nop; {access}; nop; {OFF}")


def behind(g: Guest, access: str) -> int:
    code = g.contents()[MAIN]
    start = code.index(b"\x90")
    return MAIN + start + 1 + len(assemble(access, MAIN + start + 1))


@pytest.mark.parametrize(
    ("kind", "length", "address", "access", "hit"),
    [
        (WRITE, 4, BUFFER, "mov [esi], ecx", True),
        (WRITE, 4, BUFFER, "mov eax, [esi]", False),
        (READ_WRITE, 4, BUFFER, "mov eax, [esi]", True),
        (READ_WRITE, 4, BUFFER, "mov [esi], ecx", True),
        (WRITE, 1, BUFFER + 3, "mov [esi], ecx", True),
        (WRITE, 1, BUFFER + 4, "mov [esi], ecx", False),
        (WRITE, 2, BUFFER + 2, "mov byte ptr [esi+3], cl", True),
        (WRITE, 2, BUFFER + 2, "mov byte ptr [esi+1], cl", False),
        (WRITE, 4, BUFFER + 4, "mov byte ptr [esi+7], cl", True),
        (WRITE, 4, BUFFER + 4, "mov word ptr [esi+3], cx", True),
        (WRITE, 2, BUFFER + 3, "mov byte ptr [esi+2], cl", True),  # the address is taken to the length
        (WRITE, 4, BUFFER, "add dword ptr [esi], 1", True),
        (WRITE, 4, BUFFER, "cmp dword ptr [esi], 1", False),
        (READ_WRITE, 4, BUFFER, "cmp dword ptr [esi], 1", True),
        (WRITE, 4, BUFFER, "push dword ptr [esi]", False),
        (READ_WRITE, 4, BUFFER, "push dword ptr [esi]", True),
        (WRITE, 4, BUFFER + 32, "stosd", True),
        (READ_WRITE, 4, BUFFER, "movsd es:[edi], [esi]", True),
        (WRITE, 4, BUFFER, "xchg [esi], ecx", True),
        (WRITE, 4, BUFFER, "nop", False),
        (READ_WRITE, 4, BUFFER, "lea eax, [esi]", False),
    ],
)
def test_a_data_breakpoint_traps_after_the_access(
    kind: int, length: int, address: int, access: str, hit: bool
) -> None:
    if access.startswith("movsd"):
        access = ".byte 0xa5"
    g = data_guest(kind, length, address, access)
    expected = [(behind(g, access), CLEAR | B0)] if hit else []
    assert log(g.report(qemu=False)) == expected


def test_a_data_breakpoint_in_a_repeated_instruction_traps_after_that_iteration() -> None:
    g = data_guest(WRITE, 4, BUFFER + 32 + 8, "mov ecx, 4; .byte 0xf3, 0xab")
    first = behind(g, "mov ecx, 4")
    report = g.report(qemu=False)
    assert log(report) == [(first, CLEAR | B0)]
    assert report.registers[7] == BUFFER + 32 + 16


def test_a_data_breakpoint_on_the_stack_sees_pushes_and_calls() -> None:
    top = 0x16A000  # main's stack
    setup = watch(3, top - 4, WRITE, 4)
    source = f"mov esp, {top:#x}; {setup}; push ecx; pop ecx; call {MAIN + 0x300:#x}; {OFF}"
    g = guest(source, handler="nop;" + HANDLER)
    g.place(MAIN + 0x300, "nop; ret")
    # so do the pushes of the handler
    found = log(g.report(qemu=False))
    assert found[0][0] == at(PRELUDE, f"mov esp, {top:#x}", setup, "push ecx")
    assert all(dr6 == CLEAR | B3 for _, dr6 in found)


def test_an_instruction_that_faults_doesnt_report_its_data_breakpoint() -> None:
    setup = watch(0, BUFFER, READ_WRITE, 4)
    g = guest(f"{setup}; mov esi, {BUFFER:#x}; div dword ptr [esi]; nop; {OFF}")
    g.handler(0, "add dword ptr [esp], 2; iretd")
    assert log(g.report(qemu=False)) == []


def test_single_step_and_a_data_breakpoint_are_one_trap() -> None:
    setup = watch(0, BUFFER, WRITE, 4)
    g = guest(f"{setup}; {STEP} nop; mov [{BUFFER:#x}], eax; nop; {STOP} {OFF}")
    found = log(g.report(qemu=False))
    assert [dr6 for _, dr6 in found][:3] == [CLEAR | BS, CLEAR | BS | B0, CLEAR | BS]


def test_a_data_breakpoint_in_a_block_that_has_run_before_is_met() -> None:
    where = MAIN + 0x300
    setup = f"mov eax, {BUFFER:#x}; mov dr2, eax"
    arm = f"mov eax, {dr7(2, WRITE, 4):#x}; mov dr7, eax"
    call = f"call {where:#x}"
    g = guest(f"{setup}; {call}; {arm}; {call}; {OFF}; {call}")
    g.place(where, f"nop; mov dword ptr [{BUFFER:#x}], 5; nop; ret")
    size = len(assemble(f"nop; mov dword ptr [{BUFFER:#x}], 5", where))
    assert log(g.report(qemu=False)) == [(where + size, CLEAR | B2)]


@pytest.mark.parametrize("accounting", [True, False])
def test_breakpoints_work_without_a_model(accounting: bool) -> None:
    g = data_guest(WRITE, 4, BUFFER, "mov [esi], ecx")
    assert len(log(g.report(qemu=False, accounting=accounting))) == 1


def test_disabled_breakpoints_cost_nothing() -> None:
    machine = guest(f"mov eax, {BUFFER:#x}; mov dr0, eax; mov [{BUFFER:#x}], eax").run().machine
    assert machine.state.checks == 0


# -- the registers


def test_the_debug_registers_read_back_with_their_fixed_bits() -> None:
    store = "".join(f"mov eax, dr{n}; mov [{LOG + 4 * n:#x}], eax;" for n in (0, 1, 2, 3, 6, 7))
    source = "mov eax, 0x12345678; mov dr0, eax; mov eax, -1; mov dr3, eax; mov dr6, eax"
    source += "; mov eax, 0xdd00; mov dr7, eax"
    report = guest(f"{source}; {store}").report(qemu=False)
    words = report.words[48:56]
    assert (words[0], words[3], words[6]) == (0x12345678, ALL, CLEAR | 0xE00F)
    assert words[7] == 0x0500


def test_dr4_and_dr5_are_dr6_and_dr7() -> None:
    dr5, dr4 = ".byte 0x0f, 0x21, 0xe9", ".byte 0x0f, 0x21, 0xe1"  # mov ecx, dr5 and dr4
    source = f"mov eax, 0x600; mov dr7, eax; {dr5}; mov [{LOG:#x}], ecx; {dr4}; mov [{LOG + 4:#x}], ecx"
    assert guest(source).report(qemu=False).words[48:50] == (0x600, CLEAR)


def test_dr4_is_undefined_with_cr4_de() -> None:
    report = guest("mov eax, cr4; or eax, 8; mov cr4, eax; nop; .byte 0x0f, 0x21, 0xe1").report()
    assert report.vector == UD


@pytest.mark.parametrize("instruction", ["mov eax, dr0", "mov dr7, eax"])
def test_the_debug_registers_are_for_ring_0(instruction: str) -> None:
    g = Guest(user=f"nop; {instruction}")
    report = g.report()
    assert (report.vector, *report.stack[:2]) == (GP, 0, USER + 1)


@pytest.mark.parametrize("instruction", ["mov eax, dr0", "mov dr1, eax"])
def test_general_detect_refuses_the_debug_registers_once(instruction: str) -> None:
    """SDM vol. 3B 15.2.4: a fault; entering the handler clears GD."""
    g = guest(f"mov eax, 0x2400; mov dr7, eax; nop; {instruction}; nop")
    report = g.report(qemu=False)  # QEMU 7.2 has no GD
    assert log(report) == [(at(PRELUDE, "mov eax, 0x2400; mov dr7, eax; nop"), CLEAR | BD)]


def test_the_pentium_3_has_them_too() -> None:
    g = data_guest(WRITE, 4, BUFFER, "mov [esi], ecx")
    assert len(log(g.report(qemu=False, name=P3))) == 1
