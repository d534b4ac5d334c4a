import pytest
from board import Board

from emulator.devices.pit8254 import HZ, Pit8254


@pytest.fixture
def board() -> Board:
    return Board(hz=100 * HZ)  # 100 cycles to a tick


@pytest.fixture
def pit(board: Board) -> Pit8254:
    return Pit8254(board.clock, board.events, board.irq)


def program(pit: Pit8254, counter: int, mode: int, count: int) -> None:
    pit.write(0x43, counter << 6 | 0x30 | mode << 1, 1)
    pit.write(0x40 + counter, count & 0xFF, 1)
    pit.write(0x40 + counter, count >> 8, 1)


def read_count(pit: Pit8254, counter: int) -> int:
    return pit.read(0x40 + counter, 1) | pit.read(0x40 + counter, 1) << 8


def test_the_rate_generator_interrupts_every_period_to_the_cycle(board: Board, pit: Pit8254) -> None:
    program(pit, 0, 2, 1000)
    board.run(100 * 3500)
    rises = [cycle for cycle, level in board.irqs if level]
    assert rises == [0, 100_100, 200_100, 300_100]  # 0 is power-up


def test_ten_million_ticks_do_not_drift_at_an_odd_cpu_frequency() -> None:
    board = Board(hz=33_333_333)
    pit = Pit8254(board.clock, board.events, board.irq)
    program(pit, 0, 2, 0)
    board.run(33_333_333 * 60)
    rises = [cycle for cycle, level in board.irqs if level][1:]
    assert len(rises) == (60 * HZ - 1) // 65536
    last = 1 + 65536 * len(rises)
    assert rises[-1] == -(-last * 33_333_333 // HZ)


def test_a_one_shot_interrupts_once(board: Board, pit: Pit8254) -> None:
    program(pit, 0, 0, 50)
    board.run(10_000_000)
    assert board.irqs == [(0, True), (0, False), (5100, True)]
    assert pit.cycles_to_event(board.cycle) is None


def test_a_late_machine_sees_the_same_edges(board: Board, pit: Pit8254) -> None:
    program(pit, 0, 3, 10)
    board.cycle = 100 * 8  # past the falling edge at tick 6, not yet at the rising one
    assert pit.read(0x40, 1) == 6
    assert not board.level
    assert pit.cycles_to_event(board.cycle) == 300


@pytest.mark.parametrize("gate_first", [True, False])
def test_port_61_gates_and_shows_counter_2_as_tsc_calibration_wants(
    board: Board, pit: Pit8254, gate_first: bool
) -> None:
    if gate_first:
        pit.write(0x61, 0x01, 1)
    program(pit, 2, 0, 1000)
    if not gate_first:
        board.run(1_000_000)
        assert not pit.read(0x61, 1) & 0x20
        pit.write(0x61, 0x01, 1)
        board.run(100 * 999)
    else:
        board.run(100 * 1000)
    assert not pit.read(0x61, 1) & 0x20
    board.run(100)
    assert pit.read(0x61, 1) & 0x20


def test_port_61_keeps_its_low_bits_and_toggles_refresh_every_15_us(board: Board, pit: Pit8254) -> None:
    pit.write(0x61, 0xFF, 1)
    assert pit.read(0x61, 1) & 0xCF == 0x0F
    assert pit.speaker
    seen = []
    for _ in range(72):
        seen.append(pit.read(0x61, 1) >> 4 & 1)
        board.run(100)
    assert seen == ([0] * 18 + [1] * 18) * 2


def test_latch_command_freezes_one_counter(board: Board, pit: Pit8254) -> None:
    program(pit, 0, 2, 1000)
    board.run(100 * 11)
    pit.write(0x43, 0x00, 1)
    board.run(100 * 100)
    assert read_count(pit, 0) == 990
    assert read_count(pit, 0) == 890


def test_read_back_latches_status_and_count_of_the_chosen_counters(board: Board, pit: Pit8254) -> None:
    program(pit, 0, 2, 1000)
    program(pit, 1, 3, 18)
    board.run(100)
    pit.write(0x43, 0xC6, 1)  # both, counters 0 and 1
    board.run(100)
    assert pit.read(0x40, 1) == 0xB4
    assert read_count(pit, 0) == 1000
    assert pit.read(0x41, 1) == 0xB6
    assert read_count(pit, 1) == 18
    pit.write(0x43, 0xE2, 1)  # only status, counter 0
    assert pit.read(0x40, 1) == 0xB4
    assert read_count(pit, 0) == 999
    pit.write(0x43, 0xD2, 1)  # only count
    assert read_count(pit, 0) == 999


def test_the_control_word_cannot_be_read(pit: Pit8254) -> None:
    assert pit.read(0x43, 1) == 0xFF


def test_restored_it_continues_identically(board: Board, pit: Pit8254) -> None:
    program(pit, 0, 3, 777)
    program(pit, 2, 0, 5000)
    pit.write(0x61, 3, 1)
    board.run(123_456)
    twin_board = Board(hz=100 * HZ)
    twin = Pit8254(twin_board.clock, twin_board.events, twin_board.irq)
    twin.restore(pit.state())
    twin_board.events.restore(board.events.state())
    twin_board.cycle, twin_board.level = board.cycle, board.level
    board.irqs.clear()
    twin_board.irqs.clear()
    for both in (board, twin_board):
        both.run(1_000_000)
    assert board.irqs == twin_board.irqs != []
    assert pit.read(0x61, 1) == twin.read(0x61, 1)
    assert pit.state() == twin.state()
