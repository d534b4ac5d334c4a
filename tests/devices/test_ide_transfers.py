from pathlib import Path

import pytest
from ide_host import (
    COMMAND,
    CONTROL,
    COUNT,
    DATA,
    ERROR,
    FAILED,
    HEAD,
    HIGH,
    LOW,
    MASTER_CHS,
    READY,
    READY_DRQ,
    SECTOR,
    SLAVE_LBA,
    STATUS,
    Host,
    image,
    pattern,
)

from emulator.devices.ide import Disk

SIZE = 2100
IDNF, ABRT = 0x10, 0x04


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(Disk.open(image(tmp_path / "hd0.img", pattern(SIZE))))


def sector(lba: int) -> bytes:
    return lba.to_bytes(4, "little") * 128


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("code", [0x20, 0x21])
def test_read_sectors_gives_one_sector_for_each_interrupt(host: Host, code: int, width: int) -> None:
    assert host.command(code, lba=7, count=3) == READY_DRQ
    for i in range(3):
        assert host.board.level
        assert host.inp(STATUS) == READY_DRQ
        assert not host.board.level, "reading Status takes INTRQ back"
        assert host.take(width=width) == sector(7 + i)
        host.wait()
    assert host.inp(STATUS) == READY
    assert not host.board.level, "no interrupt after the last sector of a read"
    assert (host.address(), host.inp(COUNT)) == (9, 0)


def test_a_count_of_0_is_256_sectors(host: Host) -> None:
    host.command(0x20, lba=100, count=0)
    data = bytearray()
    while host.wait() == READY_DRQ:
        data += host.take(width=4)
    assert data == pattern(SIZE)[100 * 512 : 356 * 512]


def test_a_command_is_busy_for_a_modelled_time(host: Host) -> None:
    host.out(COMMAND, 0xEC)
    assert host.inp(STATUS) & 0x80
    assert host.inp(CONTROL) == host.inp(COUNT) == host.inp(STATUS), "registers are not valid under BSY"
    host.board.run(1)
    assert host.inp(STATUS) & 0x80
    host.board.run(2000)
    assert host.inp(STATUS) == READY_DRQ
    assert host.board.irqs[0] == (2000, True)


def test_cylinder_head_and_sector_name_the_same_sectors(host: Host) -> None:
    # 2100 sectors: 2 cylinders of 16 heads of 63
    for out in ((HEAD, MASTER_CHS | 3), (COUNT, 2), (SECTOR, 63), (LOW, 1), (HIGH, 0), (COMMAND, 0x20)):
        host.out(*out)
    first = (1 * 16 + 3) * 63 + 62
    for lba in (first, first + 1):
        host.wait()
        assert host.take() == sector(lba)
    assert (host.inp(SECTOR), host.inp(LOW), host.inp(HIGH), host.inp(HEAD)) == (1, 1, 0, MASTER_CHS | 4)


@pytest.mark.parametrize(("cylinder", "head", "number"), [(0, 0, 0), (0, 0, 64), (2, 0, 1), (0xFFFF, 15, 63)])
def test_chs_outside_the_translation_is_no_id(host: Host, cylinder: int, head: int, number: int) -> None:
    lba = number | cylinder << 8
    assert host.command(0x20, lba=lba, head=MASTER_CHS | head) == FAILED
    assert host.inp(ERROR) == IDNF


def test_initialize_parameters_changes_the_translation(host: Host) -> None:
    assert host.command(0x91, count=17, head=MASTER_CHS | 3) == READY
    assert host.words()[54:59] == [30, 4, 17, 2040, 0]
    assert host.command(0x20, lba=17 | 29 << 8, head=MASTER_CHS | 3) == READY_DRQ
    assert host.take() == sector(2039)
    assert host.command(0x91, count=0, head=MASTER_CHS | 3) == FAILED
    assert host.inp(ERROR) == ABRT


def test_the_last_sector_can_be_read_and_the_one_after_it_cannot(host: Host) -> None:
    assert host.command(0x20, lba=SIZE - 1, count=2) == READY_DRQ
    assert host.take() == sector(SIZE - 1)
    assert host.wait() == FAILED
    assert host.board.level
    assert (host.inp(ERROR), host.address(), host.inp(COUNT)) == (IDNF, SIZE, 1)
    assert host.command(0x20, lba=SIZE) == FAILED
    assert host.command(0x20, lba=0x0FFFFFFF) == FAILED


@pytest.mark.parametrize("code", [0x30, 0x31, 0x3C])
def test_write_sectors_asks_at_once_and_interrupts_after_each_sector(host: Host, code: int) -> None:
    host.command(0xE7)
    host.inp(STATUS)
    host.board.irqs.clear()
    assert host.command(code, lba=5, count=2) == READY_DRQ
    assert not host.board.irqs, "the first data request of a write comes without an interrupt"
    host.give(b"a" * 512)
    assert host.inp(CONTROL) & 0x80
    assert host.wait() == READY_DRQ
    assert host.board.level
    host.inp(STATUS)
    host.give(b"b" * 512, width=4)
    assert host.wait() == READY
    assert host.board.level
    assert host.disks[0] is not None
    assert host.disks[0].read(4, 4) == sector(4) + b"a" * 512 + b"b" * 512 + sector(7)
    assert (host.address(), host.inp(COUNT)) == (6, 0)


def test_a_write_over_the_end_stops_there(host: Host) -> None:
    assert host.command(0x30, lba=SIZE - 1, count=2) == READY_DRQ
    host.give(b"a" * 512)
    assert host.wait() == FAILED
    assert (host.inp(ERROR), host.address()) == (IDNF, SIZE)
    assert host.disks[0] is not None
    assert host.disks[0].read(SIZE - 1) == b"a" * 512
    assert host.command(0x30, lba=SIZE) == FAILED
    host.give(b"c" * 512)
    assert host.inp(CONTROL) == FAILED


def test_multiple_moves_blocks_of_the_size_set(host: Host) -> None:
    assert host.command(0xC4, lba=0) == FAILED, "not set yet"
    assert host.inp(ERROR) == ABRT
    assert host.command(0xC6, count=4) == READY
    host.inp(STATUS)
    assert host.words()[59] == 0x104
    host.inp(STATUS)
    host.board.irqs.clear()
    host.command(0xC4, lba=10, count=6)
    assert host.take(2048) == pattern(SIZE)[10 * 512 : 14 * 512]
    assert host.wait() == READY_DRQ
    assert host.take(1024) == pattern(SIZE)[14 * 512 : 16 * 512], "the last block is what is left"
    assert host.wait() == READY
    host.inp(STATUS)
    assert host.command(0xC5, lba=20, count=5) == READY_DRQ
    host.give(b"m" * 2048)
    assert host.wait() == READY_DRQ
    host.give(b"n" * 512)
    assert host.wait() == READY
    assert host.disks[0] is not None
    assert host.disks[0].read(20, 6) == b"m" * 2048 + b"n" * 512 + sector(25)


@pytest.mark.parametrize(("count", "status"), [(0, READY), (16, READY), (3, FAILED), (32, FAILED)])
def test_set_multiple_takes_powers_of_two_up_to_16(host: Host, count: int, status: int) -> None:
    host.command(0xC6, count=2)
    assert host.command(0xC6, count=count) == status
    assert host.command(0xC4) == (READY_DRQ if count == 16 else FAILED)


@pytest.mark.parametrize("code", [0x40, 0x41])
def test_read_verify_transfers_nothing_and_finds_the_end(host: Host, code: int) -> None:
    assert host.command(code, lba=SIZE - 3, count=3) == READY
    assert host.command(code, lba=SIZE - 3, count=5) == FAILED
    assert (host.inp(ERROR), host.address(), host.inp(COUNT)) == (IDNF, SIZE, 2)


def test_the_buffer_can_be_written_and_read(host: Host) -> None:
    assert host.command(0xE8) == READY_DRQ
    host.give(bytes(range(256)) * 2)
    assert host.wait() == READY
    assert host.command(0xE4) == READY_DRQ
    assert host.take() == bytes(range(256)) * 2
    assert host.inp(STATUS) == READY


def test_the_data_port_without_a_request_gives_ones_and_takes_nothing(host: Host) -> None:
    assert (host.inp(DATA, 2), host.inp(DATA, 4)) == (0xFFFF, 0xFFFFFFFF)
    host.out(DATA, 0x1234, 2)
    assert host.inp(STATUS) == READY


def test_a_byte_of_the_data_port_takes_a_word(host: Host) -> None:
    host.command(0x20, lba=0x0201)
    assert host.inp(DATA, 1) == 0x01
    assert host.inp(DATA, 1) == 0x00
    assert host.inp(DATA, 4) == 0x0201


def test_registers_and_commands_are_ignored_while_data_are_pending(host: Host) -> None:
    host.command(0x20, lba=3, count=2)
    for port in (COUNT, SECTOR, HEAD):
        host.out(port, 0x55)
    host.out(COMMAND, 0xEC)
    assert host.take() == sector(3)
    host.wait()
    assert host.take() == sector(4)
    assert host.inp(HEAD) == 0xE0


def test_two_drives_have_their_own_images_and_registers(tmp_path: Path) -> None:
    slave = image(tmp_path / "hd1.img", b"s" * 1024)
    host = Host(Disk.open(image(tmp_path / "hd0.img", pattern(8))), Disk.open(slave))
    host.command(0x20, lba=1, head=SLAVE_LBA)
    assert host.take() == b"s" * 512
    assert host.inp(HEAD) == SLAVE_LBA
    host.command(0x20, lba=2)
    assert host.take() == sector(2)
    assert host.command(0x20, lba=2, head=SLAVE_LBA) == FAILED
    host.out(HEAD, 0xE0)
    assert host.inp(STATUS) == READY


def test_the_state_in_the_middle_of_a_transfer_continues_identically(host: Host, tmp_path: Path) -> None:
    host.command(0x30, lba=1)
    host.give(b"w" * 512)
    host.wait()
    host.command(0x20, lba=0, count=3)
    host.take(512)
    twin = Host(Disk.open(tmp_path / "hd0.img"))
    twin.board.cycle = host.board.cycle
    twin.channel.restore(host.channel.state())
    twin.board.events.restore(host.board.events.state())
    for machine in (host, twin):
        machine.wait()
        assert machine.take(100) == b"w" * 100
    assert twin.channel.state() == host.channel.state()
    with pytest.raises(ValueError, match="other places"):
        Host(None, Disk.open(tmp_path / "hd0.img")).channel.restore(host.channel.state())


def test_accesses_of_mixed_width_go_on_where_the_last_one_ended(host: Host) -> None:
    host.command(0xE8)
    data = bytes(range(256)) * 2
    host.out(DATA, int.from_bytes(data[:2], "little"), 2)
    for i in range(2, 510, 4):
        host.out(DATA, int.from_bytes(data[i : i + 4], "little"), 4)
    host.out(DATA, 0xFFFFFFFF, 4)
    assert host.wait() == READY
    host.command(0xE4)
    read = host.take(2) + host.take(508, width=4)
    assert read == data[:510]
    assert host.inp(DATA, 4) == 0xFFFF, "two bytes are left"
    assert host.inp(STATUS) == READY
