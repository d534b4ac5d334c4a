import pytest
from board import Board

from emulator.devices.acpi_pm import HZ, PWRBTN, TMR, AcpiPm

CPU_HZ = 1_400_000_000
HALF = 1 << 23


class Bench:
    def __init__(self, bits: int = 24) -> None:
        self.board = Board(CPU_HZ)
        self.off: list[int] = []
        self.pm = AcpiPm(
            self.board.clock,
            self.board.events,
            self.board.irq,
            lambda: self.off.append(self.board.cycle),
            bits,
        )

    def enable_acpi(self) -> None:
        self.pm.write(0xB2, 0xF1, 1)

    def cycles(self, ticks: int) -> int:
        return -(-ticks * CPU_HZ // HZ)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(("bits", "wrapped"), [(24, 5), (32, (1 << 24) + 5)])
def test_the_timer_counts_at_its_crystals_rate(bits: int, wrapped: int) -> None:
    bench = Bench(bits)
    bench.board.run(CPU_HZ)
    assert bench.pm.read(0x608, 4) == HZ
    bench.board.run_to(bench.cycles((1 << 24) + 5))
    assert bench.pm.read(0x608, 4) == wrapped
    assert [bench.pm.read(0x608 + i, 1) for i in range(4)] == list(wrapped.to_bytes(4, "little"))


def test_acpi_is_switched_on_and_off_by_the_smi_command_port(bench: Bench) -> None:
    assert bench.pm.read(0x604, 2) == 0
    bench.enable_acpi()
    assert bench.pm.read(0x604, 2) == 1
    assert bench.pm.read(0xB2, 1) == 0xF1
    bench.pm.write(0xB2, 0xF0, 1)
    assert bench.pm.read(0x604, 2) == 0
    bench.pm.write(0xB3, 0x55, 1)
    assert bench.pm.read(0xB3, 1) == 0x55


@pytest.mark.parametrize("size", [1, 2])
def test_sleep_enable_with_the_type_of_s5_ends_the_run(bench: Bench, size: int) -> None:
    bench.pm.write(0x604, 0x0001, 2)
    bench.pm.write(0x604, 0x1C01, 2)
    assert bench.off == []
    if size == 2:
        bench.pm.write(0x604, 0x2001, 2)
    else:
        bench.pm.write(0x605, 0x20, 1)
    assert len(bench.off) == 1
    assert bench.pm.read(0x604, 2) == 1, "SLP_EN reads as 0"


def test_another_sleep_type_is_ignored(bench: Bench) -> None:
    bench.pm.write(0x604, 0x2401, 2)
    assert bench.off == []


def test_the_power_button_raises_sci_until_its_status_is_cleared(bench: Bench) -> None:
    bench.enable_acpi()
    bench.pm.write(0x602, PWRBTN, 2)
    bench.pm.press_power_button()
    assert bench.board.level
    assert bench.pm.read(0x600, 2) == PWRBTN
    bench.pm.write(0x600, PWRBTN, 2)
    assert not bench.board.level
    assert bench.pm.read(0x600, 4) == PWRBTN << 16


def test_there_is_no_sci_before_acpi_is_enabled(bench: Bench) -> None:
    bench.pm.write(0x602, PWRBTN, 2)
    bench.pm.press_power_button()
    assert not bench.board.level
    bench.enable_acpi()
    assert bench.board.level


def test_the_timers_status_is_set_when_its_highest_bit_changes(bench: Bench) -> None:
    bench.board.run_to(bench.cycles(HALF) - 1)
    assert bench.pm.read(0x600, 2) == 0
    bench.board.run(1)
    assert bench.pm.read(0x600, 2) == TMR
    bench.pm.write(0x600, TMR, 2)
    assert bench.pm.read(0x600, 2) == 0


def test_the_timer_interrupts_only_while_that_is_enabled(bench: Bench) -> None:
    bench.enable_acpi()
    assert bench.pm.cycles_to_event(0) is None
    bench.pm.write(0x602, TMR, 2)
    for half in (1, 2, 3):
        bench.board.run_to(bench.cycles(half * HALF + 10))
        assert bench.board.irqs[-1] == (bench.cycles(half * HALF), True)
        bench.pm.write(0x600, TMR, 1)
        assert not bench.board.level
    bench.pm.write(0x602, 0, 2)
    assert bench.pm.cycles_to_event(bench.board.cycle) is None


def test_a_restored_pm_block_continues_identically(bench: Bench) -> None:
    bench.enable_acpi()
    bench.pm.write(0x602, TMR, 2)
    bench.board.run_to(bench.cycles(HALF) - 5)
    twin = Bench()
    twin.board.cycle = bench.board.cycle
    twin.pm.restore(bench.pm.state())
    twin.board.events.restore(bench.board.events.state())
    for each in (bench, twin):
        each.board.run(100)
    assert bench.board.irqs == twin.board.irqs
    assert bench.pm.state() == twin.pm.state()
