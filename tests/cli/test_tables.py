import io

import numpy as np
from rich.console import Console

from emulator.cli.tables import ledger_table
from emulator.timing.causes import COUNT, INSTRUCTION, INTERRUPT
from emulator.timing.ledger import Ledger


def shown(ledger: Ledger) -> list[str]:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(ledger_table(ledger))
    return console.export_text().splitlines()


def test_the_ledger_table_shows_causes_by_cost_with_rings_that_ran():
    counts = np.zeros((1, 4, COUNT), np.int64)
    counts[0, 0, INTERRUPT] = 3000
    counts[0, 3, INSTRUCTION] = 1000
    text = "\n".join(shown(Ledger(counts)))
    assert text.index("interrupt") < text.index("instruction")
    assert "75.0 %" in text
    assert "4,000" in text
    assert "ring 3" in text
    assert "ring 1" not in text


def test_an_empty_ledger_has_an_empty_table():
    assert "cause" in "\n".join(shown(Ledger(np.zeros((0, 4, COUNT), np.int64))))
