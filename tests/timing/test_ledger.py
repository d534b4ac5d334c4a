import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.timing.causes import CAUSES, COUNT, INSTRUCTION, INTERRUPT, MOV_CR3
from emulator.timing.ledger import Ledger, LedgerError


def counts(*entries, symbols=3):
    array = np.zeros((symbols, 4, COUNT), np.int64)
    for symbol, ring, cause, cycles in entries:
        array[symbol, ring, cause] += cycles
    return array


@pytest.fixture
def ledger():
    array = counts(
        (0, 0, INTERRUPT, 644), (1, 0, INSTRUCTION, 30), (1, 0, MOV_CR3, 500), (2, 3, INSTRUCTION, 7)
    )
    return Ledger(array, ["entry", "switch", "main"])


def test_cycles_are_summed_by_cause_ring_and_symbol(ledger):
    assert ledger.total() == 1181
    assert list(ledger.by_cause()) == list(CAUSES)
    assert ledger.by_cause()["instruction"] == 37
    assert ledger.by_cause()["halt"] == 0
    assert ledger.by_ring() == {0: 1174, 1: 0, 2: 0, 3: 7}
    assert list(ledger.by_symbol().items()) == [("entry", 644), ("switch", 530), ("main", 7)]
    assert ledger.by_symbol(1) == {"entry": 644}
    assert ledger.of_symbol("switch") == {"instruction": 30, "mov_cr3": 500}
    assert ledger.by_ring_and_cause()[3] == {"instruction": 7}


def test_a_ledger_that_adds_up_passes_the_check(ledger):
    ledger.check(1181)


def test_a_ledger_that_does_not_add_up_says_by_how_much(ledger):
    with pytest.raises(LedgerError, match=r"sums to 1181, the cycle counter says 1180: \+1"):
        ledger.check(1180)


def test_cycles_on_a_cause_that_does_not_exist_are_found(ledger):
    ledger.counts[0, 0, COUNT - 1] = 5
    with pytest.raises(LedgerError, match="5 cycles are booked on causes that do not exist"):
        ledger.check(1186)


def test_the_difference_of_two_ledgers_is_what_happened_between(ledger):
    before = ledger.copy()
    ledger.counts[2, 3, INSTRUCTION] += 11
    change = ledger - before
    assert change.total() == 11
    assert change.by_symbol() == {"main": 11}
    assert ledger.total() == 1192


def test_a_later_ledger_may_know_more_symbols_but_not_other_ones(ledger):
    earlier = Ledger(counts(symbols=2), ["entry", "switch"])
    assert (ledger - earlier).total() == 1181
    with pytest.raises(LedgerError, match="more symbols"):
        earlier - ledger
    with pytest.raises(LedgerError, match="differently"):
        ledger - Ledger(counts(symbols=1), ["other"])


def test_rows_without_a_name_are_reported_together():
    ledger = Ledger(counts((0, 0, 0, 1), (1, 0, 0, 2), (2, 0, 0, 4)), {1: "main"})
    assert ledger.by_symbol() == {"?": 5, "main": 2}
    assert ledger.of_symbol("?") == {"instruction": 5}


@pytest.mark.parametrize(
    "array", [np.zeros((3, 4, 30), np.int64), np.zeros((3, 4, COUNT)), np.zeros(4, np.int64)]
)
def test_an_array_of_another_shape_or_type_is_refused(array):
    with pytest.raises(LedgerError, match="a ledger is int64"):
        Ledger(array)


def test_json_holds_the_same_cycles(ledger):
    data = json.loads(json.dumps(ledger.to_json()))
    assert data["total"] == 1181 == sum(data["by_cause"].values()) == sum(data["by_ring"].values())
    assert data["by_symbol"]["switch"] == {"instruction": 30, "mov_cr3": 500}
    assert data["by_ring_and_cause"] == {"0": {"instruction": 30, "mov_cr3": 500, "interrupt": 644},
                                         "3": {"instruction": 7}}  # fmt: skip


entries = st.tuples(
    st.integers(0, 2), st.integers(0, 3), st.integers(0, len(CAUSES) - 1), st.integers(0, 2**40)
)


@given(st.lists(entries))
def test_every_view_sums_to_the_total(items):
    ledger = Ledger(counts(*items), ["a", "b"])
    total = sum(item[3] for item in items)
    ledger.check(total)
    assert sum(ledger.by_cause().values()) == sum(ledger.by_ring().values()) == total
    assert sum(ledger.by_symbol().values()) == total
