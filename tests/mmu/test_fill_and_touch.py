"""A page-table entry filled and used in the same block (SDM vol. 3A 4.10.4.3: no invalidation is needed)."""

import pytest

from tests.cpu.support import HOLE, PF, TABLES, UD, Guest

ENTRY = TABLES + 0x1000 + 4 * (HOLE >> 12)
FRAME = 0x150000


def guest(source: str) -> Guest:
    g = Guest(f"{source}; ud2", paging=True)
    g.map(HOLE, 0)
    g.pieces[FRAME] = b"\x11\x22\x33\x44" + bytes(60)
    return g


FILL = f"mov dword ptr [{ENTRY:#x}], {FRAME | 7:#x}"


@pytest.mark.parametrize("accounting", [True, False])
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (f"{FILL}; mov eax, [{HOLE:#x}]", 0x44332211),
        (f"{FILL}; mov dword ptr [{HOLE + 4:#x}], 9; mov eax, [{FRAME + 4:#x}]", 9),
        (f"{FILL}; add dword ptr [{HOLE:#x}], 1; mov eax, [{HOLE:#x}]", 0x44332212),
        (f"{FILL}; mov eax, [{HOLE - 2:#x}]", 0x22110000),  # over the edge
        (f"mov edi, {ENTRY:#x}; mov eax, {FRAME | 7:#x}; stosd; mov eax, [{HOLE:#x}]", 0x44332211),
        (f"{FILL}; mov esp, {HOLE + 64:#x}; push 5; mov eax, [{FRAME + 60:#x}]", 5),
    ],
)
def test_the_new_entry_is_seen_at_once(source: str, expected: int, accounting: bool) -> None:
    ran = guest(source).run(accounting=accounting)
    assert (ran.report.vector, ran.report.registers[0]) == (UD, expected)
    if accounting:
        assert ran.machine.state.unmapped_model == 0


def test_after_a_fault_on_the_page_too_and_the_walk_is_charged_once() -> None:
    g = guest(f"mov ecx, [{HOLE:#x}]")
    g.handler(PF, f"mov eax, [{HOLE - 8:#x}]; {FILL}; mov ebx, [{HOLE:#x}]; add esp, 4; iretd")
    ran = g.run()
    assert (ran.report.vector, ran.report.registers[1], ran.report.registers[3]) == (
        UD,
        0x44332211,
        0x44332211,
    )
    assert ran.machine.state.unmapped_model == 0


def test_a_page_that_was_invalidated_and_filled_again() -> None:
    other = FRAME + 0x1000
    source = (
        f"{FILL}; mov eax, [{HOLE:#x}]; mov dword ptr [{ENTRY:#x}], 0; invlpg [{HOLE:#x}];"
        f" mov dword ptr [{ENTRY:#x}], {other | 7:#x}; mov eax, [{HOLE:#x}]"
    )
    g = guest(source)
    g.pieces[other] = b"\x55\x66\x77\x08"
    assert g.run().report.registers[0] == 0x08776655
