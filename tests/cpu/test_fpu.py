"""x87 and SSE exceptions: flags, masks, #MF, and FERR# through the chipset."""

import struct

import pytest

from tests.cpu.support import MAIN, MF, P3, RAN_ON, REPORT, TF, Guest, Ran, assemble

NM = 7
NATIVE = "mov eax, cr0; or eax, 0x20; mov cr0, eax;"  # NE
DATA = 0x150000
CONTROL, STATUS = DATA + 0x80, DATA + 0x90
AREA = 0x151000
HUGE, TINY = struct.pack("<QH", 1 << 63, 0x7FF0), struct.pack("<QH", 1 << 63, 3)
INVALID = "fldz; fldz; fdivp st(1), st"
ZERO = "fld1; fldz; fdivp st(1), st"
OVERFLOW = f".byte 0xdb, 0x2d; .long {DATA:#x}; fmul st, st(0)"
UNDERFLOW = f".byte 0xdb, 0x2d; .long {DATA + 16:#x}; fmul st, st(0)"
INEXACT = f"fld qword ptr [{DATA + 32:#x}]; fmul st, st(0)"
IE, DE, ZE, OE, UE, PE, ES, B = 1, 2, 4, 8, 16, 32, 0x80, 0x8000
EXCEPTIONS = {
    "invalid": (INVALID, IE, IE),
    "zero divide": (ZERO, ZE, ZE),
    "overflow": (OVERFLOW, OE, OE | PE),
    "underflow": (UNDERFLOW, UE, UE | PE),
    "precision": (INEXACT, PE, PE),
}


def guest(source: str, *, user: str = "", native: bool = True, control: int = 0x37F) -> Guest:
    start = (
        f"{NATIVE if native else ''} fninit; mov word ptr [{CONTROL:#x}], {control:#x}; fldcw [{CONTROL:#x}];"
    )
    g = Guest(start + source, user=user)
    g.pieces[DATA] = HUGE.ljust(16, b"\0") + TINY.ljust(16, b"\0") + struct.pack("<d", 1 / 3)
    return g


def status_of(source: str, **options: int) -> int:
    """What FNSTSW says behind the source, which runs to its end."""
    g = guest(f"{source}; fnstsw ax; mov [{REPORT + 16:#x}], eax", **options)
    ran = g.run()
    assert (ran.outcome.kind, ran.outcome.status) == ("exit", RAN_ON), ran.outcome
    return ran.words[4] & 0xFFFF & ~0x7F00


@pytest.mark.parametrize(("source", "flag", "flags"), EXCEPTIONS.values(), ids=EXCEPTIONS)
def test_a_masked_exception_sets_its_flag_alone(source: str, flag: int, flags: int) -> None:
    assert status_of(source) == flags


@pytest.mark.parametrize(("source", "flag", "flags"), EXCEPTIONS.values(), ids=EXCEPTIONS)
def test_an_unmasked_exception_is_raised_by_the_next_waiting_instruction(
    source: str, flag: int, flags: int
) -> None:
    before = f"{source}; fnstsw ax; nop"
    g = guest(f"{before}; wait", control=0x37F & ~flag)
    report = g.report()
    assert (report.vector, report.stack[0]) == (MF, MAIN + len(assemble(g.main_source[:-6], MAIN)))
    assert report.registers[0] & 0xFFFF & ~0x7F00 == flags | ES | B


@pytest.mark.parametrize(("source", "flag", "flags"), EXCEPTIONS.values(), ids=EXCEPTIONS)
def test_an_exception_masked_among_unmasked_ones_is_not_raised(source: str, flag: int, flags: int) -> None:
    assert status_of(f"{source}; wait; fldz", control=0x340 | flags) == flags


@pytest.mark.parametrize(
    "waiting",
    [
        *("fld1", "fnop", "fstp st", "fcomi st, st(0)", f"fldcw [{CONTROL:#x}]", f"fldenv [{AREA:#x}]"),
        *("emms", "movd mm0, ecx", f"fst dword ptr [{AREA:#x}]", "fincstp", "fwait"),
    ],
)
def test_every_waiting_instruction_raises_what_is_pending(waiting: str) -> None:
    g = guest(f"{ZERO}; nop; {waiting}", control=0x340)
    report = g.report(qemu=False)  # which looks at WAIT and FNOP only
    assert (report.vector, report.stack[0]) == (
        MF,
        MAIN + len(assemble(g.main_source.rpartition(";")[0], MAIN)),
    )


@pytest.mark.parametrize(
    "quiet",
    [
        *(f"fnstcw [{AREA:#x}]", f"fxsave [{AREA:#x}]", "fnstsw ax", f"fnstenv [{AREA:#x}]; fld1"),
        *("fninit; fld1", f"fnsave [{AREA:#x}]; fld1; wait", "fnclex; wait; fld1", "paddd xmm0, xmm1"),
    ],
)
def test_other_instructions_leave_it_pending_or_clear_it(quiet: str) -> None:
    ran = guest(f"mov eax, cr4; or eax, 0x200; mov cr4, eax; {ZERO}; {quiet}", control=0x340).run()
    assert (ran.outcome.kind, ran.outcome.status) == ("exit", RAN_ON)


def test_a_load_of_the_control_word_unmasks_what_was_noted_before() -> None:
    g = guest(f"{INEXACT}; mov word ptr [{CONTROL:#x}], 0x340; fldcw [{CONTROL:#x}]; nop; fld1")
    report = g.report(qemu=False)  # which keeps ES as it was
    assert (report.vector, report.stack[0]) == (
        MF,
        MAIN + len(assemble(g.main_source.rpartition(";")[0], MAIN)),
    )


def test_an_unmasked_error_is_found_in_a_later_block_and_another_ring() -> None:
    user = f"mov ecx, 3; jmp on; on: {INVALID}; loop last; last: wait"
    g = guest("nop", user=user, control=0x340)
    g.user_flags = 0x3002
    report = g.report()
    assert (report.vector, report.stack[1] & 3) == (MF, 3)


def test_device_not_available_comes_before_a_pending_error() -> None:
    g = guest(f"{ZERO}; mov eax, cr0; or eax, 8; mov cr0, eax; fld1", control=0x340)
    assert g.report().vector == NM


def test_zero_by_zero_is_not_a_zero_divide_behind_a_load_of_the_status() -> None:
    save = f"fnstenv [{AREA:#x}]; fldenv [{AREA:#x}]"
    assert status_of(f"{INEXACT}; {save}; {INVALID}") == IE | PE
    assert status_of(f"{ZERO}; fnsave [{AREA:#x}]; frstor [{AREA:#x}]; jmp on; on: {INVALID}") == IE | ZE


def test_storing_the_environment_masks_all_exceptions() -> None:
    g = guest(f"fnstenv [{AREA:#x}]; fnstcw [{REPORT + 16:#x}]; {ZERO}; fld1", control=0x340)
    ran = g.run()
    assert ran.outcome.status == RAN_ON
    assert (ran.words[4] & 0xFFFF, ran.machine.ram.read(AREA, 2)) == (0x37F, b"\x40\x03")


def test_a_saved_environment_has_the_flags() -> None:
    ran = guest(f"{INEXACT}; fnstenv [{AREA:#x}]; {INVALID}; fxsave [{AREA + 64:#x}]").run()
    saved = struct.unpack("<H", ran.machine.ram.read(AREA + 4, 2))[0]
    later = struct.unpack("<H", ran.machine.ram.read(AREA + 66, 2))[0]
    assert (saved & 0x3F, later & 0x3F) == (PE, PE | IE)


def test_flags_are_the_same_in_every_way_to_run() -> None:
    source = f"{INEXACT}; {INVALID}; fnstsw ax; mov [{REPORT + 16:#x}], eax"
    runs = [guest(source).run(**options) for options in ({}, {"feed": "hooks"}, {"accounting": False})]
    assert [ran.words[4] & 0x3F for ran in runs] == [IE | PE] * 3
    assert runs[0].machine.cycles == runs[1].machine.cycles


# -- FERR#

# unmask IRQ13 at the slave with its vectors at 0x28, and the cascade at the master
PICS = """
    mov al, 0x11; out 0x20, al; out 0xa0, al; mov al, 0x20; out 0x21, al; mov al, 0x28; out 0xa1, al
    mov al, 4; out 0x21, al; mov al, 2; out 0xa1, al; mov al, 1; out 0x21, al; out 0xa1, al
    mov al, 0xfb; out 0x21, al; mov al, 0xdf; out 0xa1, al;
"""
SERVE = f"""
    push eax; inc dword ptr [{STATUS:#x}]
    out 0xf0, al; {{clear}}
    mov al, 0x20; out 0xa0, al; out 0x20, al; pop eax; iretd
"""


def chipset(source: str, clear: str = "fnclex") -> Ran:
    g = guest(
        f"{PICS} sti; {source}; mov eax, [{STATUS:#x}]; mov [{REPORT + 16:#x}], eax",
        native=False,
        control=0x340,
    )
    g.pieces[STATUS] = bytes(4)
    g.handler(0x2D, SERVE.format(clear=clear))
    ran = g.run()
    assert (ran.outcome.kind, ran.outcome.status) == ("exit", RAN_ON), ran.outcome
    return ran


def test_without_ne_the_error_is_irq_13_before_the_waiting_instruction() -> None:
    ran = chipset(f"{ZERO}; mov ecx, 1; wait; fld1; wait")
    assert ran.words[4] == 1
    assert not ran.machine.devices.numeric_error.asserted


def test_the_interrupt_handler_sees_the_waiting_instruction_that_it_interrupts() -> None:
    g = guest(f"{PICS} sti; {ZERO}; nop; fld1", native=False, control=0x340)
    report = g.report(qemu=False)  # which executes FLD1
    assert (report.vector, report.stack[0]) == (
        0x2D,
        MAIN + len(assemble(g.main_source.rpartition(";")[0], MAIN)),
    )


def test_after_the_write_to_port_f0_instructions_ignore_the_error_until_it_is_cleared() -> None:
    ran = chipset(f"{ZERO}; wait; fld1; wait; fldz; fnclex; {INVALID}; fld1; wait", clear="nop")
    assert ran.words[4] == 2


def test_each_error_interrupts_once() -> None:
    assert chipset("; ".join([ZERO, "wait", INVALID, "wait"] * 3)).words[4] == 6


def test_a_masked_interrupt_lets_execution_go_on() -> None:
    ran = chipset(f"cli; {ZERO}; fld1; nop; wait; fldz; fnclex")
    assert (ran.words[4], ran.machine.devices.numeric_error.asserted) == (0, True)


# -- SSE


SSE = "mov eax, cr4; or eax, 0x600; mov cr4, eax;"
OPERANDS = struct.pack("<8I", 0x3F800000, 0, 0x40400000, 0x7F000000, 0x00C00000, 0xBF800000, 0, 0)


def mxcsr_of(source: str, control: int = 0x1F80, **options: str) -> int:
    load = "; ".join(f"movss xmm{n}, [{DATA + 64 + 4 * n:#x}]" for n in range(6))
    g = Guest(
        f"{SSE} mov dword ptr [{CONTROL:#x}], {control:#x}; ldmxcsr [{CONTROL:#x}]; {load}; {source};"
        f" stmxcsr [{REPORT + 16:#x}]; movss [{REPORT + 20:#x}], xmm0"
    )
    g.pieces[DATA + 64] = OPERANDS
    ran = g.run(**options)
    assert (ran.outcome.kind, ran.outcome.status) == ("exit", RAN_ON), ran.outcome
    return ran.words[4]


@pytest.mark.parametrize(
    ("source", "flags"),
    [
        ("addss xmm0, xmm0", 0),
        ("divss xmm1, xmm1", IE),
        ("sqrtss xmm0, xmm5", IE),
        ("divss xmm0, xmm1", ZE),
        ("mulss xmm3, xmm3", OE | PE),
        ("mulss xmm4, xmm4", UE | PE),
        ("divss xmm0, xmm2", PE),
        ("cvttss2si eax, xmm3", IE),
        ("divss xmm0, xmm2; divss xmm1, xmm1", IE | PE),
    ],
)
def test_mxcsr_has_the_flags_of_sse_exceptions(source: str, flags: int) -> None:
    assert mxcsr_of(source) == 0x1F80 | flags
    assert mxcsr_of(f"{source}; ldmxcsr [{CONTROL:#x}]", 0x1F80) == 0x1F80
    assert mxcsr_of(source, name=P3) == 0x1F80 | flags if "cvtt" not in source else True


def test_flush_to_zero_is_for_sse_results_and_not_for_x87s() -> None:
    g = guest(
        f"{SSE} mov dword ptr [{AREA:#x}], 0x9f80; ldmxcsr [{AREA:#x}]; movss xmm0, [{DATA + 80:#x}];"
        f" mulss xmm0, [{DATA + 84:#x}]; movss [{REPORT + 16:#x}], xmm0; {UNDERFLOW}; fstp st;"
        f" .byte 0xdb, 0x2d; .long {DATA + 16:#x};"
        f" fmul dword ptr [{DATA + 84:#x}]; fmul dword ptr [{DATA + 84:#x}];"
        f" .byte 0xdb, 0x3d; .long {REPORT + 20:#x}; stmxcsr [{REPORT + 32:#x}]"
    )
    g.pieces[DATA + 80] = struct.pack("<2I", 0x00C00000, 0x3E800000)  # times a quarter
    ran = g.run()
    assert (ran.words[4], ran.words[8]) == (0, 0x9F80 | UE | PE)
    assert struct.pack("<3I", *ran.words[5:8])[:10] == struct.pack("<QH", 1 << 61, 0)


def test_single_steps_between_them_change_nothing() -> None:
    """Every instruction is then a block of its own, so none of these has another behind it."""
    g = guest(
        f"push {TF | 2:#x}; popfd; {INVALID}; fnclex; {INEXACT}; fnstsw ax; mov [{REPORT + 16:#x}], eax;"
        " push 2; popfd"
    )
    g.handler(1, "iretd")
    ran = g.run()
    assert ran.words[4] & 0xFF == PE
