import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.devices.clock import Clock, Rate

hertz = st.one_of(
    st.sampled_from([1193182, 32768, 1843200, 33_000_000, 2_400_000_000]), st.integers(1, 10**10)
)


def rate(cpu_hz: int, hz: int) -> Rate:
    return Clock(lambda: 0, cpu_hz).rate(hz)


@given(hertz, hertz, st.integers(0, 10**15))
def test_a_tick_happens_at_its_first_cycle_and_not_one_before(cpu_hz: int, hz: int, tick: int) -> None:
    crystal = rate(cpu_hz, hz)
    cycle = crystal.cycle_of(tick)
    assert crystal.ticks_at(cycle) >= tick
    assert crystal.ticks_at(cycle - 1) < tick


@given(hertz, hertz, st.integers(0, 10**15))
def test_conversions_are_exact_over_any_distance(cpu_hz: int, hz: int, cycle: int) -> None:
    ticks = rate(cpu_hz, hz).ticks_at(cycle)
    assert ticks * cpu_hz <= cycle * hz < (ticks + 1) * cpu_hz


@given(hertz, hertz, st.integers(0, 10**15), st.integers(0, 10**6))
def test_time_never_runs_backwards(cpu_hz: int, hz: int, cycle: int, later: int) -> None:
    crystal = rate(cpu_hz, hz)
    assert crystal.ticks_at(cycle + later) >= crystal.ticks_at(cycle)
    assert crystal.cycle_of(cycle + later) >= crystal.cycle_of(cycle)


@given(hertz, hertz)
def test_a_second_is_a_second_for_both(cpu_hz: int, hz: int) -> None:
    crystal = rate(cpu_hz, hz)
    assert crystal.ticks_at(cpu_hz) == hz
    assert crystal.cycle_of(hz * 86400) == cpu_hz * 86400


def test_now_is_the_machines_now() -> None:
    clock = Clock(lambda: 3000, 1000)
    assert clock.rate(7).now() == 21


def test_a_clock_needs_a_frequency() -> None:
    with pytest.raises(ValueError, match="does not tick"):
        Clock(lambda: 0, 0)
    with pytest.raises(ValueError, match="does not tick"):
        Clock(lambda: 0, 1).rate(0)
