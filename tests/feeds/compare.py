"""One image in both feeds, side by side: every count and every cycle must be the same, block by block.

    planned --window--> state      equal? go on      different? run again to the last equal window,
    hooks   --window--> state                        then block by block, and name the block

Both machines run to the same modelled time, window after window; what is compared is everything a run
reports: cycles, instructions, accesses, misses by kind and reason, the ledger, registers, and at
the end memory.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emulator.machine import Feed, Machine, Outcome

Make = Callable[[Feed], Machine]
FEEDS: tuple[Feed, Feed] = ("hooks", "planned")


@dataclass(frozen=True)
class Difference:
    """The first block after which the two machines differ."""

    where: str
    code: str
    counts: dict[str, tuple[int, int]]  # in reference mode, in planned mode

    def __str__(self) -> str:
        counts = "\n".join(f"  {name}: hooks {a}, planned {b}" for name, (a, b) in self.counts.items())
        return f"after the block at {self.where}\n{self.code}\n{counts}"


def counts(machine: Machine) -> dict[str, int]:
    """Everything that must be equal, cheaply."""
    found = machine.statistics()
    found["cycles"] = machine.cycles
    registers = machine.processor.registers
    found |= {f"register {n}": registers.general(n) for n in range(8)}
    found["eip"] = registers.eip
    causes = machine.ledger.counts.sum(axis=(0, 1))
    return found | {f"cause {n}": int(cycles) for n, cycles in enumerate(causes)}


def differing(hooks: Machine, planned: Machine) -> dict[str, tuple[int, int]]:
    """The counts that differ."""
    left, right = counts(hooks), counts(planned)
    return {
        name: (left.get(name, 0), right.get(name, 0))
        for name in sorted(left | right)
        if left.get(name) != right.get(name)
    }


def _block(machine: Machine) -> tuple[str, str]:
    """Where the last block was, and its instructions."""
    import capstone

    state = machine.state
    blocks = machine.processor.blocks
    code, bits = blocks.code_of(state.last_block)
    mode = capstone.CS_MODE_32 if bits == 32 else capstone.CS_MODE_16
    decoder = capstone.Cs(capstone.CS_ARCH_X86, mode)
    lines = [
        f"  {at:08x} {name} {text}" for at, _, name, text in decoder.disasm_lite(code, state.last_address)
    ]
    return f"{state.last_address:08x}", "\n".join(lines)


def _step(machines: list[Machine], until: int) -> list[Outcome]:
    return [machine.run(max_cycles=until) for machine in machines]


def compare(
    make: Make, *, window: int, limit: int = 1 << 62, memory: bool = True
) -> tuple[Difference | None, Outcome]:
    """Run to the end or to `limit` modelled cycles; the first difference, and how the planned run ended."""
    return _search(make, 0, window, limit, memory)


def _search(
    make: Make, start: int, window: int, limit: int, memory: bool
) -> tuple[Difference | None, Outcome]:
    machines = [make(feed) for feed in FEEDS]
    hooks, planned = machines
    if start:
        _step(machines, start)
    equal_at, where = start, hooks.state.blocks
    while True:
        until = min(limit, max(hooks.cycles, equal_at) + window)
        outcomes = _step(machines, until)
        found = differing(hooks, planned)
        if found or outcomes[0] != outcomes[1]:
            if window > 1 and hooks.state.blocks - where > 1:
                return _search(make, equal_at, max(1, window // 64), until, False)
            return Difference(*_block(hooks), found), outcomes[1]
        if outcomes[0].kind != "limit" or until >= limit:
            break
        equal_at, where = hooks.cycles, hooks.state.blocks
    if memory and not np.array_equal(hooks.ram.bytes, planned.ram.bytes):
        at = int(np.flatnonzero(hooks.ram.bytes != planned.ram.bytes)[0])
        return Difference("the end", f"  memory at {at:#x}", {}), outcomes[1]
    return None, outcomes[1]
