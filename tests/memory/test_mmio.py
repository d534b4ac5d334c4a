import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.memory.mmio import MmioBus


class Bytes:
    """A device of `size` bytes that remembers how it was accessed."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.accesses: list[tuple[int, int]] = []

    def read(self, offset: int, size: int) -> int:
        self.accesses.append((offset, size))
        return int.from_bytes(self.data[offset : offset + size], "little")

    def write(self, offset: int, value: int, size: int) -> None:
        self.accesses.append((offset, size))
        self.data[offset : offset + size] = value.to_bytes(size, "little")


def test_absent_addresses_read_as_ones_and_ignore_stores() -> None:
    bus = MmioBus()
    bus.write(0xFED00000, 1, 4)
    assert [bus.read(0xFED00000, size) for size in (1, 2, 4)] == [0xFF, 0xFFFF, 0xFFFFFFFF]
    assert bus.device_at(0xFED00000) is None


def test_a_device_gets_offsets_and_whole_accesses() -> None:
    bus, device = MmioBus(), Bytes(0x20)
    bus.register(device, 0xFEC00000, 0x20)
    bus.write(0xFEC00010, 0x12345678, 4)
    assert bus.read(0xFEC00010, 4) == 0x12345678
    assert device.accesses == [(0x10, 4), (0x10, 4)]
    assert bus.device_at(0xFEC0001F) is device


def test_ranges_may_touch_but_not_overlap() -> None:
    bus = MmioBus()
    bus.register(Bytes(16), 0x1000, 16)
    bus.register(Bytes(16), 0x1010, 16)
    with pytest.raises(ValueError, match="overlap those of Bytes at 0x1000"):
        bus.register(Bytes(16), 0x0FF8, 16)
    with pytest.raises(ValueError, match="outside"):
        bus.register(Bytes(16), 0xFFFFFFF8, 16)


def test_a_removed_device_is_absent_and_can_come_back_elsewhere() -> None:
    bus, device = MmioBus(), Bytes(16)
    bus.register(device, 0x1000, 16)
    bus.remove(device)
    assert bus.read(0x1000, 4) == 0xFFFFFFFF
    bus.register(device, 0x2000, 16)
    assert bus.read(0x2000, 4) == 0
    assert [(base, size) for base, size, _ in bus.regions()] == [(0x2000, 16)]


@given(
    st.lists(
        st.tuples(st.integers(0, 27), st.sampled_from([1, 2, 4]), st.integers(0, 2**32 - 1)), max_size=30
    )
)
def test_behaves_like_bytes_with_holes_of_ones(stores: list[tuple[int, int, int]]) -> None:
    bus, low, high = MmioBus(), Bytes(8), Bytes(8)
    bus.register(low, 4, 8)
    bus.register(high, 16, 8)
    naive = [0xFF] * 4 + [0] * 8 + [0xFF] * 4 + [0] * 8 + [0xFF] * 12
    for address, size, value in stores:
        bus.write(address, value, size)
        for i in range(size):
            if 4 <= address + i < 12 or 16 <= address + i < 24:
                naive[address + i] = value >> 8 * i & 0xFF
        assert bus.read(address, size) == int.from_bytes(bytes(naive[address : address + size]), "little")
