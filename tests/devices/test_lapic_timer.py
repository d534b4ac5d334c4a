import pytest
from board import Board
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_lapic_timer import DIVIDE, NaiveLapicTimer

from emulator.devices.lapic_timer import LapicTimer

RATIO = 7
BUS = 100_000_000


class Bench:
    """A timer whose bus clock is the board's clock divided by RATIO."""

    def __init__(self) -> None:
        self.board = Board(RATIO * BUS)
        self.expiries: list[int] = []
        self.timer = LapicTimer(self.board.clock, self.board.events, BUS, self.expired)

    def expired(self) -> None:
        self.expiries.append(self.board.cycle // RATIO)

    def run(self, ticks: int) -> None:
        self.board.run(RATIO * ticks)


operations = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(1, 300)),
        st.tuples(st.just("load"), st.sampled_from([0, 1, 2, 3, 5, 20, 100])),
        st.tuples(st.just("divide"), st.sampled_from(sorted(DIVIDE))),
        st.tuples(st.just("mode"), st.integers(0, 3)),
    ),
    max_size=25,
)


def do(bench: Bench, name: str, value: int) -> None:
    if name == "run":
        bench.run(value)
    elif name == "load":
        bench.timer.write_initial(value)
    elif name == "divide":
        bench.timer.write_divide(value)
    else:
        bench.timer.set_mode(periodic=bool(value & 1), masked=bool(value & 2))


@given(operations)
@settings(max_examples=300, deadline=None)
def test_agrees_with_a_timer_that_counts_every_bus_clock(steps: list[tuple[str, int]]) -> None:
    bench, naive = Bench(), NaiveLapicTimer()
    for name, value in steps:
        do(bench, name, value)
        if name == "run":
            for _ in range(value):
                naive.clock()
        elif name == "load":
            naive.load(value)
        elif name == "divide":
            naive.set_divide(value)
        else:
            naive.periodic, naive.masked = bool(value & 1), bool(value & 2)
        assert bench.timer.current() == naive.count
    assert bench.expiries == naive.expiries


@given(operations, operations)
@settings(max_examples=100, deadline=None)
def test_a_restored_timer_continues_identically(before: list, after: list) -> None:
    bench, twin = Bench(), Bench()
    for name, value in before:
        do(bench, name, value)
    twin.board.cycle = bench.board.cycle
    twin.timer.restore(bench.timer.state())
    twin.board.events.restore(bench.board.events.state())
    bench.expiries.clear()
    for name, value in after:
        do(bench, name, value)
        do(twin, name, value)
    assert bench.expiries == twin.expiries
    assert bench.timer.state() == twin.timer.state()


@pytest.mark.parametrize(("code", "divide"), DIVIDE.items())
def test_the_divide_configuration_divides(code: int, divide: int) -> None:
    bench = Bench()
    bench.timer.set_mode(periodic=False, masked=False)
    bench.timer.write_divide(code)
    bench.timer.write_initial(3)
    bench.run(3 * divide - 1)
    assert (bench.timer.current(), bench.expiries) == (1, [])
    bench.run(1)
    assert (bench.timer.current(), bench.expiries) == (0, [3 * divide])


def test_a_masked_timer_counts_without_stopping_the_machine() -> None:
    bench = Bench()
    bench.timer.set_mode(periodic=True, masked=True)
    bench.timer.write_divide(0xB)
    bench.timer.write_initial(1000)
    assert bench.timer.cycles_to_event(0) is None
    bench.run(2500)
    assert bench.timer.current() == 500
    bench.timer.set_mode(periodic=True, masked=False)
    assert bench.timer.cycles_to_event(bench.board.cycle) == 500 * RATIO
    bench.run(500)
    assert bench.expiries == [3000]


def test_expiries_missed_in_one_look_are_one_interrupt() -> None:
    bench = Bench()
    bench.timer.set_mode(periodic=True, masked=False)
    bench.timer.write_divide(0xB)
    bench.timer.write_initial(10)
    bench.board.cycle = 95 * RATIO
    assert bench.board.events.run_due(bench.board.cycle) == 1
    assert bench.timer.cycles_to_event(bench.board.cycle) == 5 * RATIO
