"""memtest86+ (Debian's 32-bit binary) on our machine: its screen in VGA memory, tests without an error."""

import re
from typing import Final

import pytest
from debian import Guests
from driver import Guest, RingtollLine

MEMORY: Final = 16 << 20
TESTING: Final = 7e9  # cycles: by then it has moved patterns through all memory


@pytest.mark.guest
@pytest.mark.guests_long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("profile", ["pentium4-willamette-1400", "pentium3-katmai-550"])
def test_it_counts_without_errors(profile: str, guests: Guests) -> None:
    with RingtollLine(Guest(guests.memtest, MEMORY, "console=ttyS0,115200"), profile) as line:
        line.expect("Status: Testing")  # the serial console shows the same screen
        outcome = line.machine.run(max_cycles=int(TESTING))
        screen = "\n".join(line.machine.devices.vga.text(line.machine.ram))
        line.machine.ledger.check(line.machine.cycles)
    assert outcome.kind == "limit", outcome
    assert re.search(r"Memtest86\+ v\d", screen)
    assert re.search(r"Memory *: *16MB", screen)
    assert re.search(r"Time: +0:00:0[1-9]", screen), screen
    assert re.search(r"Errors: 0\s", screen), screen
