"""Manifests: every key, every rule, and what is composed of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.bundle import load_bundle
from emulator.composition import Composed, Composer
from emulator.instructions import LONGEST_WORD, init_words
from emulator.manifest import ManifestError, load_manifest
from loader import ImageError
from loader.authorisation import AuthorisationError, Kind
from loader.sandbox_seal import Sealer
from loader.signature import load_seed, new_key, sign

FULL = """
[kernel]
flush = "cr3"
entry = "iret"
budget = 7
bench = false
exit = "unwaited"

[init]
seconds = 1.5

[[program]]
name = "hello"
arguments = ["7", "a=b"]
priority = 12

[[extension]]
name = "counter"
file = "my.o"
stack = 8192
mode = "threaded"
priority = 3
budget = 5
bind = [{source = "timer", period = 4}, {source = "uart"}, {source = "exit"}]
ports = [{first = 0x378, count = 3}, {first = 0x80}]

[[extension]]
name = "null"
owner = "hello"

[authorisation]
trust = ["dev.key.pub"]
unsigned = ["null"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    private, public = new_key()
    (tmp_path / "dev.key").write_bytes(private)
    (tmp_path / "dev.key.pub").write_bytes(public)
    counter = load_bundle()["counter.o"]
    (tmp_path / "my.o").write_bytes(counter)
    (tmp_path / "my.o.sig").write_text(sign(load_seed("", private), counter).text())
    return tmp_path


def write(folder: Path, text: str) -> str:
    (folder / "system.toml").write_text(text)
    return str(folder / "system.toml")


def compose(
    folder: Path, text: str, *, trust: list[str] | None = None, unsigned: list[str] | None = None
) -> Composed:
    return Composer(write(folder, text), trust or [], unsigned or []).compose(64 << 20)


def test_everything_that_a_manifest_can_say(folder: Path) -> None:
    composed = compose(folder, FULL)
    assert composed.sandbox is not None
    assert composed.sandbox.key is not None
    assert composed.command_line == (
        "flush=cr3 entry=iret budget=7 bench=off exit=unwaited "
        f"uls_key={composed.sandbox.key.hex()} uls_trust=null"
    )
    assert [m.string for m in composed.modules] == [
        "sandbox",
        "init prio=99 processes=1 ticks=150 counter,mode=1,priority=3,budget=5,ports=0x378+3,ports=0x80+1 "
        ",timer=4,uart,exit",
        "hello prio=12 7 a=b",
    ]
    counter, null = composed.sandbox.extensions
    assert (counter.stack_size, counter.authorisation.kind) == (8192, Kind.SIGNED)
    assert null.authorisation.kind is Kind.TRUSTED
    assert composed.files["counter"] == hashlib.sha256((folder / "my.o").read_bytes()).hexdigest()


def test_the_same_manifest_composes_the_same_image(folder: Path) -> None:
    assert compose(folder, FULL).image.sha256 == compose(folder, FULL).image.sha256


def test_a_key_for_the_seals_is_the_one_that_the_kernel_is_told(folder: Path) -> None:
    composed = compose(folder, FULL + 'seal = "dev.key"\n')
    assert composed.sandbox is not None
    seed = load_seed("", (folder / "dev.key").read_bytes())
    assert composed.sandbox.key == Sealer(seed).public


def test_trust_comes_from_the_command_line_as_well(folder: Path) -> None:
    text = '[[extension]]\nname = "counter"\nfile = "my.o"\n'
    with pytest.raises(AuthorisationError, match=r"my.o: it is signed by key .* which is not trusted"):
        compose(folder, text)
    assert compose(folder, text, trust=[str(folder / "dev.key.pub")]).sandbox is not None
    assert compose(folder, text, unsigned=["counter"]).sandbox is not None
    (folder / "my.o").write_bytes((folder / "my.o").read_bytes() + b"\0")
    with pytest.raises(AuthorisationError, match="altered after it had been signed"):
        compose(folder, text, trust=[str(folder / "dev.key.pub")])


def test_nothing_that_ringtoll_carries_is_trusted_by_itself(folder: Path) -> None:
    with pytest.raises(AuthorisationError, match=r"null.o: it is not signed"):
        compose(folder, '[[extension]]\nname = "null"\n')


PROGRAM = '[[program]]\nname = "hello"\n'
EXTENSION = '[[extension]]\nname = "null"\n'


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("not TOML", "a ="),
        ("unknown field `colour`", PROGRAM + 'colour = "red"\n'),
        (r"unknown field `kernal`", "[kernal]\n"),
        (r"\$\.kernel\.flush", '[kernel]\nflush = "sometimes"\n' + PROGRAM),
        (r"\$\.kernel\.budget", "[kernel]\nbudget = -1\n" + PROGRAM),
        (r"Expected `str`, got `int` - at `\$\.program\[0\]\.name`", "[[program]]\nname = 7\n"),
        ("missing required field `name`", "[[program]]\n"),
        (r"at `\$\.program\[0\]\.name`", '[[program]]\nname = "a b"\n'),
        ("reserved", '[[program]]\nname = "sandbox"\n'),
        (r"1 to 63 printable.*arguments\[0\]", PROGRAM + 'arguments = ["a b"]\n'),
        (r"not prio=.*arguments\[0\]", PROGRAM + 'arguments = ["prio=3"]\n'),
        ("at most 30 arguments", PROGRAM + f"arguments = {['x'] * 31}\n"),
        (r"\$\.program\[0\]\.priority", PROGRAM + "priority = 100\n"),
        ("a timer has a period", EXTENSION + 'bind = [{source = "timer"}]\n'),
        ("a timer has a period", EXTENSION + 'bind = [{source = "uart", period = 1}]\n'),
        ("bound once", EXTENSION + 'bind = [{source = "uart"}, {source = "uart"}]\n'),
        (r"\$\.extension\[0\]\.bind\[0\]\.source", EXTENSION + 'bind = [{source = "fd"}]\n'),
        ("below 0x400", EXTENSION + "ports = [{first = 0x3ff, count = 2}]\n"),
        ("owner is `init` or one program", EXTENSION + 'owner = "hello"\n'),
        ("owner is `init` or one program", 2 * PROGRAM + EXTENSION + 'owner = "hello"\n'),
        ("set by that program", PROGRAM + EXTENSION + 'owner = "hello"\npriority = 3\n'),
        ("starts a program or has an extension", ""),
        ("no extension 'nobody' to be trusted", EXTENSION + '[authorisation]\nunsigned = ["nobody"]\n'),
    ],
)  # fmt: skip
def test_a_manifest_is_refused_by_file_key_and_rule(folder: Path, rule: str, text: str) -> None:
    with pytest.raises(ManifestError, match=f"(?s)^system.toml: .*{rule}"):
        compose(folder, text)


def test_files_that_are_not_there_are_named(folder: Path) -> None:
    with pytest.raises(ImageError, match=r"absent.elf"):
        compose(folder, PROGRAM + 'file = "absent.elf"\n')
    with pytest.raises(FileNotFoundError):
        load_manifest(folder / "absent.toml")


def test_a_program_that_is_no_executable_is_refused_before_anything_runs(folder: Path) -> None:
    (folder / "notes.elf").write_text("no program at all", encoding="utf-8")
    with pytest.raises(ImageError, match=r"notes.elf: not an ELF file"):
        compose(folder, PROGRAM + 'file = "notes.elf"\n')


def test_what_does_not_fit_is_refused(folder: Path) -> None:
    many = "".join(
        f'[[extension]]\nname = "e{i}"\nports = {[{"first": p} for p in range(60)]}\n' for i in range(9)
    )
    many = many.replace("{'first': ", "{first = ").replace("'", "")
    with pytest.raises(ManifestError, match="init takes 32 words"):
        Composer(write(folder, many), unsigned=[]).words()
    with pytest.raises(ManifestError, match="32 modules"):
        compose(folder, PROGRAM * 33)
    with pytest.raises(ManifestError, match="at most 1023 characters"):
        Composer(write(folder, PROGRAM)).compose(64 << 20, "x" * 1000)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 0x3FF), max_size=40), st.integers(0, 31), st.integers(0, 1_000_000))
def test_no_word_for_init_is_longer_than_the_kernel_takes(
    ports: list[int], priority: int, budget: int
) -> None:
    import msgspec

    from emulator.manifest import Manifest

    extension = {
        "name": "e" * 23,
        "priority": priority,
        "budget": budget,
        "ports": [{"first": p} for p in ports],
    }
    words = init_words(msgspec.convert({"extension": [extension]}, Manifest))
    assert words is not None
    assert max(map(len, words)) <= LONGEST_WORD
    joined = "".join(words[2:]).split(",")
    assert joined == [
        "e" * 23,
        f"priority={priority}",
        f"budget={budget}",
        *(f"ports={p:#x}+1" for p in ports),
    ]


@settings(max_examples=200, deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=200), st.lists(st.sampled_from(FULL.split("\n")), max_size=30).map("\n".join)
    )
)
def test_any_text_is_a_manifest_or_an_error_that_names_the_file(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_manifest(file)
    except ManifestError as error:
        if not str(error).startswith("any.toml: "):
            raise
