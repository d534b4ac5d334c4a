"""The counter against a naive one, clocked pulse by pulse, written from the data sheet's mode texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_counter import NaiveCounter

from emulator.devices.pit_channel import PitChannel


class Rig:
    """The counter under test and the naive one, driven alike."""

    def __init__(self) -> None:
        self.edges: list[tuple[int, bool]] = []
        self.channel = PitChannel(lambda level: self.edges.append((self.channel.tick, level)))
        self.naive = NaiveCounter()

    def control(self, mode: int, bcd: bool) -> None:
        self.channel.write_control(0x30 | mode << 1 | bcd)
        self.naive.control(mode, bcd)

    def write(self, count: int) -> None:
        raw = int(str(count), 16) if self.channel.bcd else count
        self.channel.write(raw & 0xFF)
        if self.naive.mode == 0:  # the first of two bytes stops counting at once
            self.naive.running = False
        self.channel.write(raw >> 8)
        self.naive.write(count)

    def gate(self, level: bool) -> None:
        self.channel.set_gate(level)
        self.naive.set_gate(level)

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.naive.clock()
        self.channel.advance(self.naive.now)

    def agree(self) -> bool:
        channel, naive = self.channel, self.naive
        assert channel.out == naive.out
        assert channel.null_count == naive.null
        if naive.running:
            channel.latch_count()
            latched = channel.read() | channel.read() << 8
            shown = naive.ce % naive.modulus
            assert latched == (int(str(shown), 16) if channel.bcd else shown)
        return True


counts = st.one_of(st.integers(2, 12), st.sampled_from([0, 100, 101, 999, 1000, 9999]))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(1, 60)),
        st.tuples(st.just("write"), counts),
        st.tuples(st.just("gate"), st.booleans()),
        st.tuples(st.just("control"), st.tuples(st.integers(0, 5), st.booleans())),
    ),
    max_size=25,
)


def apply(rig: Rig, step: tuple[str, object], run: object = None) -> None:
    name, argument = step
    if name == "control":
        rig.control(*argument)  # type: ignore[misc]
    elif name == "run":
        (run or rig.run)(argument)  # type: ignore[operator]
    elif name == "gate":
        rig.gate(argument)  # type: ignore[arg-type]
    elif rig.channel.rw:
        rig.write(argument)  # type: ignore[arg-type]


@pytest.mark.parametrize("bcd", [False, True])
@pytest.mark.parametrize("mode", range(6))
@given(steps=steps)
@settings(max_examples=60, deadline=None)
def test_agrees_with_a_counter_clocked_pulse_by_pulse(mode: int, bcd: bool, steps: list) -> None:
    rig = Rig()
    rig.control(mode, bcd)
    for step in steps:
        apply(rig, step)
        assert rig.agree()


@pytest.mark.parametrize("mode", range(6))
@given(steps=steps)
@settings(max_examples=60, deadline=None)
def test_out_changes_only_at_the_announced_points(mode: int, steps: list) -> None:
    rig = Rig()

    def run_by_events(ticks: int) -> None:
        end = rig.channel.tick + ticks
        while (wait := rig.channel.ticks_to_event()) is not None and rig.channel.tick + wait <= end:
            rig.channel.advance(rig.channel.tick + wait)
        rig.run(ticks)

    rig.control(mode, False)
    for step in steps:
        apply(rig, step, run_by_events)
        assert rig.edges == rig.naive.edges


@pytest.mark.parametrize(
    ("mode", "count", "expected"),
    [
        (0, 4, "_____----"),  # OUT high N+1 CLK pulses after the write
        (2, 3, "---_--_--_"),
        (3, 4, "---__--__--"),
        (3, 5, "----__---__---"),
        (4, 3, "----_-----"),
    ],
)
def test_draws_the_data_sheets_wave_forms(mode: int, count: int, expected: str) -> None:
    channel = PitChannel()
    channel.write_control(0x10 | mode << 1)
    channel.write(count)
    drawn = ""
    for tick in range(1, len(expected) + 1):
        drawn += "-" if channel.out else "_"
        channel.advance(tick)
    assert drawn == expected


@pytest.mark.parametrize(("mode", "expected"), [(1, "-___---"), (5, "----_--")])
def test_a_rising_gate_triggers_the_one_shots(mode: int, expected: str) -> None:
    channel = PitChannel()
    channel.set_gate(False)
    channel.write_control(0x10 | mode << 1)
    channel.write(3)
    channel.advance(1000)
    assert channel.out
    channel.set_gate(True)
    drawn = ""
    for tick in range(1001, 1001 + len(expected)):
        drawn += "-" if channel.out else "_"
        channel.advance(tick)
    assert drawn == expected


def test_running_far_ahead_is_the_same_as_running_in_steps() -> None:
    far, near = PitChannel(), PitChannel()
    for channel in (far, near):
        channel.write_control(0x36)
        channel.write(11932 & 0xFF)
        channel.write(11932 >> 8)
    for tick in range(0, 10_000_000, 977):
        near.advance(tick)
    far.advance(near.tick)
    assert far.state() == near.state()


def test_the_latched_count_stands_until_it_is_read() -> None:
    channel = PitChannel()
    channel.write_control(0x34)
    channel.write(0x34)
    channel.write(0x12)
    channel.advance(1)
    channel.latch_count()
    channel.advance(0x100)
    channel.latch_count()  # ignored
    assert [channel.read(), channel.read()] == [0x34, 0x12]
    assert [channel.read(), channel.read()] == [0x35, 0x11]


def test_status_comes_before_the_count_and_shows_the_control_word_as_written() -> None:
    channel = PitChannel()
    channel.write_control(0x3C)  # mode 6 is mode 2
    channel.latch_status()
    assert channel.read() == 0x80 | 0x40 | 0x3C
    channel.write(7)
    channel.write(0)
    channel.advance(1)
    channel.latch_count()
    channel.latch_status()
    assert [channel.read(), channel.read(), channel.read()] == [0x80 | 0x3C, 7, 0]


@pytest.mark.parametrize(("rw", "first"), [(1, 0x80), (2, 0x80)])
def test_one_byte_counts_leave_the_other_byte_zero(rw: int, first: int) -> None:
    channel = PitChannel()
    channel.write_control(rw << 4 | 4)
    channel.write(first)
    channel.advance(1)
    assert channel.ce == (first if rw == 1 else first << 8)
    assert channel.read() == first


def test_the_first_byte_of_two_stops_mode_0_until_the_second() -> None:
    channel = PitChannel()
    channel.write_control(0x30)
    channel.write(5)
    channel.write(0)
    channel.advance(6)
    assert channel.out
    channel.write(9)
    assert not channel.out
    channel.advance(1000)
    assert not channel.out
    assert channel.ticks_to_event() is None
    channel.write(0)
    channel.advance(1009)
    assert not channel.out
    channel.advance(1010)
    assert channel.out


@pytest.mark.parametrize("mode", [2, 3])
def test_an_illegal_count_of_one_stands_still_until_another_comes(mode: int) -> None:
    channel = PitChannel()
    channel.write_control(0x10 | mode << 1)
    channel.write(1)
    channel.advance(50)
    assert channel.out
    assert channel.ticks_to_event() is None
    channel.write(4)
    channel.advance(51)
    assert channel.read() == 4
    channel.advance(55)
    assert channel.read() == 4


@given(steps=steps, later=steps)
@settings(max_examples=80, deadline=None)
def test_a_restored_counter_continues_identically(steps: list, later: list) -> None:
    rig, twin = Rig(), Rig()
    rig.control(2, False)
    for step in steps:
        apply(rig, step)
    twin.channel.restore(rig.channel.state())
    twin.naive.now = rig.naive.now
    for step in later:
        apply(rig, step)
        apply(twin, step)
    assert twin.channel.state() == rig.channel.state()
