"""The benchmark's lines on the serial line."""

import pytest

from emulator.bench.console_log import ConsoleLog, Run
from emulator.bench.errors import BenchError

WHOLE = b"hi\r\nBENCH-BEGIN uls runs=2 dpages=3\r\nBENCH a 0 10 15\r\nBENCH a 1 20 31 50 53\r\nBENCH-END\r\n"


def read(text: bytes) -> ConsoleLog:
    log = ConsoleLog("uls")
    log.feed(text)
    return log


def test_a_run_has_the_time_between_its_stamps() -> None:
    assert read(WHOLE).rows()["a"][0].value == 5


def test_a_paired_run_has_the_second_span_subtracted() -> None:
    run = read(WHOLE).rows()["a"][1]
    assert run.spans == [(20, 31), (50, 53)]
    assert run.value == 8


def test_conditions_are_kept_as_the_guest_names_them() -> None:
    assert read(WHOLE).conditions == {"runs": "2", "dpages": "3"}


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_how_the_bytes_are_cut_makes_no_difference(size: int) -> None:
    log = ConsoleLog("uls")
    for start in range(0, len(WHOLE), size):
        log.feed(WHOLE[start : start + size])
    assert log.rows() == read(WHOLE).rows()


def test_every_run_is_announced_as_it_arrives() -> None:
    seen: list[Run] = []
    ConsoleLog("uls", seen.append).feed(WHOLE)
    assert [(run.row, run.index) for run in seen] == [("a", 0), ("a", 1)]


def test_skipped_rows_and_notes_are_kept_for_the_report() -> None:
    log = read(b"BENCH-NOTE no TLB descriptors\n" + WHOLE[:-11] + b"BENCH-SKIP b no receiver\nBENCH-END\n")
    assert log.notes == ["The guest says: no TLB descriptors."]
    assert log.skipped == ["Not measured, b: no receiver."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"panic: out of memory\n", "never began"),
        (WHOLE.replace(b"uls", b"safex"), "unexpected BENCH-BEGIN"),
        (WHOLE.replace(b"BENCH-END", b"bye"), "breaks off before BENCH-END"),
        (WHOLE.replace(b"runs=2", b"runs=3"), "row a has 2 runs, 3 were announced"),
        (WHOLE.replace(b"10 15", b"10 x"), "unreadable line: BENCH a 0 10 x"),
        (WHOLE.replace(b"10 15", b"10"), "1 time stamps instead of 2 or 4"),
        (WHOLE.replace(b"10 15", b"15 10"), "time runs backwards"),
        (WHOLE.replace(b"a 1", b"a 0"), "run 1 of a was expected"),
        (b"BENCH-BEGIN uls runs=2\nBENCH-END\n", "reported no run"),
    ],
)
def test_a_damaged_report_is_refused_with_the_reason(text: bytes, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        read(text).rows()


def test_a_refusal_quotes_the_guests_last_words() -> None:
    with pytest.raises(BenchError, match=r"\| panic: out of memory"):
        read(b"panic: out of memory").rows()


def test_a_line_without_end_does_not_fill_memory() -> None:
    log = read(b"x" * 100_000)
    assert len(log._pending) <= 4096
