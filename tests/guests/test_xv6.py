"""xv6 on our machine, whole model on, from its disk and from memory: its shell, and its own tests.

The image is the user's: RINGTOLL_XV6 names a folder that holds kernel, kernelmemfs and fs.img, as made by
`make kernel kernelmemfs fs.img` in a copy of xv6-public. Nothing of it is in this repository.
"""

import os
import re
from pathlib import Path
from typing import Final

import pytest
from driver import Guest, QemuLine, RingtollLine, SerialLine

pytestmark = [pytest.mark.guest, pytest.mark.guests_long, pytest.mark.timeout(7200)]

PROMPT: Final = "$ "
MEMORY: Final = 256 << 20
PROFILE: Final = "pentium4-willamette-1400"  # xv6 needs a local APIC
FILES: Final = {"kernel": ("kernel", "fs.img"), "kernelmemfs": ("kernelmemfs",)}


@pytest.fixture(params=FILES)
def guest(request: pytest.FixtureRequest) -> Guest:
    """Each of the two kernels: on an IDE disk, and with its file system in memory."""
    given = os.environ.get("RINGTOLL_XV6")
    if not given:
        pytest.skip("set RINGTOLL_XV6 to a folder with xv6's kernel, kernelmemfs and fs.img")
    paths = [Path(given) / name for name in FILES[request.param]]
    if lacking := [str(path) for path in paths if not path.is_file()]:
        pytest.fail(f"RINGTOLL_XV6: there is no {', '.join(lacking)}")
    return Guest(paths[0], MEMORY, disks=(None, *paths[1:]))


def _shell(line: SerialLine) -> dict[str, str]:
    line.expect("init: starting sh")
    line.expect(PROMPT)
    commands = ("ls", "cat README", "cat README | grep xv6 | wc", "stressfs", "forktest", "echo over")
    return {command: line.command(command, PROMPT) for command in commands}


def _counts(text: str) -> list[int]:
    """What `grep xv6 | wc` must say: lines, words, characters."""
    lines = [line for line in text.splitlines() if "xv6" in line]
    return [len(lines), sum(len(line.split()) for line in lines), sum(len(line) + 1 for line in lines)]


def _judge(said: dict[str, str]) -> None:
    files = {line.split()[0] for line in said["ls"].splitlines()}
    assert {"README", "cat", "grep", "sh", "usertests", "console"} <= files
    assert [int(n) for n in said["cat README | grep xv6 | wc"].split()] == _counts(said["cat README"])
    assert re.findall(r"write (\d)", said["stressfs"])
    assert said["stressfs"].count("read\n") == 5
    assert "fork test OK" in said["forktest"]
    assert said["echo over"].strip() == "over"


def _session(guest: Guest) -> tuple[dict[str, str], int, dict[str, int]]:
    with RingtollLine(guest, PROFILE, limit=40e9) as line:
        said = _shell(line)
        line.machine.ledger.check(line.machine.cycles)
        assert line.machine.state.unmapped_model == 0
        return said, line.machine.cycles, line.machine.statistics()


def test_the_shell_and_its_programs_work_and_two_runs_are_equal(guest: Guest) -> None:
    first = _session(guest)
    _judge(first[0])
    assert _session(guest) == first


@pytest.mark.usefixtures("qemu")
def test_the_shell_answers_as_under_qemu(guest: Guest) -> None:
    ours, _, _ = _session(guest)
    with QemuLine(guest, cpu="qemu32", icount=False) as line:
        theirs = _shell(line)
    _judge(theirs)
    scheduled = ("stressfs", "forktest")  # processes that print side by side
    assert {k: v for k, v in ours.items() if k not in scheduled} == {
        k: v for k, v in theirs.items() if k not in scheduled
    }


def test_its_own_tests_pass(guest: Guest) -> None:
    with RingtollLine(guest, PROFILE, limit=400e9) as line:
        line.expect(PROMPT)
        line.send("usertests\n")
        said = line.expect("ALL TESTS PASSED", "panic", "FAILED", "failed\n", "already ran")
        assert said.endswith("ALL TESTS PASSED")
        line.expect(PROMPT)
        line.machine.ledger.check(line.machine.cycles)


def test_the_model_saw_the_pages_that_the_instructions_name(guest: Guest) -> None:
    with RingtollLine(guest, PROFILE, verify=97, limit=40e9) as line:
        _judge(_shell(line))
        assert line.machine.verifier is not None
        result = line.machine.verifier.result
        assert (result.wrong, result.examples) == (0, [])
        assert result.checked > 100_000
