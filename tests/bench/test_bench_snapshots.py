"""From time stamps to the ledger of the time between them."""

import pytest
from canned_guest import Guest

from emulator.bench.console_log import Run
from emulator.bench.errors import BenchError
from emulator.bench.snapshots import Snapshots, by_name
from emulator.timing import causes


def test_a_span_is_explained_by_the_causes_of_its_cycles() -> None:
    guest = Guest()
    before = guest.rdtsc()
    guest.work(40, causes.SYSEXIT)
    guest.work(2, causes.BRANCH)
    run = Run("a", 0, (before, guest.rdtsc()))
    explained = Snapshots(guest.log, 10).explain(run)
    assert by_name(explained) == {"branch": 2, "sysexit": 40}
    assert explained.sum() == run.value


def test_the_second_span_of_a_pair_is_subtracted_cause_by_cause() -> None:
    guest = Guest()
    cold = guest.span(100, causes.DTLB_FLUSH_CR3)
    warm = guest.span(30, causes.INSTRUCTION)
    explained = Snapshots(guest.log, 10).explain(Run("a", 0, (*cold, *warm)))
    assert by_name(explained) == {"instruction": -30, "dtlb_flush_cr3": 100}


def test_a_ledger_that_does_not_add_up_is_an_error() -> None:
    guest = Guest()
    before, after = guest.span(10, causes.BRANCH)
    guest.log[-1][1][causes.LOCK] += 1
    with pytest.raises(BenchError, match="adds up to 11 cycles, but the guest measured 10"):
        Snapshots(guest.log, 10).explain(Run("a", 3, (before, after)))


def test_a_time_stamp_that_was_never_given_is_an_error() -> None:
    guest = Guest()
    before, after = guest.span(10, causes.BRANCH)
    with pytest.raises(BenchError, match=f"reports TSC {after + 1}, which is none of the 2 values"):
        Snapshots(guest.log, 10).explain(Run("a", 0, (before, after + 1)))


def test_a_full_log_is_named_as_the_reason() -> None:
    guest = Guest()
    before, after = guest.span(10, causes.BRANCH)
    with pytest.raises(BenchError, match="and the log was full"):
        Snapshots(guest.log[:1], 1).explain(Run("a", 0, (before, after)))
