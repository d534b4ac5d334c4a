"""Every command of the extension tutorial is run, and says what the page shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial-extension.md"
BLOCK = re.compile(r"(?:^`([\w.]+)`:\n\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.guest


def folded(text: str) -> str:
    """Without what differs from run to run: keys; and, in tables of cycles, numbers."""
    text = re.sub(r"\b[0-9a-f]{16}\b", "KEY", text)
    lines = [
        re.sub(r"[\d.,]+", "N", line).replace(" ", "") if "|" in line else line for line in text.splitlines()
    ]
    return "\n".join(lines)


def without_causes(line: str) -> str:
    """A row of the report keeps its symbol: which causes are dearest may change as its numbers do."""
    return line.rsplit("|", 2)[0] if line.startswith("|") else line


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "ringtoll"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m emulator.cli "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    folder = tmp_path / "empty"
    folder.mkdir()
    environment = {
        "PYTHONPATH": str(ROOT),
        "PATH": f"{shim.parent}:{os.environ['PATH']}",
        "HOME": str(Path.home()),
    }
    said, ran = "", 0
    for name, kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if name:
            (folder / name).write_text(text, encoding="utf-8")
        elif kind == "sh":
            done = subprocess.run(
                ["bash", "-ec", text],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            said, ran = done.stdout, ran + 1
            assert done.returncode == 0, f"{text}\n{said}"
        else:
            assert kind == "text", kind
            shown, seen = ([without_causes(line) for line in folded(t).splitlines()] for t in (text, said))
            assert sorted(seen) == sorted(shown) if "|" in text else seen == shown, f"{said}\nshown:\n{text}"
    assert ran == 5
