"""Boot sectors that want a BIOS are told that there is none (IBM PC AT technical reference: the vectors)."""

import pytest

from emulator.machine import Machine, Outcome
from loader import load_image
from tests.cpu.support import P4, RAM, Guest, assemble, profile

END = "mov al, 7; out 0xf4, al; hlt"


def boot(source: str) -> Machine:
    machine = Machine(profile(P4), memory_bytes=RAM)
    sector = assemble(source, 0x7C00, 16).ljust(510, b"\0") + b"\x55\xaa"
    machine.load(load_image(sector, memory_bytes=RAM))
    return machine


def outcome(source: str) -> Outcome:
    return boot(source).run(max_cycles=100_000)


@pytest.mark.parametrize(
    ("vector", "service"),
    [(0x10, "video"), (0x13, "disk"), (0x15, "system"), (0x16, "keyboard"), (0x80, "interrupt")],
)
def test_a_call_is_named_with_its_place_and_ax(vector: int, service: str) -> None:
    ended = outcome(f"mov sp, 0x7c00; mov ax, 0xe41; int {vector}")
    assert ended.kind == "error"
    assert f"BIOS INT {vector:02X}h ({service}, AX=0e41) at 0000:7c06: there is no BIOS" in ended.message


@pytest.mark.parametrize("place", [(0xFFFF, 0), (0xF000, 0xFFF0)])
def test_a_jump_to_the_reset_vector_is_a_reset(place: tuple[int, int]) -> None:
    segment, offset = place
    ended = outcome(f".byte 0xea; .short {offset}; .short {segment}")
    assert ended.kind == "error"
    assert "asked for a reset" in ended.message


def test_an_exception_without_a_handler_is_no_call() -> None:
    ended = outcome("mov sp, 0x7c00; xor cx, cx; div cx")
    assert ended.kind == "error"
    assert "vector 00h (#DE) was taken at 0000:7c05" in ended.message


@pytest.mark.parametrize("instruction", ["int3", "int 0x1c", "int 0x4a"])
def test_vectors_that_a_bios_gives_an_iret_come_back(instruction: str) -> None:
    assert outcome(f"mov sp, 0x7c00; {instruction}; {END}").status == 7


def test_a_vector_that_the_guest_sets_is_its_own() -> None:
    ended = outcome(
        """jmp start; mov bx, ax; iret
            start: mov sp, 0x7c00; mov word ptr [0x40], 0x7c02; mov word ptr [0x42], 0
            mov ax, 7; int 0x10; mov al, bl; out 0xf4, al; hlt"""
    )
    assert ended.status == 7


def test_protected_mode_code_may_run_where_the_vectors_lead() -> None:
    """Linear f000:e000 + 10h belongs to whoever maps it; here an IRET stands there."""
    guest = Guest("push 2; push 8; push 0x148000; mov eax, 0xfe010; jmp eax")
    guest.place(0x148000, "mov ebx, 5; ud2")
    assert guest.report(qemu=False).registers[3] == 5
