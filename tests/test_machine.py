"""The machine as a whole: how runs end, absent memory, and that no guest brings the host down."""

import signal
import struct
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.exitstatus import ExitStatus
from emulator.machine import Machine, MachineError
from loader import LinearAddress, Symbol, SymbolFile, load_image
from tests.cpu.support import (
    HOLE,
    MEGABYTE,
    P3,
    RAM,
    REPORT,
    Guest,
    assemble,
    flat,
    flat_bytes,
    handler_of,
    profile,
)

FOREVER = ".byte 0xeb, 0xfe"
BUSY = "again: inc eax; mov [0x200000], eax; jmp again"


# -- ends


@pytest.mark.parametrize("status", [0, 1, 7, 124, 255])
def test_the_guest_chooses_its_exit_status(status: int) -> None:
    outcome = flat(f"mov al, {status}; out 0xf4, al; hlt").run(max_cycles=1_000_000)
    assert (outcome.kind, outcome.status) == ("exit", status)


def test_an_exit_wins_over_what_follows_it_in_the_block() -> None:
    outcome = flat("mov al, 5; out 0xf4, al; ud2").run(max_cycles=1_000_000)
    assert (outcome.kind, outcome.status) == ("exit", 5)


@pytest.mark.parametrize("accounting", [True, False])
def test_the_cycle_limit_ends_a_loop_at_the_first_block_that_begins_beyond_it(accounting: bool) -> None:
    machine = flat(FOREVER, accounting=accounting)
    outcome = machine.run(max_cycles=1000)
    assert (outcome.kind, outcome.status) == ("limit", ExitStatus.CYCLE_LIMIT)
    assert "cycle limit of 1000 reached at 0008:00100000" in outcome.message
    assert 1000 <= machine.cycles < 1020
    cycles = machine.cycles
    assert machine.run(max_cycles=cycles).kind == "limit"
    assert machine.cycles == cycles  # nothing runs once the limit is reached


def test_a_run_in_pieces_is_the_run_in_one() -> None:
    source = "mov ecx, 5000; again: add eax, ecx; mov [0x200000+ecx*4], eax; dec ecx; jnz again; cli; hlt"
    whole, pieces = flat(source), flat(source)
    whole.run(max_cycles=10_000_000)
    for limit in range(97, 10_000_000, 977):
        if pieces.run(max_cycles=limit).kind == "error":
            break
    assert pieces.cycles == whole.cycles
    assert pieces.statistics() == whole.statistics()
    assert pieces.ram.bytes.tobytes() == whole.ram.bytes.tobytes()


@pytest.mark.parametrize("timer", [False, True])
def test_a_stop_requested_by_a_thread_ends_a_tight_loop_soon(timer: bool) -> None:
    pit = "mov al, 0x34; out 0x43, al; mov al, 50; out 0x40, al; mov al, 0; out 0x40, al; " if timer else ""
    machine = flat(pit + BUSY)
    thread = threading.Timer(0.2, machine.request_stop)
    thread.start()
    start = time.monotonic()
    outcome = machine.run()
    assert (outcome.kind, outcome.status) == ("interrupted", ExitStatus.INTERRUPTED)
    assert time.monotonic() - start < 5
    assert "stopped at 0008:001000" in outcome.message
    thread.join()


@pytest.mark.parametrize("timer", [False, True])
def test_a_stop_requested_by_a_signal_ends_a_tight_loop_soon(timer: bool) -> None:
    pit = "mov al, 0x34; out 0x43, al; mov al, 50; out 0x40, al; mov al, 0; out 0x40, al; " if timer else ""
    machine = flat(pit + BUSY)
    before = signal.signal(signal.SIGALRM, lambda *_: machine.request_stop())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        start = time.monotonic()
        assert machine.run().kind == "interrupted"
        assert time.monotonic() - start < 10
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_stopped_run_goes_on() -> None:
    machine = flat(BUSY)
    threading.Timer(0.1, machine.request_stop).start()
    machine.run()
    counted = machine.processor.registers.general(0)
    assert machine.run(max_cycles=machine.cycles + 1_000_000).kind == "limit"
    assert machine.processor.registers.general(0) > counted > 0


def test_the_stop_callback_is_asked() -> None:
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 3

    assert flat(FOREVER).run(stop=stop).kind == "interrupted"
    assert len(asked) == 3


def test_a_fault_loop_that_runs_no_block_hears_limit_and_stop() -> None:
    """The page fault's handler is itself not mapped: every delivery faults at its first byte."""
    for options in ({"accounting": True}, {"accounting": False}):
        guest = Guest(f"mov eax, [{HOLE:#x}]", paging=True)
        guest.map(HOLE, 0)
        guest.map(handler_of(14) & ~0xFFF, 0)
        guest.tss[0] = (0x169000, 0x10)
        machine = guest.machine(**options)
        assert machine.run(max_cycles=20_000).kind == "limit"
        machine.request_stop()


def test_hlt_with_interrupts_off_can_never_end() -> None:
    outcome = flat("nop; hlt").run(max_cycles=1_000_000)
    assert (outcome.kind, outcome.status) == ("error", ExitStatus.HALTED)
    assert outcome.message == "HLT with interrupts off and nothing pending at 0008:00100002"


@pytest.mark.parametrize("target", [RAM, RAM + 0x123456, 0xFFFFFFF0])
def test_execution_above_ram_is_an_error_that_names_the_address(target: int) -> None:
    outcome = flat(f"mov eax, {target:#x}; jmp eax").run(max_cycles=1_000_000)
    assert (outcome.kind, outcome.status) == ("error", ExitStatus.UNMAPPED_EXECUTION)
    assert f"execution of unmapped memory at 0008:{target:08x}" in outcome.message
    assert f"RAM ends at {RAM:#x}" in outcome.message


def test_execution_above_ram_through_paging_is_the_same_error() -> None:
    guest = Guest(f"jmp {HOLE + 0x10:#x}", paging=True)
    guest.map(HOLE, RAM | 7)
    outcome = guest.run().outcome
    assert (outcome.kind, outcome.status) == ("error", ExitStatus.UNMAPPED_EXECUTION)
    assert f"0008:{HOLE + 0x10:08x}" in outcome.message


def test_running_off_the_end_of_ram_is_that_error_too() -> None:
    machine = flat_bytes(b"\x90" * 16, address=RAM - 16)
    outcome = machine.run(max_cycles=1_000_000)
    assert (outcome.kind, outcome.status) == ("error", ExitStatus.UNMAPPED_EXECUTION)
    assert f"{RAM:08x}" in outcome.message


def test_a_triple_fault_has_its_status() -> None:
    outcome = flat("ud2").run(max_cycles=1_000_000)
    assert (outcome.kind, outcome.status) == ("error", ExitStatus.TRIPLE_FAULT)


def test_a_triple_fault_names_the_symbol() -> None:
    machine = flat("nop; ud2")
    code = assemble("nop; ud2", MEGABYTE)
    symbol = Symbol(LinearAddress(MEGABYTE), len(code), "start", "function")
    machine.symbols.add([SymbolFile("kernel", (symbol,), ((LinearAddress(MEGABYTE), code),))])
    assert "(kernel:start+0x1)" in machine.run(max_cycles=1_000_000).message


def test_the_keyboard_controllers_reset_ends_the_run() -> None:
    outcome = flat("mov al, 1; out 0x92, al; " + FOREVER).run(max_cycles=1_000_000)
    assert outcome.kind == "error"
    assert "asked for a reset" in outcome.message


# -- memory that isn't there


def test_reads_above_ram_give_ones_and_writes_are_dropped() -> None:
    source = (
        f"mov dword ptr [{RAM:#x}], 0x12345678; mov eax, [{RAM:#x}]; inc eax; "
        "mov ebx, [0xfffffffc]; inc ebx; or eax, ebx; "
    )
    source += (
        "movzx ecx, byte ptr [0xd0000000]; inc cl; or al, cl; "
        "movzx ecx, word ptr [0x80000000]; inc cx; or eax, ecx; "
    )
    assert flat(source + "setnz al; out 0xf4, al; hlt").run(max_cycles=1_000_000).status == 0


def test_an_access_across_the_end_of_ram_has_both_halves() -> None:
    machine = flat(
        f"mov dword ptr [{RAM - 2:#x}], 0x44332211; mov eax, [{RAM - 2:#x}]; "
        "mov [0x200000], eax; mov al, 0; out 0xf4, al; hlt"
    )
    assert machine.run(max_cycles=1_000_000).kind == "exit"
    assert machine.ram.read(RAM - 2, 2) == b"\x11\x22"
    assert machine.ram.read(0x200000, 4) == b"\x11\x22\xff\xff"


def test_an_access_across_4_gb_wraps_to_0() -> None:
    machine = flat(
        "mov dword ptr [0xfffffffe], 0x44332211; mov eax, [0xfffffffe]; mov [0x200000], eax; "
        "mov al, 0; out 0xf4, al; hlt"
    )
    assert machine.run(max_cycles=1_000_000).kind == "exit"
    assert machine.ram.read(0, 2) == b"\x33\x44"
    assert machine.ram.read(0x200000, 4) == b"\xff\xff\x33\x44"


@pytest.mark.parametrize(
    "source",
    [
        ".byte 0xf3, 0xa5",
        "fxsave [edi]",
        "fxrstor [edi]; nop",
        "lgdt [edi]",
        "movups xmm0, [edi]; movups [edi], xmm0",
    ],
)
def test_wide_accesses_to_absent_memory_do_no_harm(source: str) -> None:
    setup = (
        f"mov eax, cr4; or eax, 0x600; mov cr4, eax; mov esi, {RAM - 16:#x}; "
        f"mov edi, {RAM + 0x100:#x}; mov ecx, 64; "
    )
    outcome = flat(setup + source + "; mov al, 0; out 0xf4, al; hlt").run(max_cycles=1_000_000)
    assert outcome.kind in ("exit", "error")
    assert outcome.status in (0, ExitStatus.TRIPLE_FAULT)


def test_page_tables_in_absent_memory_are_a_page_fault_not_a_crash() -> None:
    outcome = flat(
        f"mov eax, {RAM:#x}; mov cr3, eax; mov eax, cr0; or eax, 0x80000000; mov cr0, eax; nop"
    ).run(max_cycles=1_000_000)
    assert (outcome.kind, outcome.status) == ("error", ExitStatus.TRIPLE_FAULT)
    assert "14 #PF" in outcome.message


# -- building


@pytest.mark.parametrize("size", [0, 1, MEGABYTE - 4096, MEGABYTE + 1, 4 << 30])
def test_sizes_of_memory_that_no_pc_has_are_refused(size: int) -> None:
    with pytest.raises(MachineError, match="memory of"):
        Machine(profile(), memory_bytes=size)


def test_an_image_that_does_not_fit_is_refused() -> None:
    image = load_image(b"\x90" * 16, memory_bytes=RAM, format="flat", address=2 * MEGABYTE)
    with pytest.raises(MachineError, match="memory at 0x100000"):
        Machine(profile(), memory_bytes=MEGABYTE).load(image)


def test_two_machines_do_not_disturb_each_other() -> None:
    source = "mov ecx, 3000; again: add eax, ecx; mov [0x200000+ecx*4], eax; dec ecx; jnz again; cli; hlt"
    alone = flat(source)
    alone.run(max_cycles=10_000_000)
    one, two = flat(source), flat(source, name=P3)
    for limit in range(1000, 1_000_000, 1000):
        ends = [m.run(max_cycles=limit).kind for m in (one, two)]
        if ends == ["error", "error"]:
            break
    assert one.cycles == alone.cycles
    assert two.cycles != one.cycles
    # below 1 MB firmware tables name the processor
    assert one.ram.read(MEGABYTE, RAM - MEGABYTE) == two.ram.read(MEGABYTE, RAM - MEGABYTE)


# -- faults of instructions in the middle of a block


FAULTING = [
    "div ecx",
    "ud2",
    "mov fs, bx",
    "cli",
    "in al, 0x3f",
    "rdmsr",
    "hlt",
    "into",
    "int3",
    "mov eax, [0x200000]",
]
TAILS = ["", "imul eax, eax; ", "imul eax, eax; div ebx; lock inc dword ptr [0x108400]; pushfd; popfd; "]
CODE_LINES = {"l1i_miss", "memory_fetch"}  # a block's lines are fetched whole


@pytest.mark.parametrize("faulting", FAULTING)
def test_instructions_behind_a_faulting_one_cost_nothing(faulting: str) -> None:
    """A block is charged at its entry; what did not run is taken back, to the fraction of a cycle."""
    seen = []
    for tail in TAILS:
        before = "mov ebx, 0x1238; xor ecx, ecx; mov al, 0x7f; inc al"
        guest = Guest(user=f"{before}; {faulting}; {tail}{FOREVER}", paging=True)
        guest.map(HOLE, 0)
        for vector in (3, 4):
            guest.gate(vector, dpl=3)
        machine = guest.machine()
        assert machine.run(max_cycles=10_000_000).status == 1
        causes = {cause: n for cause, n in machine.ledger.by_cause().items() if cause not in CODE_LINES}
        seen.append((machine.state.fraction256, machine.instructions, causes))
        machine.ledger.check(machine.cycles)
    assert seen[0] == seen[1] == seen[2]


def test_a_fault_at_the_end_of_a_long_block_keeps_what_ran_before_it() -> None:
    counts = [Guest("nop; " * n + "ud2").run().machine.instructions for n in (0, 1, 20)]
    assert counts[1] - counts[0] == 1
    assert counts[2] - counts[0] == 20


# -- anything at all


def survive(make: Callable[[], Machine], limit: int = 30_000) -> tuple[object, ...]:
    machine = make()
    outcome = machine.run(max_cycles=limit)
    assert outcome.kind in ("exit", "limit", "error")
    if machine.state.accounting:
        machine.ledger.check(machine.cycles)
    assert "engine stopped" not in outcome.message
    # an access whose page the model can't tell would be charged or not as the host's soft TLB pleases
    assert machine.state.unmapped_model == 0
    return outcome, machine.cycles, machine.statistics(), machine.ram.bytes.tobytes()


ANYTHING = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


@ANYTHING
@given(code=st.binary(min_size=1, max_size=200))
def test_random_code_without_tables_ends_in_an_outcome_and_does_so_twice(code: bytes) -> None:
    assert survive(lambda: flat_bytes(code)) == survive(lambda: flat_bytes(code))


@ANYTHING
@given(code=st.binary(min_size=1, max_size=200), user=st.booleans(), paging=st.booleans(), skip=st.booleans())
def test_random_code_with_handlers_ends_in_an_outcome_and_does_so_twice(
    code: bytes, user: bool, paging: bool, skip: bool
) -> None:
    def make() -> Machine:
        guest = Guest(f"jmp {0x148000:#x}", paging=paging)
        if user:
            guest = Guest(user=f"jmp {0x148000:#x}", paging=paging)
        guest.pieces[0x148000] = code
        if skip:  # handlers that step over a byte of the faulting code and go on
            for vector in range(0x30):
                pop = "add esp, 4; " if vector in (8, 10, 11, 12, 13, 14) else ""
                guest.handler(vector, pop + "inc dword ptr [esp]; iretd")
        return guest.machine()

    assert survive(make) == survive(make)


REMARKABLE = [0x80000001, 0x80010001, 0x11, 0x10, 0x90, 0x20, 0x180000, 0x60000011]
CONTROL = st.tuples(
    st.sampled_from([0, 3, 4]), st.one_of(st.integers(0, 0xFFFFFFFF), st.sampled_from(REMARKABLE))
)


@ANYTHING
@given(
    writes=st.lists(CONTROL, min_size=1, max_size=8),
    selectors=st.lists(st.tuples(st.sampled_from([0, 2, 3, 4, 5]), st.integers(0, 0xFFFF)), max_size=4),
)
def test_random_control_registers_and_segments_end_in_an_outcome(
    writes: list[tuple[int, int]], selectors: list[tuple[int, int]]
) -> None:
    code = b""
    for number, value in writes:
        code += b"\xb8" + struct.pack("<I", value) + bytes((0x0F, 0x22, 0xC0 | number << 3))
        if selectors:
            segment, selector = selectors.pop()
            code += b"\xb8" + struct.pack("<I", selector) + bytes((0x8E, 0xC0 | segment << 3))
        code += b"\xa3" + struct.pack("<I", REPORT)

    def make() -> Machine:
        guest = Guest(f"jmp {0x148000:#x}", paging=True)
        guest.pieces[0x148000] = code + b"\xeb\xfe"
        return guest.machine()

    assert survive(make) == survive(make)


@ANYTHING
@given(
    table=st.binary(min_size=64, max_size=64),
    limit=st.integers(0, 0xFFFF),
    source=st.sampled_from(["ud2", "int 0x5", "mov fs, ax", "mov eax, [0x7fffffff]"]),
)
def test_random_idts_end_in_an_outcome(table: bytes, limit: int, source: str) -> None:
    def make() -> Machine:
        guest = Guest(f"lidt [0x14a000]; mov ax, 0x1235; {source}", paging=True)
        guest.pieces[0x14A000] = struct.pack("<HI", limit, 0x14B000)
        guest.pieces[0x14B000] = table * 32
        return guest.machine()

    assert survive(make) == survive(make)


def test_a_guest_reaches_no_host_memory() -> None:
    """Every 64 KB of the 4 GB is either RAM or absent: writing all of them changes RAM only."""
    machine = flat(
        "mov edi, 0x8000; again: mov byte ptr [edi], 0x5a; add edi, 0x10000; jnc again; "
        "mov al, 3; out 0xf4, al; hlt",
    )
    before = machine.ram.bytes.copy()
    assert machine.run(max_cycles=100_000_000).status == 3
    changed = (machine.ram.bytes != before).nonzero()[0]
    assert changed.tolist() == list(range(0x8000, RAM, 0x10000))
