import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.memory.bus import PortBus


class Latches:
    """Byte latches that note every access they see."""

    def __init__(self) -> None:
        self.values: dict[int, int] = {}
        self.seen: list[tuple[str, int, int, int]] = []

    def read(self, port: int, size: int) -> int:
        value = self.values.get(port, 0)
        self.seen.append(("in", port, value, size))
        return value

    def write(self, port: int, value: int, size: int) -> None:
        self.values[port] = value
        self.seen.append(("out", port, value, size))


@pytest.mark.parametrize(("size", "ones"), [(1, 0xFF), (2, 0xFFFF), (4, 0xFFFFFFFF)])
def test_absent_ports_read_all_ones_and_ignore_writes(size: int, ones: int) -> None:
    bus = PortBus()
    bus.write(0x1234, 0, size)
    assert bus.read(0x1234, size) == ones


def test_a_wide_write_to_a_byte_device_is_bytes_at_ascending_ports() -> None:
    bus, device = PortBus(), Latches()
    bus.register(device, 0x100, 4)
    bus.write(0x100, 0x44332211, 4)
    assert device.seen == [("out", 0x100 + i, 0x11 * (i + 1), 1) for i in range(4)]
    assert bus.read(0x100, 4) == 0x44332211
    assert bus.read(0x101, 2) == 0x3322


def test_a_wide_device_gets_the_whole_access_if_all_its_ports_are_its_own() -> None:
    bus, wide = PortBus(), Latches()
    bus.register(wide, 0x1F0, 4, width=4)
    bus.write(0x1F0, 0x12345678, 4)
    bus.write(0x1F0, 0x1234, 2)
    assert wide.seen == [("out", 0x1F0, 0x12345678, 4), ("out", 0x1F0, 0x1234, 2)]


def test_an_access_that_straddles_two_devices_reaches_both() -> None:
    bus, low, high = PortBus(), Latches(), Latches()
    bus.register(low, 0x10, 2, width=4)
    bus.register(high, 0x12, 1)
    bus.write(0x10, 0xDDCCBBAA, 4)
    assert low.values == {0x10: 0xAA, 0x11: 0xBB}
    assert high.values == {0x12: 0xCC}
    assert bus.read(0x10, 4) == 0xFFCCBBAA


def test_ports_wrap_at_64k() -> None:
    bus, first = PortBus(), Latches()
    bus.register(first, 0, 1)
    bus.write(0xFFFF, 0x2211, 2)
    assert first.values == {0: 0x22}


def test_values_are_cut_to_their_size() -> None:
    bus, device = PortBus(), Latches()
    bus.register(device, 5, 4, width=2)
    bus.write(5, 0x12345, 2)
    bus.write(5, 0x1FF, 1)
    assert [entry[2] for entry in device.seen] == [0x2345, 0xFF]


def test_a_port_belongs_to_one_device() -> None:
    bus, device = PortBus(), Latches()
    bus.register(device, 0x60, 2)
    with pytest.raises(ValueError, match="0x60 is already taken by Latches"):
        bus.register(Latches(), 0x5E, 4)
    assert bus.device_at(0x5E) is None, "a refused registration takes no port"
    assert bus.device_at(0x61) is device


@pytest.mark.parametrize(("first", "count", "width"), [(-1, 1, 1), (0xFFFF, 2, 1), (0, 0, 1), (0, 1, 3)])
def test_senseless_ranges_are_refused(first: int, count: int, width: int) -> None:
    with pytest.raises(ValueError, match="port"):
        PortBus().register(Latches(), first, count, width)


@given(
    st.integers(0, 0xFFFF), st.sampled_from([1, 2, 4]), st.integers(0, 0xFFFFFFFF), st.sampled_from([1, 2, 4])
)
def test_what_is_written_is_read_back_at_any_port_size_and_width(
    port: int, size: int, value: int, width: int
) -> None:
    class Memory:
        data = bytearray(0x10000 + 4)

        def read(self, port: int, size: int) -> int:
            return int.from_bytes(self.data[port : port + size], "little")

        def write(self, port: int, value: int, size: int) -> None:
            self.data[port : port + size] = value.to_bytes(size, "little")

    bus = PortBus()
    bus.register(Memory(), 0, 0x10000, width)
    bus.write(port, value, size)
    assert bus.read(port, size) == value & ((1 << 8 * size) - 1)
