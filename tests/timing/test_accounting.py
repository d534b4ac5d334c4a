"""Every cycle has a cause, every count a reason: short programs whose numbers can be worked out by hand."""

import itertools
import struct
from typing import Any

import numpy as np
import pytest

from emulator.timing.causes import CAUSES
from emulator.timing.costs import Costs
from tests.support import (
    BOOT,
    DIRECTORY,
    EXIT,
    FRAMES,
    IDT,
    MEMORY,
    PENTIUM3,
    PENTIUM4,
    PROFILES,
    RUNTIME,
    TABLES,
    TO_KERNEL,
    TO_USER,
    Outcome,
    P,
    Rig,
    U,
    W,
    assemble,
    check,
    flat,
    gate,
    machine,
    profile,
)

DATA = 0x1000000  # linear, 4 KB pages on FRAMES
BEGIN = "xor ebx, ebx;"
profiles = pytest.mark.parametrize("name", PROFILES)


def rig(name: str, pages: int = 4, **options: Any) -> Rig:
    made = Rig(name, **options)
    for page in range(pages):
        made.small(DATA + 4096 * page, FRAMES + 4096 * page, P | W | U)
    return made


ABSENT = DATA + 0x10000  # a page of the same table that isn't mapped

RUNS = {
    "a fault in mid-block": f"lea edi, [on]; mov ecx, 5; mov eax, [{ABSENT}]; mov edx, 7; mul edx; on:",
    "a division by zero": "lea edi, [on]; xor ecx, ecx; mov eax, [0x5000]; div ecx; mov eax, [0x6000]; on:",
    "a REP over a page boundary": f"cld; mov edi, {DATA + 0xFF8}; mov ecx, 5; mov eax, 3; rep stosd;",
    "a REP of nothing": f"cld; mov edi, {DATA}; xor ecx, ecx; rep stosd;",
    "software interrupts": "mov eax, 3; int 0x30; int 0x30;",
    "ring changes": TO_USER + "mov eax, 1; int 0x30;" + TO_KERNEL + TO_USER + TO_KERNEL,
    "page-crossing accesses": f"mov [{DATA + 0xFFE}], ebx; mov eax, [{DATA + 0x1FFF}];"
    f"add [{DATA + 0x2FFD}], eax;",
    "self-modifying code": "lea esi, [there]; mov dword ptr [esi + 1], 5; jmp there; there: mov eax, 1;",
    "self-modification of a block": "lea esi, [there]; mov dword ptr [esi + 1], 5; there: mov eax, 1;",
    "TLB flushes": f"mov eax, cr3; mov cr3, eax; invlpg [{DATA}];mov eax, cr4; xor eax, 0x80; mov cr4, eax;",
    "MSR accesses": "mov ecx, 0x174; xor edx, edx; mov eax, 8; wrmsr; rdmsr; nop; mov ecx, 0x10; rdmsr;",
    "an unknown MSR": "lea edi, [on]; mov ecx, 0x12345; rdmsr; mov eax, 1; on:",
    "an undefined opcode": "lea edi, [on]; mov eax, 1; ud2; mov eax, 2; on:",
    "CPUID and RDTSC": "xor eax, eax; cpuid; rdtsc; mov esi, eax; rdtsc;",
    "branches": "mov ecx, 50; again: test ecx, 1; jz even; inc eax; even: dec ecx; jnz again;",
    "port input and output": "mov dx, 0x3f8; mov al, 65; out dx, al; in al, 0x61;",
    "a far return and segment loads": "mov ax, ds; mov es, ax; push 8; lea eax, [far]; push eax; retf; far:",
    "a user's privileged instruction": TO_USER + "lea edi, [on]; mov eax, 1; cli; mov eax, 2; on:",
    "a user's port access": TO_USER + "lea edi, [on]; mov eax, 1; in al, 0x61; mov eax, 2; on:",
    "a fetch that faults": f"lea edi, [on]; mov eax, {ABSENT}; jmp eax; on:",
}


@profiles
@pytest.mark.parametrize("program", RUNS.values(), ids=RUNS.keys())
def test_the_ledger_sums_to_the_cycles(name: str, program: str) -> None:
    made = rig(name)
    made.run(BEGIN + program + EXIT)  # checks it
    assert made.machine.cycles > 0


@profiles
@pytest.mark.parametrize("program", RUNS.values(), ids=RUNS.keys())
def test_the_ledger_sums_to_the_cycles_wherever_a_run_is_cut(name: str, program: str) -> None:
    """Cut into slices of time, nothing changes: the same counts, the same ledger, the same memory."""
    whole, cut = rig(name), rig(name)
    log = whole.run(BEGIN + program + EXIT)
    cut.load(BEGIN + program + EXIT)
    limit = 0
    while (outcome := cut.machine.run(max_cycles=limit)).kind == "limit":
        check(cut.machine)
        limit += 217
    assert outcome.kind == "exit"
    assert cut.log() == log
    assert cut.machine.statistics() == whole.machine.statistics()
    assert cut.machine.ledger.to_json() == whole.machine.ledger.to_json()


@profiles
@pytest.mark.parametrize("program", RUNS.values(), ids=RUNS.keys())
def test_two_runs_are_identical(name: str, program: str) -> None:
    first, second = rig(name), rig(name)
    assert first.run(BEGIN + program + EXIT) == second.run(BEGIN + program + EXIT)
    assert first.machine.statistics() == second.machine.statistics()
    assert np.array_equal(first.machine.ledger.counts, second.machine.ledger.counts)
    assert np.array_equal(first.machine.ram.bytes, second.machine.ram.bytes)


TIMELESS = {
    name: program for name, program in RUNS.items() if "RDTSC" not in name and "MSR accesses" not in name
}


@profiles
@pytest.mark.parametrize("program", TIMELESS.values(), ids=TIMELESS.keys())
def test_without_accounting_the_guest_sees_the_same(name: str, program: str) -> None:
    modelled, plain = rig(name), rig(name, accounting=False)
    assert modelled.run(BEGIN + program + EXIT) == plain.run(BEGIN + program + EXIT)
    assert np.array_equal(modelled.machine.ram.bytes, plain.machine.ram.bytes)


@profiles
@pytest.mark.parametrize("padding", range(4))
def test_code_that_rewrites_its_own_block_is_counted_once(name: str, padding: int) -> None:
    """The engine begins it again at the store; an unaligned one must not silence the memory hooks."""
    found = []
    for target in ("there", "elsewhere"):
        made = rig(name)
        program = f"{BEGIN} {padding * 'nop;'} lea esi, [{target}]; mov dword ptr [esi + 1], 1; nop;"
        program += "there: mov eax, 1;"
        loop = "mov ecx, 100; again: mov eax, [0x5000]; dec ecx; jnz again;"
        made.run(f"{program} {loop} {EXIT} elsewhere: mov eax, 1;")
        found.append((made.machine.instructions, made.machine.state.reads, made.machine.state.writes))
    assert found[0] == found[1]


# -- exact counts of TLB misses


def touch(pages: int, rounds: int, step: int = 4096) -> str:
    return f"""mov edx, {rounds}; round: mov esi, {DATA}; mov ecx, {pages}
               page: mov eax, [esi]; add esi, {step}; dec ecx; jnz page; dec edx; jnz round;"""


def misses(name: str, pages: int, rounds: int) -> int:
    made = rig(name, pages)
    made.run(BEGIN + touch(pages, rounds) + EXIT)
    return made.machine.state.dtlb_misses_4k


@profiles
@pytest.mark.parametrize("pages", [1, 2, 62, 63, 64, 65, 66, 80])
def test_a_cyclic_walk_over_more_pages_than_the_data_tlb_holds_misses_every_time(
    name: str, pages: int
) -> None:
    """Both have 64 entries, LRU. On the Pentium 4 nothing else is touched in between: 64 pages still fit."""
    if name == PENTIUM4:
        expected = pages if pages <= 64 else 5 * pages
    else:  # 16 sets of 4: pages that share a set with four others miss every time
        crowded = [sum(1 for page in range(pages) if page % 16 == row) for row in range(16)]
        expected = sum(count if count <= 4 else 5 * count for count in crowded)
    assert misses(name, pages, 5) == expected


def test_the_program_s_large_page_takes_one_of_the_pentium_4_s_64_entries() -> None:
    """A read of the program's own page in every round: 63 small pages fit beside it, 64 don't."""
    for pages, expected in ((63, 63), (64, 5 * 64)):
        made = rig(PENTIUM4, pages)
        body = touch(pages, 5).replace("round: mov esi", "round: mov eax, [0x5000]; mov esi")
        made.run(BEGIN + body + EXIT)
        assert made.machine.state.dtlb_misses_4k == expected


def test_the_pentium_iii_keeps_large_pages_apart() -> None:
    made = rig(PENTIUM3, 64)
    body = touch(64, 5).replace("round: mov esi", "round: mov eax, [0x5000]; mov esi")
    made.run(BEGIN + body + EXIT)
    assert (made.machine.state.dtlb_misses_4k, made.machine.state.dtlb_misses_4m) == (64, 1)


@profiles
def test_misses_are_charged_to_the_reason_why_the_entry_was_gone(name: str) -> None:
    """Eight pages: cold, then after a CR3 reload, then one after INVLPG, then after PGE was toggled."""
    made = rig(name, 8)
    toggle = "mov eax, cr4; xor eax, 0x80; mov cr4, eax;"
    parts = [
        touch(8, 1, 4096 + 64),
        "mov eax, cr3; mov cr3, eax;",
        touch(8, 1, 4096 + 64),
        f"invlpg [{DATA + 0x3000}];",
        touch(8, 1, 4096 + 64),
    ]
    parts += [toggle, touch(8, 1, 4096 + 64)]
    program = "".join(
        part.replace("round", f"round{i}").replace("page:", f"page{i}:").replace("jnz page", f"jnz page{i}")
        for i, part in enumerate(parts)
    )
    made.run(BEGIN + program + EXIT)
    causes = made.machine.ledger.by_cause()
    walk = profile(name).tlb.walk.whole
    # a walk whose lines are in L1 costs `walk`; the first one of all brings the two lines in
    assert causes["dtlb_flush_cr3"] in (
        8 * walk,
        9 * walk,
    )  # with the log's page, where EXIT comes to need it
    assert causes["dtlb_flush_invlpg"] == walk
    assert causes["dtlb_flush_other"] in (8 * walk, 9 * walk)
    assert causes["dtlb_cold"] > 8 * walk
    assert causes["dtlb_capacity"] == made.machine.state.dirty_set * walk  # a clean entry is walked again


@profiles
def test_capacity_misses_are_charged_as_such(name: str) -> None:
    made = rig(name, 80)
    made.run(BEGIN + touch(80, 3) + EXIT)
    assert made.machine.state.dtlb_misses_4k == 240
    walks = made.machine.ledger.by_cause()["dtlb_capacity"]
    assert walks >= 160 * profile(name).tlb.walk.whole


@profiles
def test_a_crossing_access_takes_two_translations_and_two_lines(name: str) -> None:
    def count(address: int) -> tuple[int, int, int]:
        made = rig(name, 2)
        made.run(f"{BEGIN} mov eax, [{address}]; {EXIT}")
        state = made.machine.state
        return state.dtlb_misses_4k, state.l1d_misses, state.reads

    one, two = count(DATA + 0xFC0), count(DATA + 0xFFD)
    # the second page's walk reads a table line that the first one has brought in
    assert (two[0] - one[0], two[1] - one[1], two[2] - one[2]) == (1, 1, 0)


@profiles
def test_a_store_that_crosses_into_a_page_table_is_noticed(name: str) -> None:
    def flushes(target: int) -> int:
        made = rig(name, 1)
        made.small(DATA + 0x1000, target, P | W)
        store = f"mov eax, [{DATA + 0x1000}]; shl eax, 16; mov [{DATA + 0xFFE}], eax; jmp on; on:"
        made.run(store + EXIT)
        return made.machine.host_statistics()["table_flushes"]

    assert flushes(TABLES) == flushes(FRAMES + 0x1000) + 1


# -- caches


@profiles
def test_a_load_after_a_store_that_did_not_allocate_misses(name: str) -> None:
    """The Pentium 4's L1 doesn't allocate on a store miss, so the line must still be brought in."""

    def l1d_misses(body: str) -> int:
        made = rig(name)
        made.run(f"{BEGIN} mov eax, [{DATA}]; {body} {EXIT}")
        return made.machine.state.l1d_misses

    allocates = bool(profile(name).cache.l1d.write_allocate.value)
    store = l1d_misses(f"mov [{DATA + 512}], eax;") - l1d_misses("")
    load = l1d_misses(f"mov [{DATA + 512}], eax; mov ecx, [{DATA + 516}];") - l1d_misses("")
    again = l1d_misses(
        f"mov [{DATA + 512}], eax; mov ecx, [{DATA + 516}]; mov ecx, [{DATA + 516}];"
    ) - l1d_misses("")
    assert (store, load, again) == ((1, 1, 1) if allocates else (1, 2, 2))


@profiles
def test_stores_in_a_row_to_one_line_are_one_miss(name: str) -> None:
    """The store buffers merge them."""

    def l1d_misses(body: str) -> int:
        made = rig(name)
        made.run(f"{BEGIN} mov eax, [{DATA}]; {body} {EXIT}")
        return made.machine.state.l1d_misses

    stores = "".join(f"mov [{DATA + 512 + 4 * i}], eax;" for i in range(8))
    assert l1d_misses(stores) - l1d_misses("") == 1


# -- paging off


@profiles
def test_a_cr3_write_before_paging_leaves_nothing_unmodelled(name: str) -> None:
    made = machine(name)
    body = "mov eax, [0x5000]; mov ebx, 0x10000; mov cr3, ebx; mov eax, [0x5000]; mov [0x5000], eax;"
    made.load(flat(assemble(body + "mov al, 0; out 0xf4, al; hlt", BOOT), BOOT))
    assert made.run(max_cycles=10**7) == Outcome("exit", 0, "the guest ended with status 0")
    check(made)
    assert made.statistics()["cr3_writes"] == 1


# -- REP


@profiles
@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_rep_is_charged_by_its_iterations(name: str, count: int) -> None:
    costs = Costs.from_profile(profile(name))

    def instruction_cost(operation: str, n: int) -> tuple[int, int]:
        made = rig(name)
        made.run(f"{BEGIN} cld; mov esi, 0x5000; mov edi, 0x6000; mov ecx, {n}; {operation}; nop; {EXIT}")
        state = made.machine.state
        return made.machine.ledger.by_cause()["instruction"] * 256 + state.fraction256, state.instructions

    one, more = (
        instruction_cost("rep movsd dword ptr es:[edi], dword ptr [esi]", 1),
        instruction_cost("rep movsd dword ptr es:[edi], dword ptr [esi]", count),
    )
    assert more[0] - one[0] == (count - 1) * costs.rep["movs", "d"].next256
    assert more[1] == one[1]


@profiles
def test_rep_movs_moves_what_it_is_charged_for_when_it_faults_on_its_way(name: str) -> None:
    """Four words reach the end of the page, the fifth faults; the handler gives up."""
    made = rig(name)
    source = DATA + 0x3FF0
    made.machine.ram.write(FRAMES + 0x3FF0, struct.pack("<4I", 1, 2, 3, 4))
    program = f"""{BEGIN} cld; mov esi, {source}; mov ecx, 100; mov eax, 0
                  mov edi, 0x5000; rep movsd dword ptr es:[edi], dword ptr [esi]; hlt"""
    # the handler goes on at EDI: there the program's end is put
    end = assemble(f"mov eax, ecx; int 0x30; mov eax, esi; int 0x30; {EXIT}", 0x5010)
    made.machine.ram.write(0x5010, end)
    log = made.run(program)
    assert log == [(14, source + 16, 0), (0x30, 96, 0), (0x30, source + 16, 0)]
    assert struct.unpack("<4I", made.machine.ram.read(0x5000, 16)) == (1, 2, 3, 4)
    assert made.machine.state.reads > 4


# -- time


@profiles
def test_the_differences_of_two_snapshots_are_the_difference_of_two_time_stamps(name: str) -> None:
    made = rig(name, tsc_log=8)
    body = f"rdtsc; mov esi, eax; mov eax, [{DATA}]; int 0x30;"
    body += f"{TO_USER} mov [{DATA + 4096}], eax; {TO_KERNEL} rdtsc;"
    made.run(BEGIN + body + f"sub eax, esi; int 0x30; mov eax, cr3; mov cr3, eax; rdtsc; {EXIT}")
    snapshots = made.machine.tsc_snapshots()
    assert len(snapshots) == 3
    for (early, before), (late, after) in itertools.pairwise(snapshots):
        assert int((after - before).sum()) == late - early > 0
    assert made.log()[1][1] == snapshots[1][0] - snapshots[0][0]
    assert snapshots[2][1][CAUSES.index("mov_cr3")] > snapshots[1][1][CAUSES.index("mov_cr3")]


@profiles
def test_two_time_stamps_in_one_block_differ_by_what_lies_between(name: str) -> None:
    """RDTSC's own cost; two multiplications; a locked increment with its misses."""
    costs = Costs.from_profile(profile(name)).classes
    made = rig(name, tsc_log=8)
    work = "imul ecx, ecx; imul ecx, ecx;"
    made.run(f"{BEGIN} rdtsc; rdtsc; {work} rdtsc; lock inc dword ptr [0x5000]; rdtsc; {EXIT}")
    times = [time for time, _ in made.machine.tsc_snapshots()]
    assert times[1] - times[0] == costs["rdtsc"].cycles
    assert 0 <= times[2] - times[1] - costs["rdtsc"].cycles - 2 * costs["imul"].base256 // 256 <= 1
    assert (
        times[3] - times[2] > costs["rdtsc"].cycles + costs["lock_rmw"].cycles
    )  # and the misses of its load
    for (early, before), (late, after) in itertools.pairwise(made.machine.tsc_snapshots()):
        assert int((after - before).sum()) == late - early


def test_without_accounting_time_stamps_count_instructions() -> None:
    made = rig(PENTIUM4, accounting=False, tsc_log=8)
    made.run(f"{BEGIN} rdtsc; nop; nop; rdtsc; rdtsc; {EXIT}")
    times = [time for time, _ in made.machine.tsc_snapshots()]
    assert [b - a for a, b in itertools.pairwise(times)] == [3, 1]


@profiles
def test_time_never_runs_backwards_whichever_way_it_is_read(name: str) -> None:
    made = rig(name)
    read = "rdtsc; int 0x30; mov ecx, 0x10; rdmsr; mov esi, eax; rdtsc; mov ebx, eax; mov eax, esi; "
    made.run(
        f"{BEGIN} {read} div cl; div cl; div cl; int 0x30; xor ebx, ebx; {EXIT}".replace(
            "div cl;", "imul ecx, ecx;"
        )
    )
    (_, first, _), (_, msr, second) = made.log()
    assert first < msr < second


@profiles
def test_writing_the_time_stamp_moves_it_and_nothing_else(name: str) -> None:
    made = rig(name, tsc_log=8)
    made.run(
        BEGIN + "rdtsc; mov ecx, 0x10; xor edx, edx; mov eax, 0x1000; wrmsr; rdtsc; int 0x30; rdtsc;" + EXIT
    )
    first, second, third = made.machine.tsc_snapshots()
    assert 0x1000 <= second[0] < 0x1000 + 2000
    assert int((third[1] - second[1]).sum()) == third[0] - second[0]
    assert int(second[1].sum()) > int(first[1].sum())


@profiles
def test_hlt_skips_to_the_tick_and_charges_the_wait(name: str) -> None:
    """PIT channel 0, mode 2, 11932 counts: 10 ms; IRQ 0 is vector 0x40."""
    made = rig(name)
    made.machine.ram.write(
        RUNTIME - 0x100, assemble("inc ebx; mov al, 0x20; out 0x20, al; iretd", RUNTIME - 0x100)
    )
    made.machine.ram.write(IDT + 8 * 0x40, gate(RUNTIME - 0x100))
    ports = [
        (0x20, 0x11),
        (0x21, 0x40),
        (0x21, 4),
        (0x21, 1),
        (0x21, 0xFE),
    ]  # ICW1 to ICW4, all but IRQ 0 masked
    ports += [(0x43, 0x34), (0x40, 11932 & 0xFF), (0x40, 11932 >> 8)]
    program = "".join(f"mov al, {value}; out {port}, al;" for port, value in ports)
    program += "sti; again: hlt; cmp ebx, 3; jb again; cli; mov eax, 7; int 0x30;"
    assert made.run(BEGIN + program + EXIT) == [(0x30, 7, 3)]
    hz = int(profile(name).mhz.value * 1_000_000)
    three_ticks = 3 * 11932 * hz // 1193182
    halt = made.machine.ledger.by_cause()["halt"]
    assert 0.95 * three_ticks < halt < made.machine.cycles
    assert three_ticks <= made.machine.cycles < 1.05 * three_ticks
    assert made.machine.statistics()["interrupts"] == 3


# -- golden numbers


@profiles
def test_the_counts_of_a_fixed_program(name: str) -> None:
    """Two small pages and a large one, each once; beside them only the large page of the program itself."""
    made = rig(name, 2)
    made.big(0x2000000, FRAMES + 0x400000, P | W | U)
    before = made.machine.ram.read(DIRECTORY, TABLES + 0x1000 - DIRECTORY)
    large = "mov [0x2000000], eax; mov [0x2000000], eax;"
    made.run(f"mov eax, [{DATA}]; mov [{DATA + 0x1000}], eax; {large} {EXIT}")
    found = made.machine.statistics()
    expected = {
        "dtlb_misses_4k": 2,
        "dtlb_misses_4m": 2,  # the page of the stack, for EXIT's INT, and the large one
        "itlb_misses_4k": 0,
        "itlb_misses_4m": 1,
        "cr3_writes": 1,
        "flushes_all": 2,  # PSE and PGE set, paging on
        "invlpg_count": 0,
        "software_interrupts": 1,
    }
    assert {key: found[key] for key in expected} == expected
    # A of the directory entry, A of one page, A and D of the other, A and D of both large pages
    after = made.machine.ram.read(DIRECTORY, TABLES + 0x1000 - DIRECTORY)
    words = struct.iter_unpack(
        "<II", b"".join(before[i : i + 4] + after[i : i + 4] for i in range(0, len(after), 4))
    )
    assert sorted(new ^ old for old, new in words if new != old) == [0x20, 0x20, 0x60, 0x60, 0x60]


@profiles
def test_a_store_over_a_page_boundary_counts_as_a_store_to_the_table_behind_it(name: str) -> None:
    def flushes(offset: int) -> int:
        made = rig(name, 2)
        made.small(DATA + 0x3000, FRAMES + 0x3000, P | W | U)
        made.small(DATA + 0x4000, made.pte_at(DATA) & 0xFFFFF000, P | W | U)  # the page table itself
        touch = f"mov eax, [{DATA + 0x3FF0}]; mov ecx, [{DATA + 0x4000}];"
        store = f"mov dword ptr [{DATA + 0x3FF0 + offset}], 0; jmp next; next: nop;"
        made.run(f"{BEGIN} {touch} {store} {EXIT}")
        return made.machine.state.table_flushes

    assert flushes(14) == flushes(0) + 1


def test_stores_over_page_boundaries_anywhere_in_memory_are_told_apart_from_tables() -> None:
    made = machine()
    step = f"mov dword ptr [ebx - 2], 0; add ebx, 0x1000; cmp ebx, {MEMORY:#x}; jb again;"
    step += " mov al, 0; out 0xf4, al; hlt"
    made.load(flat(assemble(f"mov ebx, 0x202000; again: {step}", 0x100000), 0x100000))
    assert made.run(max_cycles=50_000_000).kind == "exit"
    assert made.state.table_flushes == 0
