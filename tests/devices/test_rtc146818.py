from datetime import datetime, timedelta

import pytest
from board import Board
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.devices.rtc146818 import Rtc146818

TICK = 1000  # cycles
SECOND = 32768 * TICK


class Cmos:
    def __init__(self, base: datetime = datetime(2003, 6, 1), ram: int = 0) -> None:
        self.board = Board(hz=SECOND)
        self.rtc = Rtc146818(self.board.clock, self.board.events, self.board.irq, base, ram)

    def get(self, register: int) -> int:
        self.rtc.write(0x70, register, 1)
        return self.rtc.read(0x71, 1)

    def put(self, register: int, value: int) -> None:
        self.rtc.write(0x70, register, 1)
        self.rtc.write(0x71, value, 1)

    def time(self) -> str:
        century, year, month, day, weekday, hour, minute, second = (
            self.get(register) for register in (0x32, 9, 8, 7, 6, 4, 2, 0)
        )
        return f"{century:02x}{year:02x}-{month:02x}-{day:02x} {hour:02x}:{minute:02x}:{second:02x} {weekday}"


@pytest.fixture
def cmos() -> Cmos:
    return Cmos()


def test_the_clock_starts_on_the_first_of_june_2003(cmos: Cmos) -> None:
    assert cmos.time() == "2003-06-01 00:00:00 1"
    assert cmos.get(0x0D) == 0x80
    assert cmos.get(0x0B) == 0x02


def test_a_second_is_32768_ticks_to_the_cycle(cmos: Cmos) -> None:
    cmos.board.run(SECOND - 1)
    assert cmos.get(0) == 0
    cmos.board.run(1)
    assert cmos.get(0) == 1


@given(
    st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1)).map(lambda t: t.replace(microsecond=0)),
    st.integers(0, 3 * 86400),
)
@settings(max_examples=60, deadline=None)
def test_the_calendar_is_the_calendar(base: datetime, seconds: int) -> None:
    cmos = Cmos(base)
    cmos.board.run(seconds * SECOND)
    then = base + timedelta(seconds=seconds)
    assert cmos.time() == f"{then:%Y-%m-%d %H:%M:%S} {then.isoweekday() % 7 + 1}"


@pytest.mark.parametrize(
    ("b", "hours"),
    [(0x02, [0x00, 0x11, 0x12, 0x23]), (0x00, [0x12, 0x11, 0x92, 0x91]), (0x04, [12, 11, 0x8C, 0x8B])],
)
def test_hours_in_every_format(b: int, hours: list[int]) -> None:
    for hour, shown in zip((0, 11, 12, 23), hours, strict=True):
        cmos = Cmos()
        cmos.put(0x0B, b | 0x80)
        binary = bool(b & 4)
        before = (hour - 1) % 24
        raw = before if b & 2 else before % 12 or 12
        cmos.put(4, (raw if binary else int(str(raw), 16)) | (0x80 if before >= 12 and not b & 2 else 0))
        cmos.put(2, 59 if binary else 0x59)
        cmos.put(0, 59 if binary else 0x59)
        for register, value in ((0x32, 20), (9, 3), (8, 6), (7, 1)):
            cmos.put(register, value if binary else int(str(value), 16))
        cmos.put(0x0B, b)
        cmos.board.run(SECOND)
        assert (cmos.get(4), cmos.get(2), cmos.get(0)) == (shown, 0, 0)


def test_uip_warns_244_us_before_an_update_of_1984_us(cmos: Cmos) -> None:
    start = SECOND - 73 * TICK
    cmos.board.run(start - 1)
    assert not cmos.get(0x0A) & 0x80
    cmos.board.run(1)
    assert cmos.get(0x0A) == 0xA6
    assert cmos.get(0) == 0
    cmos.board.run(SECOND - start)
    assert cmos.get(0x0A) == 0x26
    assert cmos.get(0) == 1


def test_set_stops_updates_and_clears_uie(cmos: Cmos) -> None:
    cmos.put(0x0B, 0x92)
    assert cmos.get(0x0B) == 0x82
    cmos.board.run(10 * SECOND - TICK)
    assert not cmos.get(0x0A) & 0x80
    cmos.put(2, 0x42)
    cmos.board.run(TICK)
    cmos.put(0x0B, 0x02)
    cmos.board.run(SECOND)
    assert cmos.time() == "2003-06-01 00:42:01 1"


def test_the_first_update_comes_half_a_second_after_a_divider_reset(cmos: Cmos) -> None:
    cmos.board.run(10922 * TICK)
    cmos.put(0x0A, 0x76)
    cmos.board.run(5 * SECOND)
    assert cmos.get(0) == 0
    cmos.put(0x0A, 0x26)
    cmos.board.run(SECOND // 2 - 1)
    assert cmos.get(0) == 0
    cmos.board.run(1)
    assert cmos.get(0) == 1


def test_the_update_ended_interrupt_comes_every_second_if_c_is_read(cmos: Cmos) -> None:
    cmos.put(0x0B, 0x12)
    cmos.board.run(SECOND)
    assert cmos.board.irqs == [(SECOND, True)]
    cmos.board.run(SECOND)
    assert len(cmos.board.irqs) == 1, "not before C is read"
    assert cmos.get(0x0C) & 0xB0 == 0x90
    assert cmos.get(0x0C) == 0
    assert not cmos.board.level
    cmos.board.run(SECOND)
    assert cmos.board.irqs[-1] == (3 * SECOND, True)


@pytest.mark.parametrize(("rs", "hz"), [(1, 256), (2, 128), (3, 8192), (6, 1024), (8, 256), (15, 2)])
def test_the_periodic_interrupt_has_the_rate_of_the_table(cmos: Cmos, rs: int, hz: int) -> None:
    cmos.put(0x0A, 0x20 | rs)
    cmos.put(0x0B, 0x42)
    count = 0
    while cmos.board.cycle < SECOND:
        cmos.board.run_to(cmos.board.events.next_deadline() or SECOND)
        assert cmos.get(0x0C) & 0xC0 == 0xC0
        count += 1
    assert count == hz


def test_rate_zero_and_disabled_interrupts_schedule_nothing(cmos: Cmos) -> None:
    cmos.put(0x0A, 0x20)
    cmos.put(0x0B, 0x42)
    assert cmos.rtc.cycles_to_event(0) is None
    cmos.put(0x0A, 0x26)
    assert cmos.rtc.cycles_to_event(0) == 32 * TICK
    cmos.put(0x0B, 0x02)
    assert cmos.rtc.cycles_to_event(0) is None


def test_an_interrupt_nobody_collects_wakes_the_machine_once(cmos: Cmos) -> None:
    cmos.put(0x0B, 0x42)
    cmos.board.run(32 * TICK)
    assert cmos.board.level
    assert cmos.rtc.cycles_to_event(cmos.board.cycle) is None
    cmos.get(0x0C)
    assert cmos.rtc.cycles_to_event(cmos.board.cycle) == 32 * TICK


def test_flags_are_kept_without_interrupts(cmos: Cmos) -> None:
    cmos.board.run(SECOND)
    assert cmos.get(0x0C) == 0x50
    assert not cmos.board.irqs


def test_enabling_an_interrupt_whose_flag_is_up_raises_it(cmos: Cmos) -> None:
    cmos.board.run(SECOND)
    cmos.put(0x0B, 0x12)
    assert cmos.board.level


@pytest.mark.parametrize(
    ("alarm", "at"),
    [
        ((0x05, 0x00, 0x00), 5),
        ((0x05, 0x01, 0x00), 65),
        ((0x00, 0x00, 0x01), 3600),
        ((0x07, 0xFF, 0xC0), 7),
        ((0xFF, 0xFF, 0xFF), 1),
    ],
)
def test_the_alarm_rings_when_all_three_bytes_match_or_do_not_care(
    cmos: Cmos, alarm: tuple[int, int, int], at: int
) -> None:
    for register, value in zip((1, 3, 5), alarm, strict=True):
        cmos.put(register, value)
    cmos.put(0x0B, 0x22)
    cmos.board.run(at * SECOND + 10)
    assert cmos.board.irqs == [(at * SECOND, True)]
    assert cmos.get(0x0C) & 0xA0 == 0xA0


def test_an_alarm_that_passed_unwatched_is_still_flagged(cmos: Cmos) -> None:
    for register, value in zip((1, 3, 5), (0x30, 0x59, 0x00), strict=True):
        cmos.put(register, value)
    cmos.board.run(3569 * SECOND)
    assert not cmos.get(0x0C) & 0x20
    cmos.board.run(5000 * SECOND)
    assert cmos.get(0x0C) & 0x20
    cmos.board.run(5000 * SECOND)
    assert not cmos.get(0x0C) & 0x20


def test_a_date_that_does_not_exist_stands_still(cmos: Cmos) -> None:
    cmos.put(8, 0x13)
    cmos.board.run(SECOND)
    assert (cmos.get(8), cmos.get(0)) == (0x13, 0)
    for register, value in ((0x32, 0x99), (9, 0x99), (8, 0x12), (7, 0x31), (4, 0x23), (2, 0x59), (0, 0x59)):
        cmos.put(register, value)
    cmos.board.run(SECOND)
    assert cmos.get(0) == 0x59


def test_the_index_port_remembers_the_nmi_mask_and_cannot_be_read(cmos: Cmos) -> None:
    cmos.rtc.write(0x70, 0x8F, 1)
    assert cmos.rtc.nmi_disabled
    assert cmos.rtc.index == 0x0F
    assert cmos.rtc.read(0x70, 1) == 0xFF
    cmos.rtc.write(0x70, 0x0F, 1)
    assert not cmos.rtc.nmi_disabled


def test_ram_is_ram_and_c_and_d_are_read_only(cmos: Cmos) -> None:
    for register in (0x0E, 0x0F, 0x33, 0x7F):
        cmos.put(register, 0xA5)
        assert cmos.get(register) == 0xA5
    cmos.put(0x0C, 0x70)
    cmos.put(0x0D, 0)
    assert (cmos.get(0x0C), cmos.get(0x0D)) == (0, 0x80)


@pytest.mark.parametrize(
    ("ram", "extended", "above"),
    [(1 << 20, 0, 0), (16 << 20, 15 << 10, 0), (64 << 20, 63 << 10, 48 << 4), (256 << 20, 0xFFFF, 240 << 4)],
)
def test_the_memory_sizes_are_a_bios_s(ram: int, extended: int, above: int) -> None:
    cmos = Cmos(ram=ram)

    def word(low: int) -> int:
        return cmos.get(low) | cmos.get(low + 1) << 8

    assert (word(0x15), word(0x17), word(0x30), word(0x34)) == (640, extended, extended, above)


def test_restored_it_continues_identically(cmos: Cmos) -> None:
    cmos.put(0x0B, 0x52)
    cmos.board.run(SECOND * 7 // 3)
    cmos.get(0x0C)
    twin = Cmos()
    twin.rtc.restore(cmos.rtc.state())
    twin.board.events.restore(cmos.board.events.state())
    twin.board.cycle, twin.board.level = cmos.board.cycle, cmos.board.level
    cmos.board.irqs.clear()
    for both in (cmos, twin):
        for _ in range(5):
            both.board.run(SECOND // 5)
            both.get(0x0C)
    assert cmos.board.irqs == twin.board.irqs != []
    assert cmos.time() == twin.time()
    assert cmos.rtc.state() == twin.rtc.state()
