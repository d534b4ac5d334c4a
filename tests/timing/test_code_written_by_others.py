"""Code that a disk, the host, the loader or an interrupt writes over code that has run."""

import struct
from pathlib import Path
from typing import Final

import pytest

from emulator.cpu.events import Events
from emulator.devices.ide import Disk
from emulator.machine import Machine
from tests.support import BOOT, FRAMES, IDT, PROGRAM, STACK_KERNEL, Rig, assemble, flat, gate, machine
from tests.timing.rewriting import (
    ALIAS,
    AT,
    CALL,
    CODE,
    MODES,
    STALE,
    Case,
    chosen,
    ends_without,
    modes,
    rig,
    status,
)

READ_SECTOR: Final = f"""mov eax, ebp; mov dx, 0x1f3; out dx, al; mov al, 1; mov dx, 0x1f2; out dx, al
    mov al, 0xe0; mov dx, 0x1f6; out dx, al; mov al, 0x20; mov dx, 0x1f7; out dx, al
    busy: in al, dx; and al, 0x88; cmp al, 8; jne busy
    mov edi, {ALIAS}; mov ecx, 256; mov dx, 0x1f0; rep insw;"""


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """Sector N holds code that returns N."""
    sectors = [bytes(AT) + b"\xb8" + struct.pack("<I", n) + b"\xc3" for n in range(40)]
    image = tmp_path / "disk"
    image.write_bytes(b"".join(sector.ljust(512, b"\0") for sector in sectors))
    return Disk.open(image)


FROM_DISK: Final = Case(READ_SECTOR, rounds=39)


@modes
def test_code_read_from_a_disk_over_old_code_runs(mode: str, disk: Disk) -> None:
    """There is no DMA: the processor moves each word (REP INSW)."""
    assert status(rig(mode, FROM_DISK, disks=[disk]), FROM_DISK.program()) == 0


@modes
def test_old_code_runs_without_the_rule_when_a_disk_is_read_over_it(
    mode: str, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ends_without(monkeypatch, mode, FROM_DISK, "flush", "mark", disks=[disk]) == STALE


WAITING: Final = 1  # exit status of a guest that lets the host write
BY_HOST: Final = Case(f"mov al, {WAITING}; out 0xf4, al;", rounds=20)


def written_by_the_host(made: Rig) -> int:
    ended, value = status(made, BY_HOST.program()), 0
    while ended == WAITING:
        value += 1
        made.poke(FRAMES + AT + 1, value)
        made.machine.memory_changed()
        ended = made.machine.run(max_cycles=10**9).status
    return ended


@modes
def test_code_that_the_host_writes_over_old_code_runs(mode: str) -> None:
    assert written_by_the_host(rig(mode, BY_HOST)) == 0


@modes
def test_old_code_runs_when_the_host_writes_over_it_and_says_nothing(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "memory_changed", lambda _machine: None)
    assert written_by_the_host(rig(mode, BY_HOST)) == STALE


def loaded_twice(mode: str) -> list[int]:
    loaded = machine(**MODES[mode])
    ended = []
    for number in (1, 2):
        loaded.load(flat(assemble(f"mov al, {number}; out 0xf4, al; hlt", BOOT), BOOT))
        ended.append(loaded.run(max_cycles=10**6).status)
    return ended


@modes
def test_a_program_that_is_loaded_over_one_that_has_run_runs(mode: str) -> None:
    assert loaded_twice(mode) == [1, 2]


@modes
def test_the_old_program_runs_when_the_loader_says_nothing(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "memory_changed", lambda _machine: None)
    assert loaded_twice(mode) == [1, 1]


def interrupted(mode: str) -> int:
    """INT 40h from two places in turn pushes 0x0020C340 or 0x0020C390 over code: INC EAX or NOP, then RET."""
    places = PROGRAM + 0xC340, PROGRAM + 0xC390
    landing = PROGRAM + 0xD000
    case = Case(
        f"lea edi, [back]; mov esp, {CODE + AT + 12};"
        + chosen(places[0] - 2, places[1] - 2, "go")
        + "jmp edx; back:",
        call="mov eax, ebp; and eax, -2;" + CALL,
    )
    made = rig(mode, case)
    for place in places:
        made.machine.ram.write(place - 2, assemble("int 0x40", place - 2))
    made.machine.ram.write(landing, assemble(f"mov esp, {STACK_KERNEL}; jmp edi", landing))
    made.machine.ram.write(IDT + 8 * 0x40, gate(landing))
    return status(made, case.program())


@modes
def test_an_interrupt_frame_over_old_code_is_new_code(mode: str) -> None:
    assert interrupted(mode) == 0


@modes
def test_old_code_runs_when_nobody_looks_where_an_interrupt_frame_goes(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Events, "written_code", lambda _events: None)
    assert interrupted(mode) == STALE
