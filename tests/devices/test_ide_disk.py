import os
from pathlib import Path

import pytest
from ide_host import image, pattern

from emulator.devices.ide import Disk, DiskError


def test_writes_are_seen_by_the_reader_and_not_by_the_file(tmp_path: Path) -> None:
    path = image(tmp_path / "a.img", pattern(4))
    with Disk.open(path) as disk:
        disk.write(1, b"x" * 1024)
        assert disk.read(0, 4) == pattern(4)[:512] + b"x" * 1024 + pattern(4)[1536:]
    assert path.read_bytes() == pattern(4)
    with Disk.open(path) as disk:
        assert disk.read(0, 4) == pattern(4), "what was written is dropped"


def test_a_writable_image_is_written_through(tmp_path: Path) -> None:
    path = image(tmp_path / "a.img", pattern(4))
    with Disk.open(path, writable=True) as disk:
        disk.write(3, b"x" * 512)
        disk.flush()
        assert disk.read(3) == b"x" * 512
    assert path.read_bytes() == pattern(3) + b"x" * 512


@pytest.mark.parametrize("writable", [False, True])
def test_a_last_sector_that_is_not_full_is_padded_and_the_file_never_grows(
    tmp_path: Path, writable: bool
) -> None:
    path = image(tmp_path / "odd.img", b"a" * 700)
    with Disk.open(path, writable=writable) as disk:
        assert disk.sectors == 2
        assert disk.read(1) == b"a" * 188 + bytes(324)
        disk.write(0, b"b" * 1024)
        assert disk.read(0, 2) == b"b" * 1024
    assert path.read_bytes() == (b"b" if writable else b"a") * 700


@pytest.mark.parametrize(("sector", "count"), [(-1, 1), (4, 1), (3, 2), (0, 5), (0, 0), (1 << 40, 1)])
def test_nothing_outside_the_image_can_be_reached(tmp_path: Path, sector: int, count: int) -> None:
    with Disk.open(image(tmp_path / "a.img", pattern(4)), writable=True) as disk:
        with pytest.raises(ValueError, match=r"outside|whole"):
            disk.read(sector, count)
        with pytest.raises(ValueError, match=r"outside|whole"):
            disk.write(sector, bytes(512 * count))
    assert (tmp_path / "a.img").read_bytes() == pattern(4)


def test_half_a_sector_is_refused(tmp_path: Path) -> None:
    disk = Disk.open(image(tmp_path / "a.img", pattern(1)))
    with pytest.raises(ValueError, match="whole sectors"):
        disk.write(0, b"half")


def test_an_image_that_cannot_be_used_is_refused_by_name_and_rule(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate((1 << 28) * 512)
    for name, rule in (
        ("missing", "No such file"),
        ("", "regular file"),
        ("pipe", "regular file"),
        ("huge", "at most 268435455 sectors"),
        (image(tmp_path / "empty", b"").name, "at least one sector"),
    ):
        with pytest.raises(DiskError, match=rule) as caught:
            Disk.open(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(DiskError, match="null byte"):
        Disk.open("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_an_image_without_permission_is_refused(tmp_path: Path) -> None:
    path = image(tmp_path / "a.img", pattern(1))
    path.chmod(0o400)
    Disk.open(path).close()
    with pytest.raises(DiskError, match=r"a\.img: .*read and written: Permission denied"):
        Disk.open(path, writable=True)


def test_an_image_that_is_written_to_has_one_user(tmp_path: Path) -> None:
    path = image(tmp_path / "a.img", pattern(1))
    with Disk.open(path), Disk.open(path), pytest.raises(DiskError, match="in use"):
        Disk.open(path, writable=True)
    with Disk.open(path, writable=True), pytest.raises(DiskError, match="in use"):
        Disk.open(path)


def test_an_image_that_shrinks_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = image(tmp_path / "a.img", pattern(4))
    disk = Disk.open(path)
    os.truncate(path, 1000)
    assert disk.read(0) == pattern(1)
    with pytest.raises(DiskError, match=r"a\.img: .*lost its end"):
        disk.read(1)


def test_the_overlay_is_the_state(tmp_path: Path) -> None:
    path = image(tmp_path / "a.img", pattern(4))
    disk, twin = Disk.open(path), Disk.open(path)
    disk.write(2, b"y" * 512)
    twin.write(0, b"z" * 512)
    twin.restore(disk.state())
    assert twin.read(0, 4) == disk.read(0, 4)
    with pytest.raises(ValueError, match="2048 bytes"):
        Disk.open(image(tmp_path / "b.img", pattern(5))).restore(disk.state())
