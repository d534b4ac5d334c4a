"""Accesses over a page boundary, of which the engine tells only the first page."""

import pytest

from tests import support
from tests.support import EXIT, FRAMES, MEMORY, PROFILES, TABLES, P, Rig, U, W, logged

VICTIM, OTHERS, HIGH = 0x400000, 0x800000, 0xC00000
PAGES = 128  # more than a TLB has

profiles = pytest.mark.parametrize("name", PROFILES)


@profiles
def test_a_store_that_reaches_into_a_page_table_from_the_page_before_changes_it(name: str) -> None:
    """The victim's translation has left the modelled TLB, but not the engine's."""
    rig = Rig(name)
    rig.small(VICTIM, FRAMES, P | W | U)
    assert rig.pte_at(VICTIM) == TABLES
    for page in range(PAGES):
        rig.small(OTHERS + 4096 * page, FRAMES + 4096 * (1 + page), P | W | U)
    log = rig.run(
        f"""mov eax, [{VICTIM}]; mov esi, {OTHERS}; mov ecx, {PAGES}
            go: mov eax, [esi]; add esi, 4096; dec ecx; jnz go
            mov dword ptr [{TABLES - 2}], 0; jmp next
            next: lea edi, [done]; mov eax, [{VICTIM}]; mov eax, 1; int 0x30
            done: {EXIT}"""
    )
    assert log == [(14, VICTIM, 0)]


@profiles
def test_a_store_from_the_last_page_of_memory_to_what_lies_behind(name: str) -> None:
    rig = Rig(name)
    rig.small(HIGH, MEMORY - 4096, P | W | U)
    rig.small(HIGH + 4096, 0xFFFFF000, P | W | U)
    rig.small(HIGH + 8192, FRAMES, P | W | U)
    log = rig.run(
        f"""mov dword ptr [{HIGH + 0xFFE}], 0x12345678; movzx eax, word ptr [{HIGH + 0xFFE}]
            xor ebx, ebx; int 0x30
            mov dword ptr [{HIGH + 0x1FFE}], 0x12345678; movzx eax, word ptr [{HIGH + 0x2000}]; int 0x30
            {EXIT}"""
    )
    assert log == logged(0x5678, 0x1234)


@profiles
def test_a_crossing_store_without_paging_is_an_ordinary_store(name: str) -> None:
    machine = support.machine(name)
    code = support.assemble(
        f"mov dword ptr [{MEMORY - 4098}], 0x12345678; mov al, 0; out 0xf4, al; hlt", 0x100000
    )
    machine.load(support.flat(code, 0x100000))
    assert machine.run(max_cycles=100_000).kind == "exit"
    assert machine.ram.read(MEMORY - 4098, 4) == b"\x78\x56\x34\x12"
