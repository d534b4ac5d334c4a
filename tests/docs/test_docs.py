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


@pytest.mark.parametrize(
    "words",
    [
        ("boot",),
        ("ext", "build"),
        ("images",),
        ("bench", "uls"),
        ("bench", "ipc"),
        ("bench", "host"),
        ("report",),
        ("verify",),
        ("profiles",),
        ("profiles", "show"),
        ("sign",),
        ("key", "new"),
    ],
)
def test_every_option_is_in_the_reference(words: tuple[str, ...]) -> None:
    command = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    heading = "profiles" if words[0] == "profiles" else " ".join(words)
    section = REFERENCE[REFERENCE.index(f"### `ringtoll {heading}") :].split("\n### ")[0]
    for parameter in command.params:
        for name in (*parameter.opts, *parameter.secondary_opts):
            if name.startswith("--") and name != "--help":
                assert re.search(rf"`(?:[^`\n]* )?{name}\b", section), name


def test_every_word_of_the_kernels_command_line_is_in_the_reference() -> None:
    words = (ROOT / "guest" / "kernel" / "cmdline.c").read_text(encoding="utf-8").split("*/")[0]
    section = REFERENCE[REFERENCE.index("## Command line of the mini kernel") :].split("\n## ")[0]
    found = re.findall(r"^ \*   (\w+=)(\S+)", words, re.MULTILINE)
    assert len(found) > 8
    for option, values in found:
        for value in values.split("|") if "|" in values else [values.replace("...", "NAME")]:
            assert f"`{option}{value}`" in section, option


def test_every_file_of_the_guest_kernel_is_in_its_table() -> None:
    folder = ROOT / "guest" / "kernel"
    named = set(
        re.findall(r"`([\w/]+\.(?:c|S|h|ld|zig))`", (folder / "README.md").read_text(encoding="utf-8"))
    )
    assert {path.name for path in folder.iterdir() if path.suffix in {".c", ".S", ".ld", ".zig"}} <= named
    for name in named:
        assert (folder / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_source_file_named_in_the_tricks_is_there() -> None:
    text = (ROOT / "docs" / "tricks.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:emulator|guest|loader)/[\w./]+)`", text):
        assert (ROOT / name).exists(), name


def run(commands: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a page's commands in a folder, as in a source tree; all but `boot` must do what they are asked."""
    replaced = {
        ".venv/bin/python": [sys.executable],
        ".venv/bin/ringtoll": [sys.executable, "-m", "emulator.cli"],
    }
    for line in commands.splitlines():
        first, *rest = shlex.split(line.replace("-Iguest/", f"-I{ROOT}/guest/"))
        done = subprocess.run(
            [*replaced[first], *rest],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if "boot" not in rest:
            assert done.returncode == 0, done.stderr
    return done


def blocks(section: str, *kinds: str) -> list[str]:
    """The code of these kinds in a section of the how-to."""
    text = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    part = text[text.index(f"## {section}\n") :].split("\n## ")[0]
    return [re.search(rf"```{kind}\n(.*?)```", part, re.DOTALL)[1] for kind in kinds]  # type: ignore[index]


def test_the_kernel_of_the_how_to_boots_and_says_hello(tmp_path: Path) -> None:
    source, commands = blocks("Boot your own multiboot kernel", "asm", "sh")
    (tmp_path / "hello.S").write_text(source, encoding="utf-8")
    done = run(commands, tmp_path)
    assert (done.stdout, done.returncode) == ("hello from ring 0\n", 42)
    assert "Cycles by cause" in done.stderr


@pytest.mark.guest
def test_the_system_of_the_how_to_is_signed_composed_and_runs(tmp_path: Path) -> None:
    source, manifest, commands = blocks("Compose a system of programs and extensions", "c", "toml", "sh")
    (tmp_path / "blink.c").write_text(source, encoding="utf-8")
    (tmp_path / "system.toml").write_text(manifest, encoding="utf-8")
    done = run(commands, tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^extension: blink, .* sealed$", done.stdout, re.MULTILINE)
    assert "ringtoll: extension blink: signed by" in done.stderr
    assert "blink:handler" in (tmp_path / "stats.json").read_text(encoding="utf-8")
    (tmp_path / "blink.o").write_bytes((tmp_path / "blink.o").read_bytes()[:-1] + b"!")
    assert run(".venv/bin/ringtoll boot --manifest system.toml", tmp_path).returncode == 120
