"""Values of CR0 and CR4 that a processor refuses (SDM vol. 2A, MOV to control registers; vol. 3A 2.5)."""

import pytest

from emulator.cpu.features import reserved_cr4
from tests.cpu.support import GP, MAIN, P3, UD, Guest, assemble

ON = "mov eax, {}; mov cr{}, eax"


def refused(source: str, **options: str) -> bool:
    g = Guest(f"{source}; mov ebx, cr0; mov ecx, cr4; ud2")
    report = g.report(qemu=False, **options)
    if report.vector == UD:
        return False
    at = MAIN + len(assemble(source.rpartition("; ")[0], MAIN))
    assert (report.vector, *report.stack[:2]) == (GP, 0, at)
    return True


@pytest.mark.parametrize(
    ("value", "refuses"),
    [
        (0x80000010, True),  # PG without PE
        (0x20000011, True),  # NW without CD
        (0x60000011, False),
        (0x40000011, False),
        (0x1FFAFFC1, False),  # reserved bits are ignored
    ],
)
def test_cr0(value: int, refuses: bool) -> None:
    assert refused(ON.format(value, 0)) == refuses


@pytest.mark.parametrize("bit", [*range(5), *range(6, 32)])
def test_cr4_takes_the_bits_that_the_processor_has(bit: int) -> None:
    assert refused(ON.format(1 << bit, 4)) == (bit > 10)


def test_a_processor_without_sse_has_no_osxmmexcpt() -> None:
    assert reserved_cr4(1 << 24) >> 9 & 3 == 2
    assert not refused(ON.format(1 << 10, 4), name=P3)


def test_a_refused_value_changes_nothing_and_every_register_is_looked_at() -> None:
    for register in ("eax", "ecx", "edx", "ebx", "ebp", "esi", "edi"):
        g = Guest(f"mov {register}, 0x20000019; mov cr0, {register}; nop")
        g.handler(GP, "mov eax, cr0; ud2")
        report = g.report(qemu=False)
        assert (report.vector, report.registers[0]) == (UD, 0x11)


def test_outside_ring_0_it_is_gp_whatever_the_value() -> None:
    g = Guest(user="mov eax, 0x11; mov cr0, eax")
    assert g.report().vector == GP


def test_the_way_into_and_out_of_paging_is_free() -> None:
    source = "mov eax, cr0; and eax, 0x7fffffff; mov cr0, eax; or eax, 0x80000000; mov cr0, eax; ud2"
    assert Guest(source, paging=True).report().vector == UD
