import pytest

from emulator.devices.pci import PciBus, PciFunction
from emulator.memory.bus import PortBus

ADDRESS, DATA = 0xCF8, 0xCFC


class Board:
    def __init__(self, *, ide: bool = True) -> None:
        self.resets = 0
        self.pci = PciBus(self.reset, ide=ide)
        self.bus = PortBus()
        self.bus.register(self.pci, ADDRESS, 8, 4)

    def reset(self) -> None:
        self.resets += 1

    def select(self, device: int, function: int = 0, register: int = 0, bus: int = 0) -> None:
        self.bus.write(ADDRESS, 1 << 31 | bus << 16 | device << 11 | function << 8 | register, 4)

    def get(self, device: int, function: int = 0, register: int = 0, size: int = 4, bus: int = 0) -> int:
        self.select(device, function, register & 0xFC, bus)
        return self.bus.read(DATA + (register & 3), size)

    def put(self, device: int, function: int, register: int, value: int, size: int = 4) -> None:
        self.select(device, function, register & 0xFC)
        self.bus.write(DATA + (register & 3), value, size)


@pytest.fixture
def board() -> Board:
    return Board()


def test_mechanism_1_is_found_and_mechanism_2_is_not(board: Board) -> None:
    board.bus.write(0xCFB, 0x01, 1)
    board.bus.write(ADDRESS, 0x80000000, 4)
    assert board.bus.read(ADDRESS, 4) == 0x80000000
    for port in (0xCFB, 0xCF8, 0xCFA):
        board.bus.write(port, 0, 1)
    assert board.bus.read(0xCF8, 1) == board.bus.read(0xCFA, 1) == 0xFF
    assert board.bus.read(ADDRESS, 4) == 0x80000000, "byte accesses pass by"
    assert board.get(0, register=0x0A, size=2) == 0x0600, "Linux's sanity check: a host bridge"


def test_a_scan_of_all_buses_finds_the_functions_and_nothing_else(board: Board) -> None:
    found = {
        (bus, device, function): board.get(device, function, bus=bus)
        for bus in (0, 1, 255)
        for device in range(32)
        for function in range(8)
        if board.get(device, function, bus=bus) != 0xFFFFFFFF
    }
    assert found == {(0, 0, 0): 0x12378086, (0, 1, 0): 0x70008086, (0, 1, 1): 0x70108086}
    assert board.get(1, 0, 0x0E, 1) == 0x80, "several functions"
    assert board.get(0, 0, 0x0E, 1) == 0x00
    assert Board(ide=False).get(1, 1) == 0xFFFFFFFF


def test_the_ide_function_is_in_compatibility_mode_and_decodes_both_channels(board: Board) -> None:
    assert board.get(1, 1, 0x08) >> 8 == 0x010100
    assert [board.get(1, 1, 0x10 + 4 * i) for i in range(6)] == [0] * 6
    board.put(1, 1, 0x20, 0xFFFFFFFF)
    assert board.get(1, 1, 0x20) == 0, "no bus master"
    assert board.get(1, 1, 0x40) == 0x80008000


def test_bytes_and_words_of_a_register_can_be_accessed(board: Board) -> None:
    assert [board.get(0, 0, i, 1) for i in range(4)] == [0x86, 0x80, 0x37, 0x12]
    assert board.get(0, 0, 2, 2) == 0x1237
    board.put(1, 0, 0x3C, 0x0B, 1)
    assert board.get(1, 0, 0x3C) == 0x0B
    board.put(1, 0, 0x61, 0xFF, 1)
    assert board.get(1, 0, 0x60) == 0x80808F80


def test_read_only_bits_stay(board: Board) -> None:
    for register in range(0, 0x40, 4):
        board.put(0, 0, register, 0)
    assert board.get(0) == 0x12378086
    assert board.get(0, 0, 0x04) == 0x02800006
    board.put(1, 1, 0x04, 0xFFFF, 2)
    assert board.get(1, 1, 0x04) == 0x02800005


def test_a_bar_is_sized_by_writing_ones(board: Board) -> None:
    function = PciFunction(0x1111, 0x030000)
    function.add_bar(0, 0x10000)
    function.add_bar(4, 16, io=True)
    board.pci.functions[2, 0] = function
    for register, ones, mask in ((0x10, 0xFFFF0000, 0xE0000000), (0x20, 0xFFFFFFF1, 0xC001)):
        board.put(2, 0, register, 0xFFFFFFFF)
        assert board.get(2, 0, register) == ones
        board.put(2, 0, register, mask)
        assert board.get(2, 0, register) == mask
    board.put(2, 0, 0x14, 0xFFFFFFFF)
    assert board.get(2, 0, 0x14) == 0


def test_without_the_enable_bit_nobody_answers(board: Board) -> None:
    board.bus.write(ADDRESS, 0, 4)
    assert board.bus.read(DATA, 4) == 0xFFFFFFFF
    board.bus.write(DATA, 0, 4)
    assert board.get(0) == 0x12378086


def test_reset_control_resets_on_a_rising_bit_2(board: Board) -> None:
    board.bus.write(0xCF9, 0x02, 1)
    assert not board.resets
    assert board.bus.read(0xCF9, 1) == 0x02
    board.bus.write(0xCF9, 0x06, 1)
    board.bus.write(0xCF9, 0x06, 1)
    assert board.resets == 1
    assert board.bus.read(ADDRESS, 4) == 0


def test_the_state_is_put_back_and_other_functions_are_refused(board: Board) -> None:
    board.put(1, 0, 0x3C, 0x0B, 1)
    board.select(1, 1, 0x40)
    twin = Board()
    twin.pci.restore(board.pci.state())
    assert twin.bus.read(DATA, 4) == 0x80008000
    assert twin.get(1, 0, 0x3C, 1) == 0x0B
    with pytest.raises(ValueError, match="other PCI functions"):
        Board(ide=False).pci.restore(board.pci.state())
