import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.devices.events import EventQueue, cycles_left


def queue_of(names: str) -> tuple[EventQueue, list[tuple[str, int]], dict]:
    events, ran = EventQueue(), []
    handles = {name: events.handle(name, lambda at, name=name: ran.append((name, at))) for name in names}
    return events, ran, handles


def test_events_run_by_deadline_and_then_in_the_order_of_scheduling() -> None:
    events, ran, handles = queue_of("abcd")
    for name, at in (("b", 20), ("d", 10), ("a", 20), ("c", 30)):
        events.schedule(handles[name], at)
    assert events.run_due(25) == 3
    assert ran == [("d", 10), ("b", 20), ("a", 20)]
    assert events.next_deadline() == 30


def test_nothing_runs_before_its_cycle() -> None:
    events, ran, handles = queue_of("a")
    events.schedule(handles["a"], 10)
    assert events.run_due(9) == 0
    assert ran == []
    assert events.run_due(10) == 1


def test_an_event_that_rearms_itself_catches_up_without_drift() -> None:
    events, ran = EventQueue(), []

    def tick(at: int) -> None:
        ran.append(at)
        events.schedule(handle, at + 10)

    handle = events.handle("tick", tick)
    events.schedule(handle, 10)
    events.run_due(37)
    assert ran == [10, 20, 30]
    assert events.next_deadline() == 40


def test_rescheduling_replaces_the_deadline() -> None:
    events, ran, handles = queue_of("ab")
    events.schedule(handles["a"], 10)
    events.schedule(handles["b"], 12)
    events.schedule(handles["a"], 15)
    events.schedule(handles["a"], 12)
    events.run_due(100)
    assert ran == [("b", 12), ("a", 12)]


def test_rescheduling_for_the_same_cycle_keeps_the_place_in_the_order() -> None:
    events, ran, handles = queue_of("ab")
    for name in "aba":
        events.schedule(handles[name], 10)
    events.run_due(10)
    assert ran == [("a", 10), ("b", 10)]


def test_a_cancelled_event_does_not_run() -> None:
    events, ran, handles = queue_of("ab")
    events.schedule(handles["a"], 10)
    events.schedule(handles["b"], 20)
    events.cancel(handles["a"])
    assert events.next_deadline() == 20
    events.run_due(100)
    assert ran == [("b", 20)]
    assert events.next_deadline() is None


def test_the_machine_hears_of_a_new_next_deadline_and_of_nothing_else() -> None:
    events, _, handles = queue_of("abc")
    heard: list[int | None] = []
    events.on_change = heard.append
    events.schedule(handles["a"], 50)
    events.schedule(handles["b"], 60)
    events.schedule(handles["c"], 40)
    events.schedule(handles["c"], 40)
    events.cancel(handles["b"])
    events.run_due(45)
    events.cancel(handles["a"])
    assert heard == [50, 40, 50, None]


def test_during_a_run_the_machine_hears_only_the_outcome() -> None:
    events, heard = EventQueue(), []
    handle = events.handle("tick", lambda at: events.schedule(handle, at + 10))
    events.schedule(handle, 10)
    events.on_change = heard.append
    events.run_due(95)
    assert heard == [100]


def test_cycles_left_is_the_earliest_armed_and_never_negative() -> None:
    events, _, handles = queue_of("ab")
    a, b = handles["a"], handles["b"]
    assert cycles_left(5, a, b) is None
    events.schedule(b, 30)
    events.schedule(a, 20)
    assert cycles_left(5, a, b) == 15
    assert cycles_left(25, a, b) == 0


def test_names_are_unique_and_known() -> None:
    events, _, _ = queue_of("a")
    with pytest.raises(ValueError, match="two events"):
        events.handle("a", print)
    with pytest.raises(ValueError, match="no device has the event z"):
        events.restore({"armed": [["z", 1]]})


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(-1, 20)), max_size=80), st.integers(0, 20))
def test_agrees_with_a_plain_list_and_survives_a_snapshot(steps: list, split: int) -> None:
    events, ran, handles = queue_of("abcde")
    plain: list[tuple[str, int]] = []
    for name, at in steps:  # a deadline of -1 stands for cancel
        if (name, at) in plain:
            continue  # re-arming for the same cycle keeps the place
        plain = [entry for entry in plain if entry[0] != name]
        if at < 0:
            events.cancel(handles[name])
        else:
            events.schedule(handles[name], at)
            plain.append((name, at))
    plain.sort(key=lambda entry: entry[1])
    twin, twin_ran, _ = queue_of("abcde")
    twin.schedule(twin._handles["a"], 3)
    twin.restore(events.state())
    for queue in (events, twin):
        assert queue.next_deadline() == (plain[0][1] if plain else None)
        queue.run_due(split)
        queue.run_due(100)
    assert ran == plain
    assert twin_ran == plain
