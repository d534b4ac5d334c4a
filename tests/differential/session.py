"""A batch of seeds from generation to verdict."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.differential import image
from tests.differential.compare import Record, differences
from tests.differential.fragment import Fragment
from tests.differential.run import END_STATUS, qemu, ringtoll
from tests.differential.scenarios import generate

BATCH = 240
last: dict[str, Sequence[Record]] = {}  # the records of the last fragment that ran


@dataclass
class Failure:
    """A fragment on which the two differ."""

    fragment: Fragment
    differences: list[str]

    def text(self) -> str:
        """Everything that it takes to look into it."""
        again = f"python -m tests.differential {self.fragment.seed} 1 {self.fragment.name}"
        return "\n".join([f"seed {self.fragment.seed}: {again}", *self.differences, self.fragment.text()])


def run(seeds: Iterable[int], scenario: str = "") -> list[Failure]:
    """Run fragments in batches; a fragment that ends a run is reported, and the rest goes on without it."""
    waiting, failures = list(seeds), []
    while waiting:
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        done, found = _batch(batch, scenario)
        failures += found
        waiting = batch[done:] + waiting
    return failures


def _batch(seeds: Sequence[int], scenario: str) -> tuple[int, list[Failure]]:
    built, fragments = image.make(seeds, lambda seed, base: generate(seed, base, scenario))
    ours, outcome = ringtoll(built)
    theirs, status = qemu(built)
    failures = []
    for number, fragment in enumerate(fragments):
        mine, other = ours.get(number, []), theirs.get(number, [])
        last.update({"Ringtoll": mine, "QEMU": other})
        ended = [_ended(mine), _ended(other)]
        found = differences(fragment, mine, other) if all(ended) else []
        if not ended[0]:
            found.append(f"Ringtoll: the fragment doesn't end: {outcome}")
        if not ended[1]:
            found.append(f"QEMU: the fragment doesn't end (status {status})")
        if found:
            failures.append(Failure(fragment, found))
        if not all(ended):
            return number + 1, failures
    if (outcome.kind, outcome.status, status) != ("exit", 0x31, END_STATUS):
        failures.append(Failure(fragments[-1], [f"the batch ended with {outcome}, QEMU {status}"]))
    return len(fragments), failures


def _ended(records: Sequence[Record]) -> bool:
    return any(record[0] >> 24 == ord("S") for record in records)
