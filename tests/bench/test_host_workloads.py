"""The workloads of the host benchmark: each does what its row says, here and on Unicorn alone."""

import dataclasses
import struct
from pathlib import Path
from typing import Any

import pytest
from unicorn import UC_ARCH_X86, UC_MODE_32, Uc
from unicorn.x86_const import UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EIP

from emulator.bench import host, host_cachegrind
from emulator.bench.errors import BenchError
from emulator.bench.host_cachegrind import cache_options, measure_cachegrind, missing
from emulator.bench.host_events import Event, measure_event
from emulator.bench.host_run import BareGuest, Timed, run_image, significant, speed_row
from emulator.bench.host_startup import measure_memory, measure_startup, seconds_to_first_instruction
from emulator.bench.host_workloads import (
    CHAIN,
    COPIED,
    COPY,
    NODE,
    REGION,
    WORKLOADS,
    Workload,
    chain,
    measure_workload,
)
from emulator.bench.micro_guest import MicroGuest
from emulator.machine import Machine
from emulator.timing.profile import load_profile

PENTIUM4 = "pentium4-willamette-1400"
BY_NAME = {workload.name: workload for workload in WORKLOADS}
FEW = {"chase": 1000, "memcpy": 2, "memset": 2, "calls": 12, "interpreter": 2, "walks": 4096}
by_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)


def ran(guest: BareGuest) -> Machine:
    machine = Machine(load_profile(PENTIUM4), memory_bytes=guest.memory_bytes)
    machine.load(guest.image)
    assert machine.run(max_cycles=2_000_000_000).kind == "exit"
    return machine


@by_workload
def test_a_workload_leaves_the_same_registers_and_memory_on_unicorn_alone(workload: Workload) -> None:
    guest = workload.guest(FEW[workload.name])
    engine = Uc(UC_ARCH_X86, UC_MODE_32)
    engine.mem_map(0, guest.memory_bytes)
    for segment in guest.image.segments:
        engine.mem_write(segment.address, segment.data)
    engine.emu_start(guest.image.entry.eip, guest.end)
    assert engine.reg_read(UC_X86_REG_EIP) == guest.end
    machine = ran(guest)
    registers = machine.processor.registers
    assert registers.general(0) & 0xFFFFFF00 == engine.reg_read(UC_X86_REG_EAX) & 0xFFFFFF00  # AL: the exit
    assert registers.general(1) == engine.reg_read(UC_X86_REG_ECX)
    assert registers.general(2) == engine.reg_read(UC_X86_REG_EDX)
    assert machine.ram.read(0x200000, REGION * 3) == bytes(engine.mem_read(0x200000, REGION * 3))


def growth(name: str, statistic: str, few: int, many: int) -> int:
    counts = [ran(BY_NAME[name].guest(count)).statistics()[statistic] for count in (few, many)]
    return counts[1] - counts[0]


def test_the_chain_is_one_cycle_and_each_step_of_it_misses_the_caches() -> None:
    words = chain()
    at, seen = 0, 0
    while True:
        at = struct.unpack_from("<I", words, at)[0] - CHAIN
        seen += 1
        if at == 0:
            break
    assert seen == REGION // NODE
    assert growth("chase", "l2_data_misses", 1, 1001) > 900


def test_a_walk_misses_the_tlb_each_time_for_want_of_room() -> None:
    assert growth("walks", "dtlb_capacity_misses", 2048, 4096) == 2048


def test_copies_and_fills_are_one_instruction_each_and_touch_every_double_word() -> None:
    for name, accesses in (("memcpy", "reads"), ("memset", "writes")):
        assert growth(name, "instructions", 1, 11) == 60  # three MOVs, REP, DEC, JNZ
        assert growth(name, accesses, 1, 11) == 10 * COPIED // 4
    filled = ran(BY_NAME["memset"].guest(1)).ram.read(COPY, COPIED + 4)
    assert filled == filled[:4] * (COPIED // 4) + bytes(4)


def test_fibonacci_is_right() -> None:
    assert ran(BY_NAME["calls"].guest(20)).processor.registers.general(0) & 0xFF00 == 6765 & 0xFF00


def test_the_interpreter_s_jump_is_mispredicted_often() -> None:
    assert growth("interpreter", "mispredictions", 1, 2) > 3000  # of 4096 operations


def test_a_row_has_the_ratio_and_the_instructions_that_ran() -> None:
    few = BY_NAME["chase"].guest(1000)
    told: list[int] = []
    pairs, reference = few.measured(load_profile(PENTIUM4), 2, lambda: told.append(1))
    assert len(told) == 4  # a pair that warms up, two pairs, reference mode
    assert {timed.instructions for timed, _ in pairs} == {reference.instructions} == {ran(few).instructions}
    row = speed_row("chase", "Chase", pairs, reference)
    assert row.runs == 2
    assert isinstance(row.reference, float)
    assert row.ratio is not None
    assert row.min <= row.median <= row.max
    assert [significant(value) for value in (123.456, 0.012345)] == [123.5, 0.0123]


def test_a_row_s_ratio_to_reference_mode_is_by_the_median_time() -> None:
    pairs = [(Timed(seconds, 8_000_000), 1.0) for seconds in (4.0, 2.0, 1.0)]
    row = speed_row("loop", "Loop", pairs, Timed(5.0, 8_000_000))
    assert (row.min, row.median, row.max) == (2, 4, 8)
    assert (row.ratio, row.reference) == (0.5, 2.5)


def feeds(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The feeds that the machines of workloads and events are made with from now on."""
    made: list[object] = []

    def machine(*arguments: Any, **options: Any) -> Machine:
        made.append(options.get("feed"))
        return Machine(*arguments, **options)

    for module in ("host_run", "host_events"):
        monkeypatch.setattr(f"emulator.bench.{module}.Machine", machine)
    return made


def test_every_row_names_its_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = feeds(monkeypatch)
    profile = load_profile(PENTIUM4)
    few = dataclasses.replace(BY_NAME["chase"], count=1000)
    measure_workload(profile, few, 1, lambda: None)
    assert made == ["planned", "planned", "hooks"]
    made.clear()
    measure_event(profile, Event("nop", "NOP", MicroGuest("nop;"), count=10), 1)
    assert made == ["planned", "planned"]


def test_a_workload_that_does_not_end_well_is_an_error() -> None:
    guest = BareGuest.assembled("wrong", "ud2", 16 << 20)
    with pytest.raises(BenchError, match="the guest of wrong did not end well: triple fault"):
        run_image(load_profile(PENTIUM4), guest.image, guest.memory_bytes)


def test_cachegrind_gets_the_profile_s_caches() -> None:
    assert cache_options(load_profile(PENTIUM4))[2:] == ["--D1=8192,4,64", "--LL=262144,8,64"]


def test_without_cachegrind_a_note_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    short = host.loop_guest(100)
    monkeypatch.setattr(host, "loop_guest", lambda: short)
    monkeypatch.setattr(host_cachegrind.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(host_cachegrind.platform, "system", lambda: "Linux")
    monkeypatch.setattr(host_cachegrind.shutil, "which", lambda _name: None)
    rows, notes = host._loop_rows(load_profile(PENTIUM4), lambda _what: None)
    assert [row.name for row in rows] == ["loop"]
    assert len(notes) == 1
    assert "valgrind is not installed" in notes[0]
    monkeypatch.setattr(host_cachegrind.platform, "machine", lambda: "aarch64")
    assert missing() == "the host is not Linux on x86-64"


@pytest.mark.skipif(missing() != "", reason=missing())
def test_cachegrind_runs_the_instructions_that_the_guest_runs() -> None:
    _seconds, instructions = measure_cachegrind(load_profile(PENTIUM4), 100_001)
    ours = [ran(host.loop_guest(count)).instructions for count in (1, 100_001)]
    assert instructions == ours[1] - ours[0]


def test_start_up_is_timed_to_the_guest_s_first_words(tmp_path: Path) -> None:
    told: list[int] = []
    row = measure_startup(PENTIUM4, 1, lambda: told.append(1))
    assert (row.name, row.unit, row.runs, len(told)) == ("startup", "s", 1, 2)
    assert row.median > 0
    silent = tmp_path / "silent.bin"
    silent.write_bytes(b"\xb0\x00\xe6\xf4\xf4")
    with pytest.raises(BenchError, match="the start-up guest ended with status 0: no message"):
        seconds_to_first_instruction(silent, PENTIUM4)


def test_the_model_s_memory_is_the_block_table_and_four_words_a_frame() -> None:
    row = measure_memory(load_profile(PENTIUM4))
    assert row.unit == "MB per guest MB"
    assert row.median == round(4 + 25 / 4096, 3)
