"""What a progress line says of a run."""

from dataclasses import dataclass, field

from emulator.cli.pace import Pace


@dataclass
class Processor:
    place: str = "0060:c1000123 (vmlinuz:memset+0x23)"

    def where(self) -> str:
        return self.place


@dataclass
class Machine:
    cycles: int = 0
    instructions: int = 0
    processor: Processor = field(default_factory=Processor)


def test_time_speed_and_symbol_are_told_four_times_a_second() -> None:
    machine, told, now = Machine(), [], [100.0]
    pace = Pace(machine, 1400.0, lambda done, words: told.append((done, words)), clock=lambda: now[0])
    for _ in range(10):
        now[0] += 0.125
        machine.cycles += 70_000_000
        machine.instructions += 5_000_000
        pace.poll()
    assert len(told) == 5
    assert told[-1] == (630_000_000, "450.000 ms 40 M/s memset")


def test_without_a_symbol_the_address_is_told() -> None:
    machine, told = Machine(processor=Processor("0010:00101234")), []
    Pace(machine, 1400.0, lambda _done, words: told.append(words), clock=lambda: 1.0).poll()
    assert told == ["0 ns 0 M/s 0010:00101234"]
