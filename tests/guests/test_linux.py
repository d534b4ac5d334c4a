"""Debian's stock kernel on our machine, whole model on: its console is QEMU's, its shell computes right.

The first second runs in every `make test`; the whole boot to a shell only in `make test-guests`.
"""

import difflib
import functools
import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

import pytest
from debian import Guests
from driver import Guest, QemuLine, RingtollLine

pytestmark = pytest.mark.guest

PENTIUM4: Final = "pentium4-willamette-1400"
PENTIUM3: Final = "pentium3-katmai-550"
MEMORY: Final = 128 << 20
LINE: Final = "console=ttyS0 nokaslr"
PROMPT: Final = "\n# "
FIRST_SECOND: Final = "PCI: Using configuration type 1"
BOOT: Final = 25e9  # cycles to the prompt, at most: it takes 10 to 12 G

# Numbers that may differ, by what the line is about.
NUMBERS: Final = {
    "SeaBIOS keeps its tables at the end of RAM, ours lie below 1 MB": r"last_pfn|LOWMEM|low ram|RAMDISK"
    r"|Normal  |node   0:|Initmem|available for PCI|Total pages|^Memory:|MP-table",
    "clock rates": r"max_cycles|BogoMIPS",
    "CPUID: line size, TLB descriptors": r"HWalign|Last level .TLB",
    "the IO APIC's version and number": r"^IOAPIC",
}
# Lines that only one of the two may have.
LINES: Final = {
    "the memory map and its BIOS": r"^BIOS-e820|SMBIOS|DMI|PCI BIOS",
    "the ACPI tables: other addresses, sizes, makers; QEMU has more": r"^ACPI: ([A-Z]{4} |Reserving)",
    "which interrupts the board routes": r"INT_SRC_OVR",
    "QEMU's board has an HPET": r"(?i)hpet",
    "how the TSC was calibrated": r"^tsc: ",
    "the CPU has MTRRs, PAT, thermal monitoring, hyper-threading, a PMU": r"PAT: [^C]|MTRR|^Disabled|Thermal"
    r"|Hyper-Threading|Performance Events|^smpboot: CPU0|^ITS:",
    "a thread that prints when it comes to it": r"^audit: type",
}


def masked(console: str) -> list[str]:
    """The kernel's lines, without what legitimately differs."""
    said = console[console.index("Linux version") :].splitlines()
    lines = (re.sub(r"^\[ *\d+\.\d+\] ", "", line).rstrip() for line in said)
    kept = (line for line in lines if not any(re.search(rule, line) for rule in LINES.values()))
    return [
        re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{8}\b|\d+(\.\d+)?", "N", line)
        if any(re.search(rule, line) for rule in NUMBERS.values())
        else line
        for line in kept
    ]


def debian(guests: Guests) -> Guest:
    return Guest(guests.kernel, MEMORY, LINE, guests.initramfs)


@pytest.mark.usefixtures("qemu")
def test_the_first_second_on_the_console_is_that_of_qemu(guests: Guests) -> None:
    with QemuLine(debian(guests)) as theirs, RingtollLine(debian(guests), PENTIUM4) as ours:
        ours.expect(FIRST_SECOND, limit=8e9)  # QEMU runs meanwhile
        theirs.expect(FIRST_SECOND)
        ours.machine.ledger.check(ours.machine.cycles)
        assert ours.machine.state.unmapped_model == 0
        mine, other = (masked(text[: text.index(FIRST_SECOND)]) for text in (ours.text, theirs.text))
    assert len(mine) > 90
    assert mine == other, "\n".join(difflib.unified_diff(other, mine, "QEMU", "Ringtoll", lineterm="", n=0))


@dataclass(frozen=True, slots=True)
class Ran:
    """One boot with a session in its shell."""

    answers: dict[str, str]
    status: int
    console: bytes
    cycles: int
    statistics: dict[str, int]
    ledger: dict[str, Any]
    wrong: tuple[str, ...] = ()
    checked: int = 0


COMMANDS: Final = {
    "cpu": "cat /proc/cpuinfo",
    "pipeline": "seq 1 1000 | grep 7 | wc -l",
    "file": "yes ringtoll | head -c 1048576 >/tmp/file",
    "md5sum": "md5sum /tmp/file",
    "interrupts": "cat /proc/interrupts",
}
FILE: Final = (b"ringtoll\n" * (1 << 17))[: 1 << 20]


@functools.cache
def _ran(guest: Guest, profile: str, verify: int = 0, again: int = 0) -> Ran:
    with RingtollLine(guest, profile, verify=verify) as line:
        line.expect("initramfs: ready", limit=BOOT)
        line.expect(PROMPT)
        answers = {name: line.command(text, PROMPT) for name, text in COMMANDS.items()}
        line.send("poweroff -f\n")
        status = line.finish()
        machine = line.machine
        machine.ledger.check(machine.cycles)
        assert machine.state.unmapped_model == 0
        result = machine.verifier.result if machine.verifier is not None else None
        return Ran(
            answers,
            status,
            bytes(line.output),
            machine.cycles,
            machine.statistics(),
            machine.ledger.to_json(),
            tuple(result.examples) if result else (),
            result.checked if result else 0,
        )


def _judge(ran: Ran) -> None:
    assert ran.answers["pipeline"] == "271"
    assert ran.answers["md5sum"] == f"{hashlib.md5(FILE).hexdigest()}  /tmp/file"
    assert ran.status == 0


@pytest.mark.guests_long
@pytest.mark.timeout(3000)
def test_a_pentium_4_boots_to_a_shell_that_computes_and_turns_it_off(guests: Guests) -> None:
    ran = _ran(debian(guests), PENTIUM4)
    _judge(ran)
    cpu = dict(re.findall(r"^(.*?)\s*: (.*)$", ran.answers["cpu"], re.MULTILINE))
    assert (cpu["vendor_id"], cpu["cpu family"], cpu["model"]) == ("GenuineIntel", "15", "0")
    assert "Pentium(R) 4" in cpu["model name"]
    assert float(cpu["cpu MHz"]) == pytest.approx(1400, rel=0.001)
    assert {"apic", "sse2", "cmov", "sep"} <= set(cpu["flags"].split())
    assert "IO-APIC" in ran.answers["interrupts"]


@pytest.mark.guests_long
@pytest.mark.timeout(3000)
def test_a_pentium_iii_boots_to_the_same_shell_by_the_8259(guests: Guests) -> None:
    ran = _ran(debian(guests), PENTIUM3)
    _judge(ran)
    cpu = dict(re.findall(r"^(.*?)\s*: (.*)$", ran.answers["cpu"], re.MULTILINE))
    assert (cpu["cpu family"], cpu["model"]) == ("6", "7")
    assert float(cpu["cpu MHz"]) == pytest.approx(550, rel=0.001)
    assert {"apic", "sse2"}.isdisjoint(cpu["flags"].split())
    assert "XT-PIC" in ran.answers["interrupts"]


@pytest.mark.guests_long
@pytest.mark.timeout(6000)
def test_two_boots_are_equal_bit_for_bit(guests: Guests) -> None:
    assert _ran(debian(guests), PENTIUM4) == _ran(debian(guests), PENTIUM4, again=1)


@pytest.mark.guests_long
@pytest.mark.timeout(6000)
def test_the_model_saw_the_pages_that_the_instructions_name(guests: Guests) -> None:
    ran = _ran(debian(guests), PENTIUM4, verify=997)
    _judge(ran)
    assert ran.checked > 2_000_000
    assert ran.wrong == ()


@pytest.mark.guests_long
@pytest.mark.usefixtures("qemu")
@pytest.mark.timeout(6000)
def test_the_shell_answers_as_under_qemu(guests: Guests) -> None:
    ours = _ran(debian(guests), PENTIUM4)
    with QemuLine(debian(guests)) as line:
        line.expect("initramfs: ready")
        line.expect(PROMPT)
        theirs = {name: line.command(text, PROMPT) for name, text in COMMANDS.items()}
        line.send("poweroff -f\n")
        assert line.finish() == 0
    for same in ("pipeline", "file", "md5sum"):
        assert ours.answers[same] == theirs[same]
