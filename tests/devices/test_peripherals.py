from pathlib import Path

import msgspec
import pytest
from board import Board
from ide_host import image, pattern

from emulator.devices.ide import Disk
from emulator.devices.pc import PcDevices


class Pc:
    def __init__(self, *disks: Disk | None) -> None:
        self.board = Board()
        self.ended: list[object] = []
        self.devices = PcDevices(
            self.board.clock,
            self.board.events,
            lambda _data: None,
            lambda _level: None,
            self.ended.append,
            lambda: self.ended.append("reset"),
            disks=disks,
        )
        self.bus = self.devices.bus


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk.open(image(tmp_path / "hd.img", pattern(64)))


def test_disks_are_wired_to_irq_14_and_15_and_their_ports(disk: Disk) -> None:
    for place, base, irq in ((0, 0x1F0, 14), (2, 0x170, 15)):
        pc = Pc(*[None] * place, disk)
        pc.bus.write(base + 3, 5, 1)
        pc.bus.write(base + 2, 1, 1)
        pc.bus.write(base + 6, 0xE0, 1)
        pc.bus.write(base + 7, 0x20, 1)
        pc.board.run(10_000)
        assert pc.devices.irq_levels >> irq & 1
        assert pc.bus.read(base + 0x206, 1) == 0x58
        words = [pc.bus.read(base, 2) for _ in range(2)] + [pc.bus.read(base, 4) for _ in range(127)]
        assert words == [5, 0] + [5] * 127
        assert pc.bus.read(base ^ 0x80 | 7, 1) == 0xFF, "the other channel has no disk"
        pc.bus.write(0xCF8, 0x80000900, 4)
        assert pc.bus.read(0xCFC, 4) == 0x70108086
    pc = Pc()
    pc.bus.write(0xCF8, 0x80000900, 4)
    assert pc.bus.read(0xCFC, 4) == 0xFFFFFFFF


def test_a_fifth_disk_is_refused(disk: Disk) -> None:
    with pytest.raises(ValueError, match="take 4"):
        Pc(*[disk] * 5)


def test_the_keyboard_is_on_irq_1_and_resets(disk: Disk) -> None:
    pc = Pc()
    pc.devices.keyboard.type_text("a")
    pc.board.run(2_000_000)
    assert pc.devices.irq_levels & 2
    assert pc.bus.read(0x60, 1) == 0x1E
    for port, value in ((0x64, 0xFE), (0xCF9, 0x06)):
        pc.bus.write(port, value, 1)
    assert pc.ended == ["reset", "reset"]


def test_a_word_to_the_crt_controller_is_index_and_data() -> None:
    pc = Pc()
    pc.bus.write(0x3D4, 0x340F, 2)
    assert pc.bus.read(0x3D4, 2) == 0x340F


def test_linux_can_wait_at_its_delay_ports() -> None:
    pc = Pc()
    for port in (0x80, 0xED, 0x84, 0x87):
        pc.bus.write(port, 0x12, 1)
    assert pc.bus.read(0x87, 1) == 0x12


def test_the_whole_pc_is_put_back_from_a_serialised_state(disk: Disk, tmp_path: Path) -> None:
    pc, twin = Pc(disk), Pc(Disk.open(tmp_path / "hd.img"))
    pc.devices.keyboard.type_text("ab")
    disk.write(3, b"x" * 512)
    pc.bus.write(0x1F2, 2, 1)
    pc.bus.write(0x1F3, 3, 1)
    pc.bus.write(0x1F6, 0xE0, 1)
    pc.bus.write(0x1F7, 0x20, 1)
    pc.board.run(1000)
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(pc.devices.state()))
    twin.board.cycle = pc.board.cycle
    twin.devices.restore(saved)
    for machine in (pc, twin):
        machine.board.run(2_000_000)
        assert machine.bus.read(0x1F0, 4) == 0x78787878
        assert machine.bus.read(0x60, 1) == 0x1E
    assert twin.devices.state() == pc.devices.state()
    with pytest.raises(ValueError, match="other devices"):
        Pc().devices.restore(saved)
