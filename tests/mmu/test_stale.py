"""Stale translations as a guest meets them: the modelled TLB is the machine's TLB (SDM vol. 3A 10.9)."""

import itertools
import struct

import pytest

from tests.support import (
    BIG,
    DIRECTORY,
    EXIT,
    FRAMES,
    PENTIUM4,
    PROFILES,
    TO_KERNEL,
    TO_USER,
    G,
    P,
    Rig,
    U,
    W,
)

SANDBOX = 0x1000000  # linear; a 4 MB page on FRAMES
PDE = DIRECTORY + 4 * (SANDBOX >> 22)
SMALL = 0x1400000  # linear; an area of 4 KB pages
CLOSED = FRAMES | P | W | BIG
OPEN = CLOSED | U
CODE = SANDBOX + 0x100  # logs EAX, goes on at EDI
READ, WRITE, FETCH = (0x30, 0x5EC2E7, 0), (0x30, 0x77, 0), (0x30, CODE, 0)

INVLPG = f"invlpg [{SANDBOX}];"
RELOAD_CR3 = "mov eax, cr3; mov cr3, eax;"

_labels = itertools.count()


def attempt(access: str) -> str:
    """An access that logs EAX if it succeeds and #PF if not."""
    label = f"next{next(_labels)}"
    return f"lea edi, [{label}]; {access} {label}:"


def read(address: int = SANDBOX) -> str:
    return attempt(f"mov eax, [{address}]; int 0x30;")


def write(address: int = SANDBOX) -> str:
    return attempt(f"mov eax, 0x77; mov [{address}], eax; int 0x30;")


def fetch(address: int = CODE) -> str:
    return attempt(f"mov eax, {address}; jmp eax;")


def write_entry(at: int, value: int) -> str:
    return f"mov dword ptr [{at}], {value};"


def change_entry(at: int, value: int) -> str:
    """As a kernel does it: read, modify, write the same line."""
    return f"mov eax, [{at}]; and eax, 0; or eax, {value}; mov [{at}], eax;"


def fault(error: int, address: int = SANDBOX) -> tuple[int, int, int]:
    return (14, address, error)


def sandbox(profile: str, entry: int, **options: object) -> Rig:
    rig = Rig(profile, **options)
    rig.poke(PDE, entry)
    rig.poke(FRAMES, 0x5EC2E7)
    rig.machine.ram.write(FRAMES + 0x100, b"\xcd\x30\xff\xe7")
    return rig


def run(rig: Rig, *parts: str) -> list[tuple[int, int, int]]:
    return rig.run("xor ebx, ebx;" + "".join(parts) + EXIT)


ACCESSES = {
    "read": (read, READ, fault(5)),
    "write": (write, WRITE, fault(7)),
    "fetch": (fetch, FETCH, fault(5, CODE)),
}
pytestmark = pytest.mark.parametrize("profile", PROFILES)
each_access = pytest.mark.parametrize("kind", ACCESSES)
each_edit = pytest.mark.parametrize("edit", [write_entry, change_entry])


@each_access
@each_edit
def test_closing_without_invalidation_leaves_a_hole(profile: str, kind: str, edit) -> None:
    access, success, _ = ACCESSES[kind]
    log = run(sandbox(profile, OPEN), TO_USER, access(), TO_KERNEL, edit(PDE, CLOSED), TO_USER, access())
    assert log == [success, success]


@each_access
@each_edit
def test_closing_with_invlpg_faults(profile: str, kind: str, edit) -> None:
    access, success, failure = ACCESSES[kind]
    rig = sandbox(profile, OPEN)
    assert run(rig, TO_USER, access(), TO_KERNEL, edit(PDE, CLOSED), INVLPG, TO_USER, access()) == [
        success,
        failure,
    ]
    assert rig.machine.statistics()["invlpg_count"] == 1


@each_access
def test_closing_with_a_cr3_reload_faults_unless_the_page_is_global(profile: str, kind: str) -> None:
    access, success, failure = ACCESSES[kind]
    for bits, expected in ((0, failure), (G, success)):
        rig = sandbox(profile, OPEN | bits)
        log = run(
            rig, TO_USER, access(), TO_KERNEL, write_entry(PDE, CLOSED | bits), RELOAD_CR3, TO_USER, access()
        )
        assert log == [success, expected]


def test_a_global_page_is_ordinary_while_pge_is_off(profile: str) -> None:
    rig = sandbox(profile, OPEN | G, cr4=0x10)
    log = run(rig, TO_USER, read(), TO_KERNEL, write_entry(PDE, CLOSED | G), RELOAD_CR3, TO_USER, read())
    assert log == [READ, fault(5)]


def test_turning_pge_off_drops_global_entries(profile: str) -> None:
    toggle = "mov eax, cr4; xor eax, 0x80; mov cr4, eax;"
    rig = sandbox(profile, OPEN | G)
    log = run(rig, TO_USER, read(), TO_KERNEL, write_entry(PDE, CLOSED | G), toggle, TO_USER, read())
    assert log == [READ, fault(5)]


def test_the_kernel_keeps_access_to_a_closed_sandbox(profile: str) -> None:
    log = run(sandbox(profile, CLOSED), read(), write(), fetch(), TO_USER, read(), write(), fetch())
    assert log == [READ, WRITE, FETCH, fault(5), fault(7), fault(5, CODE)]


@each_access
def test_opening_without_invalidation_faults_once_with_p_set(profile: str, kind: str) -> None:
    access, success, failure = ACCESSES[kind]
    rig = sandbox(profile, CLOSED)
    log = run(rig, access(), write_entry(PDE, OPEN), TO_USER, access(), access())
    assert log == [success, failure, success]


@each_access
def test_opening_with_invlpg_never_faults(profile: str, kind: str) -> None:
    access, success, _ = ACCESSES[kind]
    rig = sandbox(profile, CLOSED)
    assert run(rig, access(), write_entry(PDE, OPEN), INVLPG, TO_USER, access()) == [success, success]


def test_opening_a_page_that_was_never_touched_needs_no_invalidation(profile: str) -> None:
    log = run(sandbox(profile, 0), TO_USER, read(), TO_KERNEL, write_entry(PDE, OPEN), TO_USER, read())
    assert log == [fault(4), READ]  # the TLB doesn't remember what isn't present


def test_a_read_doesnt_load_the_code_tlb_nor_a_fetch_the_data_tlb(profile: str) -> None:
    close = TO_KERNEL + write_entry(PDE, CLOSED) + TO_USER
    assert run(sandbox(profile, OPEN), TO_USER, read(), close, fetch(), read()) == [
        READ,
        fault(5, CODE),
        READ,
    ]
    assert run(sandbox(profile, OPEN), TO_USER, fetch(), close, read(), fetch()) == [FETCH, fault(5), FETCH]


def test_invlpg_drops_the_entries_of_both_sides(profile: str) -> None:
    close = TO_KERNEL + write_entry(PDE, CLOSED) + INVLPG + TO_USER
    log = run(sandbox(profile, OPEN), TO_USER, read(), fetch(), close, read(), fetch())
    assert log == [READ, FETCH, fault(5), fault(5, CODE)]


@pytest.mark.parametrize("accounting", [True, False], ids=["accounting", "plain"])
@pytest.mark.parametrize("offset", [0, 0x1000, 0x123456, 0x3FFFFF])
def test_invlpg_of_any_address_in_a_large_page_drops_all_of_it(
    profile: str, offset: int, accounting: bool
) -> None:
    invalidate = f"mov ecx, {SANDBOX + offset - 64}; mov edx, 16; invlpg [ecx + edx*4];"
    far = SANDBOX + 0x200000
    log = run(
        sandbox(profile, OPEN, accounting=accounting),
        *(
            TO_USER,
            read(),
            read(far),
            TO_KERNEL,
            write_entry(PDE, CLOSED),
            invalidate,
            TO_USER,
            read(),
            read(far),
        ),
    )
    assert log == [READ, (0x30, 0, 0), fault(5), fault(5, far)]


def test_invlpg_of_the_neighbouring_large_page_changes_nothing(profile: str) -> None:
    log = run(
        sandbox(profile, OPEN),
        *(
            TO_USER,
            read(),
            TO_KERNEL,
            write_entry(PDE, CLOSED),
            f"invlpg [{SANDBOX + 0x400000}];",
            TO_USER,
            read(),
        ),
    )
    assert log == [READ, READ]


def misses(rig: Rig) -> int:
    return rig.machine.state.dtlb_misses_4k + rig.machine.state.dtlb_misses_4m


def touch_pages(count: int, first: int = SMALL) -> str:
    """Read one word in each of `count` small pages, one block a page."""
    label = f"touch{next(_labels)}"
    return (
        f"mov esi, {first}; mov ecx, {count}; {label}: mov eax, [esi]; add esi, 4096; dec ecx; jnz {label};"
    )


def small_pages(rig: Rig, count: int, bits: int = P | W | U) -> None:
    for i in range(count):
        rig.small(SMALL + 4096 * i, FRAMES + 0x400000 + 4096 * i, bits)


def test_unrelated_entries_survive_invlpg_but_not_a_cr3_reload(profile: str) -> None:
    found = []
    for invalidate in ("", INVLPG, RELOAD_CR3):
        rig = sandbox(profile, OPEN)
        small_pages(rig, 8)
        run(rig, touch_pages(8), read(), invalidate, touch_pages(8), read())
        found.append(misses(rig))
    nothing, invlpg, cr3 = found
    assert invlpg == nothing + 1
    assert cr3 == nothing + 8 + 1 + 1  # the small pages, the sandbox, the log's page


@each_edit
def test_an_entry_evicted_by_capacity_takes_up_the_new_tables(profile: str, edit) -> None:
    evict = touch_pages(64)
    rig = sandbox(profile, OPEN)
    small_pages(rig, 64)
    if profile == PENTIUM4:  # one array for both sizes
        log = run(rig, TO_USER, read(), TO_KERNEL, edit(PDE, CLOSED), evict, TO_USER, read())
        assert log == [READ, fault(5)]
    else:  # 4 MB pages have an array of their own: small ones don't evict them
        log = run(rig, TO_USER, read(), TO_KERNEL, edit(PDE, CLOSED), evict, TO_USER, read())
        assert log == [READ, READ]


@each_edit
def test_an_entry_evicted_before_the_tables_change_takes_them_up_at_once(profile: str, edit) -> None:
    """The engine's own TLB may still hold what the modelled one has let go."""
    last = SMALL + 4096 * 80
    rig = Rig(profile)
    small_pages(rig, 81)
    rig.poke(FRAMES + 0x400000 + 4096 * 80, 0x5EC2E7)
    pte = rig.pte_at(last)
    close = edit(pte, rig.peek(pte) & ~U) + "jmp behind; behind:"
    log = run(rig, TO_USER, read(last), touch_pages(80), TO_KERNEL, close, TO_USER, read(last))
    assert log == [READ, fault(5, last)]


def test_a_store_over_a_page_boundary_into_a_table_is_seen_as_one(profile: str) -> None:
    """As above, but the store begins in the page before the table: both its pages must be looked at."""
    rig = Rig(profile)
    small_pages(rig, 81)
    rig.poke(FRAMES + 0x400000, 0x5EC2E7)
    pte = rig.pte_at(SMALL)
    assert pte & 0xFFF == 0
    close = write_entry(pte - 2, (rig.peek(pte) & 0xFFFF & ~U) << 16) + "jmp behind; behind:"
    evict = touch_pages(80, SMALL + 4096)
    log = run(rig, TO_USER, read(SMALL), evict, TO_KERNEL, close, TO_USER, read(SMALL))
    assert log == [READ, fault(5, SMALL)]


def test_a_small_page_evicted_by_capacity_takes_up_the_new_tables(profile: str) -> None:
    last = SMALL + 4096 * 80
    rig = Rig(profile)
    small_pages(rig, 81)
    rig.poke(FRAMES + 0x400000 + 4096 * 80, 0x5EC2E7)
    close = write_entry(rig.pte_at(last), rig.peek(rig.pte_at(last)) & ~U)
    log = run(rig, TO_USER, read(last), TO_KERNEL, close, TO_USER, read(last), touch_pages(80), read(last))
    assert log == [READ, READ, fault(5, last)]


def test_a_code_entry_evicted_by_capacity_takes_up_the_new_tables(profile: str) -> None:
    rig = Rig(profile)
    count, last = 81, SMALL + 4096 * 80
    small_pages(rig, count)
    for i in range(count):  # each page: go on at EDI; the last logs first
        rig.machine.ram.write(FRAMES + 0x400000 + 4096 * i, b"\xcd\x30\xff\xe7" if i == 80 else b"\xff\xe7")
    close = write_entry(rig.pte_at(last), rig.peek(rig.pte_at(last)) & ~U)
    walk = f"""mov esi, {SMALL}; mov ecx, 80; lea edi, [back]; again: jmp esi; back: add esi, 4096; dec ecx
               jnz again;"""
    log = run(rig, TO_USER, fetch(last), TO_KERNEL, close, TO_USER, fetch(last), walk, fetch(last))
    assert log == [(0x30, last, 0), (0x30, last, 0), fault(5, last)]


def test_a_new_frame_is_seen_only_after_invlpg(profile: str) -> None:
    rig = Rig(profile)
    rig.small(SMALL, FRAMES, P | W | U)
    rig.poke(FRAMES, 0x01D)
    rig.poke(FRAMES + 0x1000, 0x9E3)
    swap = write_entry(rig.pte_at(SMALL), FRAMES + 0x1000 | P | W | U)
    log = run(
        rig, read(SMALL), swap, read(SMALL), write(SMALL), f"invlpg [{SMALL}];", read(SMALL), write(SMALL)
    )
    assert [entry[1] for entry in log] == [0x01D, 0x01D, 0x77, 0x9E3, 0x77]
    assert rig.peek(FRAMES) == rig.peek(FRAMES + 0x1000) == 0x77


def test_code_in_a_new_frame_runs_only_after_invlpg(profile: str) -> None:
    rig = Rig(profile)
    rig.small(SMALL, FRAMES, P | W | U)
    for frame, value in ((0, 0x01D), (0x1000, 0x9E3)):
        rig.machine.ram.write(FRAMES + frame, b"\xb8" + struct.pack("<I", value) + b"\xcd\x30\xff\xe7")
    swap = write_entry(rig.pte_at(SMALL), FRAMES + 0x1000 | P | W | U)
    # the data side sees the new frame at once: it never held the page
    log = run(rig, fetch(SMALL), swap, fetch(SMALL), read(SMALL + 1), f"invlpg [{SMALL}];", fetch(SMALL))
    assert [entry[1] for entry in log] == [0x01D, 0x01D, 0x9E3, 0x9E3]


def test_code_and_data_of_one_page_may_come_from_two_frames(profile: str) -> None:
    """The code TLB is stale, the data TLB isn't, and the two take turns."""
    rig = Rig(profile)
    rig.small(SMALL, FRAMES, P | W | U)
    for frame, value in ((0, 0x01D), (0x1000, 0x9E3)):
        rig.machine.ram.write(FRAMES + frame, b"\xb8" + struct.pack("<I", value) + b"\xcd\x30\xff\xe7")
    swap = write_entry(rig.pte_at(SMALL), FRAMES + 0x1000 | P | W | U)
    log = run(rig, fetch(SMALL), swap, fetch(SMALL), read(SMALL + 1), fetch(SMALL), read(SMALL + 1),
              write(SMALL + 1), fetch(SMALL), read(SMALL + 1))  # fmt: skip
    assert [entry[1] for entry in log] == [0x01D, 0x01D, 0x9E3, 0x01D, 0x9E3, 0x77, 0x01D, 0x77]
    assert rig.peek(FRAMES + 1) == 0x01D


def test_a_fault_drops_the_entry_so_that_the_kernel_sees_the_new_frame_too(profile: str) -> None:
    rig = Rig(profile)
    rig.small(SMALL, FRAMES, P | W)
    rig.poke(FRAMES, 0x01D)
    rig.poke(FRAMES + 0x1000, 0x9E3)
    swap = write_entry(rig.pte_at(SMALL), FRAMES + 0x1000 | P | W | U)
    kernel = (read(SMALL), swap, read(SMALL), read(SMALL))  # the engine's TLB holds the stale entry again
    log = run(rig, *kernel, TO_USER, read(SMALL), TO_KERNEL, read(SMALL), TO_USER, read(SMALL))
    assert log == [(0x30, 0x01D, 0)] * 3 + [fault(5, SMALL), (0x30, 0x9E3, 0), (0x30, 0x9E3, 0)]


def test_a_stale_entry_that_refuses_says_so_with_p_set_although_the_tables_say_not_present(
    profile: str,
) -> None:
    rig = Rig(profile)
    rig.small(SMALL, FRAMES, P | W)
    log = run(rig, read(SMALL), write_entry(rig.pte_at(SMALL), 0), TO_USER, read(SMALL), read(SMALL))
    assert log == [(0x30, 0, 0), fault(5, SMALL), fault(4, SMALL)]


def test_the_stale_rights_to_write_stay_until_invlpg(profile: str) -> None:
    rig = Rig(profile)
    rig.small(SMALL, FRAMES, P | W | U)
    protect = TO_KERNEL + write_entry(rig.pte_at(SMALL), FRAMES | P | U) + TO_USER
    drop = TO_KERNEL + f"invlpg [{SMALL}];" + TO_USER
    log = run(rig, TO_USER, write(SMALL), protect, write(SMALL), drop, write(SMALL), read(SMALL))
    assert log == [(0x30, 0x77, 0), (0x30, 0x77, 0), fault(7, SMALL), (0x30, 0x77, 0)]


def test_clearing_a_and_d_shows_at_the_next_walk_only(profile: str) -> None:
    rig = Rig(profile)
    rig.small(SMALL, FRAMES, P | W | U)
    pte = rig.pte_at(SMALL)
    clear, show = write_entry(pte, FRAMES | P | W | U), f"mov eax, [{pte}]; int 0x30;"
    log = run(
        rig,
        write(SMALL),
        show,
        clear,
        write(SMALL),
        show,
        f"invlpg [{SMALL}];",
        read(SMALL),
        show,
        write(SMALL),
        show,
    )
    assert [entry[1] & 0x60 for entry in log if entry[1] & FRAMES] == [0x60, 0, 0x20, 0x60]


def test_a_large_page_split_into_small_ones_is_used_until_invlpg(profile: str) -> None:
    """The stale 4 MB entry covers them all; INVLPG of one small page drops it."""
    rig = sandbox(profile, OPEN)
    table = FRAMES + 0x7FF000
    rig.poke(table, FRAMES + 0x400000 | P | W | U)
    rig.poke(table + 4, FRAMES + 0x401000 | P | W | U)
    second = SANDBOX + 0x1000
    for at, value in ((FRAMES + 0x1000, 1), (FRAMES + 0x400000, 2), (FRAMES + 0x401000, 3)):
        rig.poke(at, value)
    split = write_entry(PDE, table | P | W | U)
    log = run(rig, read(), split, read(), read(second), f"invlpg [{second}];", read(), read(second))
    assert [entry[1] for entry in log] == [0x5EC2E7, 0x5EC2E7, 1, 2, 3]
    assert rig.machine.state.dtlb_misses_4k == 2


@pytest.mark.parametrize(
    "access", ["mov [{}], edx", "add dword ptr [{}], 5", "push dword ptr [{}]", "mov edx, [{}]"]
)
def test_a_stale_entry_may_be_evicted_in_the_middle_of_a_block(profile: str, access: str) -> None:
    """The engine is inside the access then: its own TLB must not be pulled away from under it."""
    rig = Rig(profile)
    small_pages(rig, 81)
    last = SMALL + 4096 * 80
    close = write_entry(rig.pte_at(last), rig.peek(rig.pte_at(last)) & ~U)
    evict = "mov edx, 0x1234;" + "".join(f"{access.format(SMALL + 4096 * i)};" for i in range(80))
    evict += "jmp behind; behind:"  # within one block the engine may still use what has just been evicted
    log = run(rig, TO_USER, read(last), TO_KERNEL, close, TO_USER, read(last), evict, read(last))
    assert log == [(0x30, 0, 0), (0x30, 0, 0), fault(5, last)]
    expected = {"mov [{}], edx": 0x1234, "add dword ptr [{}], 5": 5}.get(access, 0)
    assert {rig.peek(FRAMES + 0x400000 + 4096 * i) for i in range(80)} == {expected}


def test_small_pages_merged_into_a_large_one_end_when_the_large_one_is_loaded(profile: str) -> None:
    """The manual leaves open which of two entries translates; ours keeps one."""
    rig = Rig(profile)
    for i in (0, 1, 256):  # 0 and 256 share a slot of the look-up hints
        rig.small(SMALL + 4096 * i, FRAMES + 0x400000 + 4096 * i, P | W | U)
        rig.poke(FRAMES + 0x400000 + 4096 * i, 1)
        rig.poke(FRAMES + 4096 * i, 2)
    merge = write_entry(rig.pde_at(SMALL), FRAMES | P | W | U | BIG)
    first, second, third = SMALL, SMALL + 0x1000, SMALL + 0x100000
    log = run(rig, read(first), merge, read(first), read(second), read(first), read(third), read(first))
    assert [entry[1] for entry in log] == [1, 1, 2, 2, 2, 2]
