"""`ringtoll ext build`."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator.bundle import RUNTIME, load_bundle
from emulator.cli import main
from loader.sandbox import Extension, link_sandbox

C = """#include <ringtoll/abi.h>
#include <stdio.h>
void handler(const struct uls_event *e) { printf(TEXT, e->value); }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ringtoll", "ext", "build", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_c_becomes_an_extension_that_links_with_the_libc(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ziglang")
    (folder / "a.c").write_text(C, encoding="utf-8")
    assert run(monkeypatch, "a.c", "-D", 'TEXT="%u\\n"') == 0
    assert capfd.readouterr().out == "a.o: built from a.c\n"
    bundle, built = load_bundle(), (folder / "a.o").read_bytes()
    linked = link_sandbox([Extension("a", built)], bundle[RUNTIME], bundle.libc)
    assert {"a:handler", "libc:printf"} <= set(linked.symbols)
    assert run(monkeypatch, "a.c", "-D", 'TEXT="%u\\n"', "-o", "again.o") == 0
    assert (folder / "again.o").read_bytes() == built


def test_several_files_become_one_extension(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ziglang")
    (folder / "more").mkdir()
    (folder / "more" / "two.h").write_text("int two(void);\n", encoding="utf-8")
    (folder / "a.c").write_text("#include <two.h>\nvoid handler(void *e) { *(int *)e = two(); }\n", "utf-8")
    (folder / "b.S").write_text(".globl two\ntwo: movl $2, %eax\nret\n", encoding="utf-8")
    assert run(monkeypatch, "a.c", "b.S", "-I", "more", "-o", "both.o", "--json") == 0
    told: dict[str, Any] = json.loads(capfd.readouterr().out)
    assert (told["sources"], told["file"]) == (["a.c", "b.S"], "both.o")
    assert told["size"] == (folder / "both.o").stat().st_size
    bundle = load_bundle()
    linked = link_sandbox([Extension("a", (folder / "both.o").read_bytes())], bundle[RUNTIME], bundle.libc)
    assert {"a:handler", "a:two"} <= set(linked.symbols)


def test_what_cannot_be_built_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ziglang")
    assert (run(monkeypatch, "a.c"), "a.c: there is no such file" in capfd.readouterr().err) == (125, True)
    assert (run(monkeypatch, "a.py"), "neither C (.c) nor assembly" in capfd.readouterr().err) == (2, True)
    (folder / "a.c").write_text("void handler(void) { nothing }\n", encoding="utf-8")
    assert run(monkeypatch, "a.c") == 125
    error = capfd.readouterr().err
    assert "undeclared identifier 'nothing'" in error
    assert "ringtoll: a.c: the compiler refused it (its messages are above)" in error
    assert not (folder / "a.o").exists()


def test_without_the_compiler_its_name_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.c").write_text("", encoding="utf-8")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, p=None: None if n == "ziglang" else find(n, p))
    assert run(monkeypatch, "a.c") == 125
    assert "the compiler is not installed: python3 -m pip install ziglang==" in capfd.readouterr().err
