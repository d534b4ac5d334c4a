"""ENTER: BP or EBP is loaded by the size of the operand, whatever that of the stack (SDM vol. 2A, ENTER)."""

import pytest

from tests.cpu.support import DATA16, PF, RAN_ON, REPORT, Guest

STACK = 0x5000FF00  # only its low half counts on a 16-bit stack
OLD = 0x12345678


def registers(source: str, *, stack16: bool = False, **options: object) -> tuple[int, int]:
    """(EBP, ESP) after the source."""
    stack = f"mov ax, {DATA16}; mov ss, ax; mov esp, {STACK:#x};" if stack16 else "mov esp, 0x15ff00;"
    done = f"mov [{REPORT + 16:#x}], ebp; mov [{REPORT + 20:#x}], esp"
    ran = Guest(f"{stack} mov ebp, {OLD:#x}; {source}; {done}").run(**options)
    assert (ran.outcome.kind, ran.outcome.status) == ("exit", RAN_ON), ran.outcome
    return ran.words[4], ran.words[5]


@pytest.mark.parametrize("behind", ["", "; nop", "; jmp on; on:", "; mov cr0, ecx"])
@pytest.mark.parametrize("feed", ["planned", "hooks"])
def test_a_16_bit_operand_on_a_32_bit_stack_loads_bp_alone(behind: str, feed: str) -> None:
    source = f"mov ecx, cr0; .byte 0x66; enter 0x10, 0{behind}"
    assert registers(source, feed=feed) == (0x1234FEFE, 0x15FEEE)


def test_a_32_bit_operand_on_a_16_bit_stack_loads_all_of_ebp() -> None:
    assert registers("enter 0x10, 0", stack16=True) == (STACK - 4, STACK - 0x14)


@pytest.mark.parametrize(
    ("source", "stack16", "expected"),
    [
        ("enter 0x10, 0", False, (0x15FEFC, 0x15FEEC)),
        (".byte 0x66; enter 0x10, 0", True, (OLD & 0xFFFF0000 | 0xFEFE, STACK - 0x12)),
        ("enter 0x10, 1", False, (0x15FEFC, 0x15FEE8)),
        (".byte 0x66; enter 4, 1", False, (0x1234FEFE, 0x15FEF8)),
    ],
)
def test_other_sizes_and_levels(source: str, stack16: bool, expected: tuple[int, int]) -> None:
    assert registers(source, stack16=stack16) == expected


def test_an_enter_that_faults_leaves_ebp_alone() -> None:
    g = Guest("nop", user=f"mov esp, 0x202000; mov ebp, {OLD:#x}; .byte 0x66; enter 0x10, 0", paging=True)
    g.map(0x201000, 0)
    report = g.report()
    assert (report.vector, report.registers[5]) == (PF, OLD)
