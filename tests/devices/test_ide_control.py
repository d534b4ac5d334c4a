from pathlib import Path

import pytest
from ide_host import (
    COMMAND,
    CONTROL,
    COUNT,
    DATA,
    ERROR,
    FAILED,
    FEATURES,
    HEAD,
    HIGH,
    LOW,
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
from emulator.devices.ide.identify import default_geometry

ABRT = 0x04


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(Disk.open(image(tmp_path / "hd0.img", pattern(2100))))


def signature(host: Host) -> tuple[int, ...]:
    return tuple(host.inp(port) for port in (ERROR, COUNT, SECTOR, LOW, HIGH))


def test_identify_describes_the_drive(host: Host) -> None:
    words = host.words()
    assert words[1] == 2
    assert (words[3], words[6]) == (16, 63)
    assert words[60] | words[61] << 16 == 2100
    assert words[49] & 0x0300 == 0x0200, "LBA and no DMA"
    assert words[53] & 3 == 3
    assert words[54:59] == [2, 16, 63, 2016, 0]
    assert words[83] == words[84] == 0x4000
    model = b"".join(word.to_bytes(2, "big") for word in words[27:47]).decode("ascii")
    assert model.rstrip() == "RINGTOLL DISK"
    data = b"".join(word.to_bytes(2, "little") for word in words)
    assert words[255] & 0xFF == 0xA5
    assert sum(data) % 256 == 0


@pytest.mark.parametrize("sectors", [1, 10, 62, 63, 1007, 1008, 2880, 16514064, 1 << 27])
def test_the_default_translation_stays_on_the_disk(sectors: int) -> None:
    geometry = default_geometry(sectors)
    assert 0 < geometry.capacity <= sectors
    assert geometry.cylinders <= 16383


def test_a_reset_stops_all_and_leaves_the_signature(host: Host) -> None:
    host.command(0x20, lba=9, count=5)
    host.take(20)
    host.out(CONTROL, 0x04)
    assert host.inp(CONTROL) & 0x80
    assert not host.board.level
    host.board.run(10**9)
    assert host.inp(CONTROL) & 0x80, "busy as long as SRST is set"
    host.out(CONTROL, 0x00)
    assert host.inp(CONTROL) & 0x80
    assert host.wait() == READY
    assert not host.board.level, "no interrupt after a reset"
    assert signature(host) == (1, 1, 1, 0, 0)
    assert host.inp(DATA, 2) == 0xFFFF


def test_a_diagnostic_leaves_the_signature_and_interrupts(host: Host) -> None:
    host.out(LOW, 0x77)
    assert host.command(0x90, lba=0x123456, head=SLAVE_LBA) == READY
    assert host.board.level
    assert signature(host) == (1, 1, 1, 0, 0)
    assert host.inp(HEAD) & 0x10 == 0


def test_nien_lets_go_of_the_line_and_keeps_the_request(host: Host) -> None:
    host.out(CONTROL, 0x02)
    host.command(0xE7)
    assert not host.board.irqs
    host.out(CONTROL, 0x00)
    assert host.board.level
    host.inp(CONTROL)
    assert host.board.level, "the alternate status does not take it back"
    host.out(COMMAND, 0xE7)
    assert not host.board.level, "a command does"


@pytest.mark.parametrize("code", [0x10, 0x1F, 0x70, 0xE0, 0xE1, 0xE2, 0xE3, 0x94, 0x95, 0x96, 0x97, 0xE7])
def test_commands_without_data_end_with_an_interrupt(host: Host, code: int) -> None:
    assert host.command(code) == READY
    assert host.board.level
    assert host.inp(STATUS) == READY


@pytest.mark.parametrize("code", [0x00, 0x08, 0x22, 0x50, 0xA0, 0xA1, 0xB0, 0xC8, 0xCA, 0xF8, 0xFF])
def test_commands_that_are_not_there_are_aborted(host: Host, code: int) -> None:
    assert host.command(code) == FAILED
    assert host.board.level
    assert host.inp(ERROR) == ABRT
    assert host.command(0xE7) == READY
    assert host.inp(ERROR) == 0


def test_a_seek_outside_the_disk_finds_no_id(host: Host) -> None:
    assert host.command(0x70, lba=2100) == FAILED
    assert host.inp(ERROR) == 0x10


@pytest.mark.parametrize(
    ("feature", "mode", "status"),
    [
        *((0x03, 0x00, READY), (0x03, 0x0C, READY), (0x03, 0x0D, FAILED), (0x03, 0x22, FAILED)),
        *((0x03, 0x42, FAILED), (0x66, 0, READY), (0xCC, 0, READY), (0x5D, 0, FAILED)),
    ],
)
def test_set_features(host: Host, feature: int, mode: int, status: int) -> None:
    host.out(FEATURES, feature)
    assert host.command(0xEF, count=mode) == status


def test_write_cache_and_look_ahead_show_in_word_85(host: Host) -> None:
    seen = []
    for feature in (0x82, 0x55, 0x02, 0xAA):
        host.out(FEATURES, feature)
        host.command(0xEF)
        seen.append(host.words()[85] & 0x60)
    assert seen == [0x40, 0x00, 0x20, 0x60]


def test_power_modes_can_be_asked_for_and_sleep_ends_with_a_reset(host: Host) -> None:
    modes = []
    for code in (0xE2, 0xE1, 0xE0, 0x20):
        host.command(code)
        if code == 0x20:
            host.take()
        host.command(0xE5)
        modes.append(host.inp(COUNT))
    assert modes == [0x00, 0xFF, 0x00, 0xFF]
    assert host.command(0xE6) == READY
    assert host.command(0xEC) == READY, "asleep: nothing happens"
    host.out(CONTROL, 0x04)
    host.out(CONTROL, 0x00)
    host.wait()
    assert host.command(0xEC) == READY_DRQ


def test_device_0_answers_for_an_absent_device_1(host: Host) -> None:
    host.out(COUNT, 0x55)
    host.out(HEAD, SLAVE_LBA)
    assert (host.inp(STATUS), host.inp(CONTROL)) == (0, 0)
    assert (host.inp(COUNT), host.inp(HEAD)) == (0x55, SLAVE_LBA)
    host.out(COMMAND, 0xEC)
    assert host.inp(STATUS) == 0
    assert not host.board.irqs
    assert host.inp(DATA, 2) == 0xFFFF


def test_nobody_answers_for_an_absent_device_0_and_busy_is_pulled_down(tmp_path: Path) -> None:
    host = Host(None, Disk.open(image(tmp_path / "fs.img", pattern(4))))
    assert (host.inp(STATUS), host.inp(COUNT)) == (0x7F, 0x7F)
    assert host.inp(STATUS) & 0xC0 == 0x40, "xv6 waits for this before it looks for its slave"
    host.out(HEAD, SLAVE_LBA)
    assert host.inp(STATUS) == READY
    host.command(0x20, lba=2, head=SLAVE_LBA)
    assert host.take() == pattern(4)[1024:1536]


def test_libata_finds_the_drives_that_are_there(host: Host) -> None:
    found = []
    for head in (0xA0, 0xB0):
        host.out(HEAD, head)
        for port, value in ((COUNT, 0x55), (SECTOR, 0xAA), (COUNT, 0xAA), (SECTOR, 0x55)):
            host.out(port, value)
        found.append((host.inp(COUNT), host.inp(SECTOR)) == (0xAA, 0x55))
    assert found == [True, True], "device 0 answers for device 1"
    host.out(CONTROL, 0x08)
    host.out(CONTROL, 0x0C)
    host.out(CONTROL, 0x08)
    host.wait()
    assert signature(host) == (1, 1, 1, 0, 0)
    host.out(HEAD, 0xB0)
    assert host.inp(STATUS) == 0, "which says that there is none"


def test_wide_accesses_to_the_other_registers_are_bytes(host: Host) -> None:
    host.out(COUNT, 0x2211, 2)
    assert (host.inp(COUNT), host.inp(SECTOR)) == (0x11, 0x22)
    assert host.inp(COUNT, 2) == 0x2211
