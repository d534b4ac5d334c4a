"""The host benchmark: its guests cause the events that they are timed for, its rows say what was measured."""

import io
import os
import shutil
from pathlib import Path

import msgspec
import pytest
from keystone import KS_ARCH_X86, KS_MODE_32, Ks
from rich.console import Console

from emulator.bench import host, host_boots
from emulator.bench.errors import BenchError
from emulator.bench.host_boots import Boot, linux_boot, measure_boot, xv6_boots
from emulator.bench.host_events import EVENTS, Event, measure_event, measure_events, supported
from emulator.bench.host_run import SPEED
from emulator.bench.host_tables import show_host
from emulator.bench.host_workloads import WORKLOADS
from emulator.bench.micro_guest import MEMORY, MicroGuest
from emulator.bench.result import Row, decode, encode
from emulator.bench.serial_line import Failed, Guest
from emulator.cpu.plan_cache import PLACE
from emulator.cpu.processor import Processor
from emulator.machine import Machine
from emulator.timing.profile import load_profile

PENTIUM4, PENTIUM3 = "pentium4-willamette-1400", "pentium3-katmai-550"
COUNT = 25
COUNTED = {  # which statistic an event shows up in
    "page_fault": "page_faults",
    "write_protect_fault": "page_faults",
    "sysenter_sysexit": "sysenters",
    "int80_iret": "software_interrupts",
    "pit_irq": "interrupts",
    "lapic_timer_irq": "interrupts",
    "hlt_wake": "interrupts",
    "lapic_hlt_wake": "interrupts",
    "mov_cr3": "cr3_writes",
    "invlpg": "invlpg_count",
}
by_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)


def statistics(event: Event, count: int) -> dict[str, int]:
    machine = Machine(load_profile(PENTIUM4), memory_bytes=MEMORY)
    machine.load(event.guest.image(event.name, count))
    outcome = machine.run(max_cycles=1_000_000_000)
    assert (outcome.kind, outcome.status) == ("exit", 0), outcome.message
    machine.ledger.check(machine.cycles)
    return machine.statistics()


@by_event
def test_a_guest_causes_its_event_as_often_as_it_is_told(event: Event) -> None:
    few, many = statistics(event, 1), statistics(event, 1 + COUNT)
    assert many["instructions"] > few["instructions"]
    if counted := COUNTED.get(event.name):
        assert many.get(counted, 0) - few.get(counted, 0) in (COUNT, COUNT + 1)  # a timer may tick once more


def test_a_processor_without_apic_or_sysenter_has_fewer_rows() -> None:
    names = {event.name for event in supported(load_profile(PENTIUM4))}
    assert names == {event.name for event in EVENTS}
    without = {event.name for event in supported(load_profile(PENTIUM3))}
    assert {"page_fault", "int80_iret", "pit_irq", "in_3fd", "cpuid"} <= without
    assert {"lapic_id", "lapic_eoi", "lapic_timer_irq"}.isdisjoint(without)


def test_events_come_as_rows_in_microseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    event = Event("nop", "NOP", MicroGuest("nop;"), count=1000)
    monkeypatch.setattr("emulator.bench.host_events.EVENTS", (event,))
    told: list[str] = []
    (row,) = measure_events(load_profile(PENTIUM4), 2, told.append)
    assert (row.name, row.unit, row.runs, told) == ("nop", "us", 2, ["NOP"])
    assert row.min <= row.median <= row.max


def test_a_guest_that_does_not_end_well_is_an_error() -> None:
    with pytest.raises(BenchError, match="the guest of wrong did not end well: triple fault"):
        measure_event(load_profile(PENTIUM4), Event("wrong", "", MicroGuest("ud2;")), 1)


HEADER = 32
LOAD = 0x100000


def speaking(tmp_path: Path) -> Guest:
    """A multiboot guest that says "ok" on COM1 and halts."""
    source = "mov dx, 0x3f8; mov al, 0x6f; out dx, al; mov al, 0x6b; out dx, al; again: jmp again"
    code = bytes(Ks(KS_ARCH_X86, KS_MODE_32).asm(source, LOAD + HEADER, as_bytes=True)[0])
    magic, flags = 0x1BADB002, 0x10000
    words = (magic, flags, -(magic + flags) & 0xFFFFFFFF, LOAD, LOAD, 0, 0, LOAD + HEADER)
    kernel = tmp_path / "speaking"
    kernel.write_bytes(b"".join(word.to_bytes(4, "little") for word in words) + code)
    return Guest(kernel, 16 << 20)


def test_a_boot_is_measured_alone_where_there_is_no_qemu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_boots, "qemu_installed", lambda: False)
    row, _ = measure_boot(Boot("speaking", "It speaks", speaking(tmp_path), ("o", "k")), PENTIUM4)
    assert (row.bare, row.ratio) == (msgspec.UNSET, None)
    assert isinstance(row.seconds, float)
    assert isinstance(row.reference, float)


def test_a_boot_is_measured_with_the_plans_of_one_before_that_had_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter((4.0, 2.0, 6.0))
    feeds: list[str] = []
    places: list[list[str] | None] = []

    def ours(_boot: Boot, _profile: str, feed: str) -> tuple[float, int]:
        feeds.append(feed)
        place = Path(os.environ[PLACE]) if feed == "planned" else None
        places.append(None if place is None else [path.name for path in place.iterdir()])
        if place is not None:
            (place / "kept").touch()
        return next(seconds), 8_000_000

    monkeypatch.setattr(host_boots, "_ours", ours)
    monkeypatch.setattr(host_boots, "qemu_installed", lambda: False)
    monkeypatch.setenv(PLACE, "elsewhere")
    row, cold = measure_boot(Boot("speaking", "", speaking(tmp_path), ()), PENTIUM4)
    assert feeds == ["planned", "planned", "hooks"]
    assert places == [[], ["kept"], None]
    assert os.environ[PLACE] == "elsewhere"
    assert (row.median, row.seconds, row.reference) == (4.0, 2.0, 3.0)
    assert (cold.name, cold.seconds, cold.reference) == ("speaking_cold", 4.0, msgspec.UNSET)


@pytest.mark.skipif(shutil.which("qemu-system-i386") is None, reason="there is no qemu-system-i386")
def test_a_boot_is_measured_beside_qemu(tmp_path: Path) -> None:
    row, _ = measure_boot(Boot("speaking", "It speaks", speaking(tmp_path), ("ok",)), PENTIUM4)
    assert isinstance(row.bare, float)
    assert row.ratio is not None
    assert row.ratio > 0


def test_a_guest_that_does_not_speak_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_boots, "LIMIT_CYCLES", 10_000_000)
    with pytest.raises(Failed, match="no 'login:'"):
        measure_boot(Boot("speaking", "", speaking(tmp_path), ("login:",)), PENTIUM4)


def test_xv6_is_whatever_was_built_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="holds neither xv6's kernel"):
        xv6_boots(tmp_path)
    (tmp_path / "kernelmemfs").touch()
    assert [boot.name for boot in xv6_boots(tmp_path)] == ["xv6memfs"]
    for name in ("kernel", "fs.img"):
        (tmp_path / name).touch()
    disk, memory = xv6_boots(tmp_path)
    assert disk.guest.disks == (None, tmp_path / "fs.img")
    assert memory.guest.disks == ()


def test_a_result_has_all_rows_and_says_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def row(name: str, unit: str = SPEED) -> Row:
        return Row(name=name, title=name, unit=unit, min=1.0, median=1.0, max=1.0, runs=1)

    kernel = speaking(tmp_path).kernel
    monkeypatch.setattr(host, "WORKLOADS", WORKLOADS[:1])
    monkeypatch.setattr(host, "_loop_rows", lambda *_: ([row("loop")], ["No cachegrind."]))
    monkeypatch.setattr(host, "measure_workload", lambda _profile, workload, *_: row(workload.name))
    monkeypatch.setattr(host, "_uls_row", lambda *_: row("uls"))
    monkeypatch.setattr(host, "measure_startup", lambda *_: row("startup", "s"))
    monkeypatch.setattr(host, "measure_memory", lambda *_: row("memory", "MB per guest MB"))
    monkeypatch.setattr(host, "measure_boot", lambda boot, _: [row(boot.name), row(f"{boot.name}_cold")])
    monkeypatch.setattr(host, "measure_events", lambda *_: [row("page_fault", "us")])
    monkeypatch.setattr(host, "qemu_installed", lambda: False)
    (tmp_path / "kernelmemfs").touch()
    plan = host.Plan((linux_boot(kernel, None), *xv6_boots(tmp_path)), missing=("Left out: tea.",))
    result = decode(encode(host.run_host(PENTIUM4, plan)))
    boots = ["linux", "linux_cold", "xv6memfs", "xv6memfs_cold"]
    measured = ["loop", "chase", "uls", *boots, "startup", "memory", "page_fault"]
    assert [row.name for row in result.rows] == measured
    assert "No cachegrind." in result.notes
    assert any("registers are used in place" in note for note in result.notes)
    monkeypatch.setattr(host, "choose", lambda: (None, "no layout"))
    assert host.layout_note().endswith("public API, which is about ten times slower: no layout.")
    assert len(str(result.options["linux"])) == 64
    assert "Left out: tea." in result.notes
    assert any("qemu-system-i386 is not installed" in note for note in result.notes)
    lacking = host.run_host(PENTIUM3, plan)
    assert [row.name for row in lacking.rows] == [name for name in measured if "xv6" not in name]
    assert any("xv6 from memory" in note and "local APIC" in note for note in lacking.notes)
    out = io.StringIO()
    show_host(result, Console(file=out, width=120))
    assert "host cost of events (microseconds)" in out.getvalue()
    assert "MB per guest MB" in out.getvalue()
    assert "Left out: tea." in out.getvalue()


@pytest.mark.parametrize("name", ["pit_irq", "lapic_timer_irq", "hlt_wake", "page_fault"])
def test_an_interrupt_taken_without_the_engine_changes_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (event,) = (event for event in EVENTS if event.name == name)

    def run() -> tuple[int, dict[str, int], object, bytes]:
        machine = Machine(load_profile(PENTIUM4), memory_bytes=MEMORY)
        machine.load(event.guest.image(name, 50))
        assert machine.run(max_cycles=1_000_000_000).kind == "exit"
        memory = machine.ram.bytes.tobytes()
        return machine.cycles, machine.statistics(), machine.ledger.to_json(), memory

    quick = run()
    monkeypatch.setattr(Processor, "takes_interrupt", lambda _self: False)
    assert run() == quick
