import pytest

from emulator.devices.dma8237 import DmaControllers


@pytest.fixture
def dma() -> DmaControllers:
    return DmaControllers()


@pytest.mark.parametrize(("base", "spacing"), [(0x00, 1), (0xC0, 2)])
def test_addresses_and_counts_are_read_back_a_byte_at_a_time(
    dma: DmaControllers, base: int, spacing: int
) -> None:
    for register in range(8):
        dma.write(base + 12 * spacing, 0, 1)
        dma.write(base + register * spacing, 0x10 + register, 1)
        dma.write(base + register * spacing, 0x80 + register, 1)
    read = [dma.read(base + register * spacing, 1) for register in range(8) for _ in range(2)]
    assert read == [value for register in range(8) for value in (0x10 + register, 0x80 + register)]


def test_masks_and_the_master_clear(dma: DmaControllers) -> None:
    assert dma.read(0x0F, 1) == 0xFF
    dma.write(0x0E, 0, 1)
    dma.write(0x0A, 0x06, 1)
    assert dma.read(0x0F, 1) == 0xF4
    dma.write(0x0A, 0x02, 1)
    dma.write(0x0F, 0x09, 1)
    assert dma.read(0x0F, 1) == 0xF9
    dma.write(0x08, 0x04, 1)
    dma.write(0x0D, 0, 1)
    assert (dma.read(0x0F, 1), dma.first.command) == (0xFF, 0)
    assert dma.read(0x08, 1) == 0, "no requests and no terminal counts"


def test_the_page_registers_are_bytes(dma: DmaControllers) -> None:
    for port in range(0x81, 0x90):
        dma.write(port, port ^ 0xFF, 1)
    assert [dma.read(port, 1) for port in range(0x81, 0x90)] == [port ^ 0xFF for port in range(0x81, 0x90)]


def test_the_state_is_put_back(dma: DmaControllers) -> None:
    dma.write(0x04, 0x12, 1)
    dma.write(0x87, 0x34, 1)
    dma.write(0xD4, 0x01, 1)
    twin = DmaControllers()
    twin.restore(dma.state())
    twin.write(0x04, 0x56, 1)
    assert (twin.first.counts[4], twin.read(0x87, 1), twin.read(0xDE, 1)) == (0x5612, 0x34, 0xFD)
