"""Items, byte by byte, as QEMU's page on fw_cfg has them."""

import pytest

from emulator.devices.fw_cfg import FwCfg

MEMORY = 96 << 20


def item(device: FwCfg, selector: int, size: int) -> bytes:
    device.write(0x510, selector, 2)
    return bytes(device.read(0x511, 1) for _ in range(size))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (0x00, b"QEMU"),
        (0x01, b"\1\0\0\0"),
        (0x03, MEMORY.to_bytes(8, "little")),
        (0x05, b"\1\0"),
        (0x0F, b"\1\0"),
        (0x19, bytes(4)),
    ],
)
def test_an_item_is_read_from_its_first_byte_and_zeros_follow(selector: int, expected: bytes) -> None:
    device = FwCfg(MEMORY)
    for _ in range(2):
        assert item(device, selector, len(expected) + 3) == expected + bytes(3)


@pytest.mark.parametrize("selector", [0x07, 0x20, 0x8000, 0x8003, 0xFFFF])
def test_an_item_that_is_not_there_is_zeros(selector: int) -> None:
    assert item(FwCfg(MEMORY), selector, 8) == bytes(8)


def test_the_write_channel_selects_the_same_item_and_writes_change_nothing() -> None:
    device = FwCfg(MEMORY)
    device.write(0x510, 0x4000, 2)
    device.write(0x511, 0x58, 1)
    assert bytes(device.read(0x511, 1) for _ in range(4)) == b"QEMU"


def test_only_a_word_selects() -> None:
    device = FwCfg(MEMORY)
    device.write(0x510, 5, 1)
    assert device.read(0x510, 2) == 0
    assert bytes(device.read(0x511, 1) for _ in range(4)) == b"QEMU"


def test_a_state_put_back_goes_on_with_the_next_byte() -> None:
    device = FwCfg(MEMORY)
    assert item(device, 0, 2) == b"QE"
    other = FwCfg(MEMORY)
    other.restore(device.state())
    assert other.read(0x511, 1) == ord("M")
