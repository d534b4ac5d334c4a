"""The guest's reference has every system call, every function of the libc, and examples that compile."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference-guest.md").read_text(encoding="utf-8")
ABI = (ROOT / "guest" / "include" / "ringtoll" / "abi.h").read_text(encoding="utf-8")
HEADERS = ROOT / "guest" / "libc" / "include"
CALLS = {n: int(v, 0) for n, v in re.findall(r"^#define (SYS_\w+)\s+(\w+)", ABI, re.MULTILINE)}


def declared(header: Path) -> set[str]:
    """The functions of a header, without what is the library's own."""
    text = re.sub(r"/\*.*?\*/|^#.*?$", "", header.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    text = re.sub(
        r"\{[^{}]*\}|__attribute__\(\(.*?\)\)|\bPRINTF_LIKE\(.*?\)|^typedef.*?;$",
        ";",
        text,
        flags=re.MULTILINE,
    )
    return {n for n in re.findall(r"^[\w* ]*?\b\**(\w+)\(", text, re.MULTILINE) if not n.startswith("__")}


def test_there_are_calls_and_functions_to_look_for() -> None:
    assert len(CALLS) > 50
    assert {"printf", "puts", "snprintf"} <= declared(HEADERS / "stdio.h")
    assert declared(HEADERS / "sys" / "io.h") == {"ioperm", "iopl", "inb", "outb"}


@pytest.mark.parametrize("name", CALLS)
def test_every_system_call_is_in_the_reference_with_its_number(name: str) -> None:
    number = CALLS[name]
    if number < 0x200:
        assert re.search(rf"^\| `{name}` \| {number} \|", PAGE, re.MULTILINE)
        return
    section = PAGE[PAGE.index(f"\n#### {name}\n") :].split("\n###")[1]
    assert f"umber {number:#x}" in section
    if name != "SYS_uls_return":
        assert "**Errors**" in section
        assert "```c\n" in section


@pytest.mark.parametrize("header", sorted(HEADERS.rglob("*.h")), ids=lambda p: str(p.relative_to(HEADERS)))
def test_every_function_of_the_libc_is_in_the_row_of_its_header(header: Path) -> None:
    functions = declared(header)
    name = header.relative_to(HEADERS)
    rows = dict(re.findall(r"^\| `([\w/]+\.h)` \| (.*?) \|", PAGE, re.MULTILINE))
    shown = set(re.findall(r"`(\w+)`", rows.get(str(name), "")))
    assert functions == shown - {"errno", "assert"}


@pytest.mark.parametrize("prefix", ["ULS_SOURCE_", "ULS_CONTROL_", "ULS_RESOURCE_", "ULS_MODE_"])
def test_every_source_and_control_is_in_the_reference(prefix: str) -> None:
    names = re.findall(rf"^#define ({prefix}\w+)", ABI, re.MULTILINE)
    assert names
    assert [n for n in names if f"`{n}`" not in PAGE] == []


def test_the_examples_compile(tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    examples = re.findall(r"^```c\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(examples) > 15
    headers = ("poll.h", "stdio.h", "sys/shm.h", "unistd.h", "uls.h")
    source = "".join(f"#include <{h}>\n" for h in headers)
    for i, example in enumerate(examples):
        parameter = "void" if "int id =" in example else "int id"
        source += f"void example_{i}({parameter})\n{{\n{example}}}\n"
    (tmp_path / "examples.c").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "x86-freestanding-none", "-ffreestanding"]
    command += ["-c", "-Werror", f"-I{ROOT}/guest/include", f"-I{HEADERS}", "examples.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
