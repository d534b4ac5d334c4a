"""The documentation keeps up with the program."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from emulator.cli.app import app
from emulator.exitstatus import MEANING, ExitStatus
from emulator.timing.causes import CAUSES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def test_every_exit_status_is_in_the_reference_with_its_meaning() -> None:
    for status, meaning in MEANING.items():
        if status is not ExitStatus.OK:
            assert f"| {int(status)} | {meaning} |" in REFERENCE.replace("`", "")


def test_the_causes_are_in_the_reference_in_their_order() -> None:
    table = REFERENCE[REFERENCE.index("## Causes") :]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == CAUSES


@pytest.mark.parametrize("words", [("boot",), ("images",), ("bench", "uls"), ("bench", "ipc")])
def test_every_option_is_in_the_reference(words: tuple[str, ...]) -> None:
    command = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    section = REFERENCE[REFERENCE.index(f"### `ringtoll {' '.join(words)}") :].split("\n### ")[0]
    for parameter in command.params:
        for name in (*parameter.opts, *parameter.secondary_opts):
            if name.startswith("--") and name != "--help":
                assert f"`{name}" in section


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_source_file_named_in_the_tricks_is_there() -> None:
    text = (ROOT / "docs" / "tricks.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:emulator|guest|loader)/[\w./]+)`", text):
        assert (ROOT / name).exists(), name


def test_the_kernel_of_the_how_to_boots_and_says_hello(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    source, commands = (
        re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)[1]  # type: ignore[index]
        for kind in ("asm", "sh")
    )
    (tmp_path / "hello.S").write_text(source, encoding="utf-8")
    replaced = {
        ".venv/bin/python": [sys.executable],
        ".venv/bin/ringtoll": [sys.executable, "-m", "emulator.cli"],
    }
    for line in commands.splitlines():
        first, *rest = shlex.split(line)
        done = subprocess.run(
            [*replaced[first], *rest],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if "boot" not in rest:
            assert done.returncode == 0, done.stderr
    assert (done.stdout, done.returncode) == ("hello from ring 0\n", 42)
    assert "Cycles by cause" in done.stderr
