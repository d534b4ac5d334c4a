"""Virtual-8086 mode (SDM vol. 3A, chapter 16): entered by IRET, left through ring 0."""

import pytest

from tests.cpu.support import (
    CODE0,
    CODE1,
    CONFORMING,
    DATA0,
    GP,
    IF,
    IOPL3,
    RF,
    UD,
    VM,
    Guest,
)

# FFFF:0010 is 1 MB
VM_CODE = 0xA010  # FFFF:A010 = 0x10A000
VM_FLAGS = VM | IOPL3 | 0x202


def vm86(source: str, flags: int = VM_FLAGS) -> Guest:
    pushes = "; ".join(
        f"push {v:#x}" for v in (0x4444, 0x3333, 0x2222, 0x1111, 0xFFFF, 0xB010, flags, 0xFFFF, VM_CODE)
    )
    guest = Guest(f"{pushes}; iretd")
    guest.place(0x10A000, source, bits=16)
    guest.gate(0x21, dpl=3)
    return guest


@pytest.mark.parametrize(
    ("source", "vector", "offset", "error"),
    [("mov ax, 7; int 0x21", 0x21, 5, None), ("nop; ud2", UD, 1, None), ("nop; hlt", GP, 1, 0)],
)
def test_vm86_is_left_through_ring_0_with_the_segments_on_the_stack(
    source: str, vector: int, offset: int, error: int | None
) -> None:
    report = vm86(source).report()
    frame = list(report.stack)
    assert report.vector == vector
    if error is not None:
        assert frame.pop(0) == error
    flags = VM_FLAGS | (0 if vector == 0x21 else RF)
    assert frame[:9] == [VM_CODE + offset, 0xFFFF, flags, 0xB010, 0xFFFF, 0x1111, 0x2222, 0x3333, 0x4444]
    assert report.data == (0, 0, 0, 0)
    assert report.eflags & (VM | IF) == 0
    assert (report.cs, report.ss) == (CODE0, DATA0)


@pytest.mark.parametrize("source", ["int 0x21", "cli", "pushf", "iret"])
def test_vm86_below_iopl_3_may_not_touch_interrupts(source: str) -> None:
    report = vm86(f"nop; {source}", VM | 0x202).report()
    assert (report.vector, *report.stack[:3]) == (GP, 0, VM_CODE + 1, 0xFFFF)


def test_vm86_goes_on_after_iret() -> None:
    guest = vm86("int 0x21; mov bx, 5; int 0x22")
    guest.handler(0x21, "mov eax, 0x12345678; iretd")
    guest.gate(0x22, dpl=3)
    report = guest.report()
    assert report.registers[0] == 0x12345678
    assert report.registers[3] & 0xFFFF == 5
    assert report.stack[:3] == (VM_CODE + 7, 0xFFFF, VM_FLAGS)


@pytest.mark.parametrize("selector", [CONFORMING, CODE1])
def test_vm86_may_only_be_left_to_ring_0(selector: int) -> None:
    guest = vm86("int 0x21")
    guest.gate(0x21, dpl=3, selector=selector)
    report = guest.report(qemu=False)  # QEMU 7.2 enters ring 1
    assert (report.vector, *report.stack[:2]) == (GP, selector & ~3, VM_CODE)
