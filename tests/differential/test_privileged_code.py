"""Generated privileged code does the same on Ringtoll, whole model on, as on qemu-system-i386."""

import shutil

import pytest

from tests.differential import scenarios, session
from tests.differential.registry import SCENARIOS

needs_qemu = pytest.mark.usefixtures("qemu_found")


@pytest.fixture(scope="module")
def qemu_found() -> None:
    assert shutil.which("qemu-system-i386"), "qemu-system-i386 is not installed (Debian: qemu-system-x86)"


def same(first: int, count: int, scenario: str = "") -> None:
    failures = session.run(range(first, first + count), scenario)
    assert not failures, "\n\n".join(failure.text() for failure in failures[:3])


@needs_qemu
def test_generated_privileged_code_agrees_with_qemu() -> None:
    same(1, 480)


@needs_qemu
@pytest.mark.guests_long
@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_each_scenario_agrees_with_qemu_for_many_seeds(scenario: str) -> None:
    same(1_000_000, 480, scenario)


def test_a_seed_gives_the_same_fragment_again() -> None:
    texts = [[scenarios.generate(seed, 0x1A0000).text() for seed in range(50)] for _ in range(2)]
    assert texts[0] == texts[1]


def test_a_difference_names_the_fragment_its_seed_and_the_first_field(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(image: bytes) -> object:
        records, outcome = ringtoll(image)
        (*first, last), number = records[0], 12
        records[0] = [
            tuple(word ^ (index == number) for index, word in enumerate(first[0])),
            *first[1:],
            last,
        ]
        return records, outcome

    ringtoll = session.ringtoll
    monkeypatch.setattr(session, "ringtoll", broken)
    monkeypatch.setattr(session, "qemu", lambda image: (ringtoll(image)[0], session.END_STATUS))
    (failure,) = session.run(range(7, 9), "faults")
    assert "python -m tests.differential 7 1 faults" in failure.text()
    assert failure.differences[0].startswith("record 0 (E) ecx: ")
