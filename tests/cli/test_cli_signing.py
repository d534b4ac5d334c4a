"""`ringtoll key`, `sign`, `verify`, and booting what a manifest composes."""

import json
import re
import sys
from pathlib import Path

import pytest

from emulator.bundle import load_bundle
from emulator.cli import main


class Shell:
    """A folder and commands in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capfd = monkeypatch, capfd

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["ringtoll", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return (ended.value.code, *self.capfd.readouterr())


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counter.o").write_bytes(load_bundle()["counter.o"])
    return Shell(monkeypatch, capfd)


def test_what_was_signed_verifies_until_it_is_altered(run: Shell) -> None:
    assert run("key", "new", "my.key")[0] == 0
    assert Path("my.key").stat().st_mode & 0o777 == 0o600
    assert run("sign", "counter.o", "--key", "my.key")[0] == 0
    status, out, err = run("verify", "counter.o", "--trust", "my.key.pub")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"counter\.o: signed by [0-9a-f]{16} \(my\.key\.pub\)\n", out)
    Path("counter.o").write_bytes(Path("counter.o").read_bytes() + b"\0")
    status, out, err = run("verify", "counter.o", "--trust", "my.key.pub")
    assert (status, out) == (120, "")
    assert err.startswith("ringtoll: counter.o: it was altered after it had been signed (rule: ")
    assert "sign it again" in err


def test_unsigned_and_wrongly_signed_files_have_status_120(run: Shell) -> None:
    run("key", "new", "my.key")
    run("key", "new", "other.key")
    status, _, err = run("verify", "counter.o", "--trust", "my.key.pub")
    assert (status, "counter.o: it is not signed" in err) == (120, True)
    run("sign", "counter.o", "--key", "other.key")
    status, out, err = run("verify", "counter.o", "--trust", "my.key.pub", "--json")
    assert status == 120
    told = json.loads(out)
    assert [f["refused"]["rule"] for f in told["files"]] == ["untrusted_key"]
    assert "which is not trusted" in err
    assert run("verify", "counter.o", "--trust", "my.key.pub", "--trust", "other.key.pub")[0] == 0


def test_json_of_key_and_sign(run: Shell) -> None:
    made = json.loads(run("key", "new", "my.key", "--json")[1])
    signed = json.loads(run("sign", "counter.o", "--key", "my.key", "--json")[1])
    assert made["key"] == signed["key"]
    assert signed["signed"][0]["signature"] == "counter.o.sig"


def test_a_key_is_never_overwritten(run: Shell) -> None:
    run("key", "new", "my.key")
    before = Path("my.key").read_bytes()
    status, _, err = run("key", "new", "my.key")
    assert (status, "not overwritten" in err) == (125, True)
    assert Path("my.key").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("sign", "counter.o", "--key", "counter.o"), 2, "not a private key"),
        (("sign", "counter.o", "--key", "absent"), 125, "absent: No such file"),
        (("sign", "absent.o", "--key", "my.key"), 120, "absent.o"),
        (("sign", "my.key", "--key", "my.key"), 120, "not an ELF file"),
        (("verify", "counter.o", "--trust", "my.key"), 2, "not a public key"),
        (("boot", "--manifest", "absent.toml"), 125, "absent.toml"),
        (("boot", "x.elf", "--manifest", "system.toml"), 2, "it says what is booted"),
        (("boot",), 2, "an image, or --manifest"),
        (("boot", "x.elf", "--trust", "my.key.pub"), 2, "they go with --manifest"),
        (("images", "x.elf", "--trust-unsigned", "a"), 2, "they go with a manifest"),
    ],
)
def test_what_cannot_be_done_is_said(run: Shell, words: tuple[str, ...], status: int, message: str) -> None:
    run("key", "new", "my.key")
    found, _, err = run(*words)
    assert (found, message in " ".join(err.split())) == (status, True), err


SYSTEM = """
[init]
seconds = 0.2
[[program]]
name = "hello"
arguments = ["{status}"]
[[extension]]
name = "counter"
file = "counter.o"
bind = [{{source = "timer", period = 2}}]
[authorisation]
trust = ["my.key.pub"]
"""


@pytest.mark.guest
def test_a_manifest_boots_without_a_shell_and_shows_who_answers(run: Shell) -> None:
    Path("system.toml").write_text(SYSTEM.format(status=0))
    run("key", "new", "my.key")
    status, out, err = run("boot", "--manifest", "system.toml")
    assert (status, out) == (120, "")
    assert "counter.o: it is not signed" in err
    run("sign", "counter.o", "--key", "my.key")
    status, out, err = run("boot", "--manifest", "system.toml", "--stats", "stats.json")
    assert status == 0, out
    assert re.search(r"^ringtoll: extension counter: signed by [0-9a-f]{16} \(my\.key\.pub\)$", err, re.M)
    assert re.search(r"^extension: counter, .* sealed$", out, re.M)
    assert "init: extension counter registered" in out
    assert out.index("init: extension counter registered") < out.index("hello from process 2")
    stats = json.loads(Path("stats.json").read_text())
    handled = {name.split(":")[-1] for name in stats["ledger"]["by_symbol"] if "counter:" in name}
    assert "handler" in handled
    assert stats["seconds"] >= 0.2


@pytest.mark.guest
def test_the_status_is_that_of_the_program_that_failed(run: Shell) -> None:
    Path("system.toml").write_text(SYSTEM.format(status=9))
    run("key", "new", "my.key")
    words = ("boot", "--manifest", "system.toml", "--trust-unsigned", "counter", "--serial", "log")
    status, _, err = run(*words)
    assert status == 9, err
    assert "extension counter: trusted by name" in err


@pytest.mark.guest
def test_images_tells_what_a_manifest_composes(run: Shell) -> None:
    Path("system.toml").write_text(SYSTEM.format(status=0))
    run("key", "new", "my.key")
    run("sign", "counter.o", "--key", "my.key")
    status, out, _ = run("images", "system.toml", "--json")
    assert status == 0
    told = json.loads(out)
    assert told["kind"] == "manifest"
    (extension,) = told["extensions"]
    assert extension["authorisation"]["kind"] == "signed"
    assert [m["string"].split()[0] for m in told["modules"]] == ["sandbox", "init", "hello"]
    status, out, _ = run("images", "system.toml")
    assert (status, "signed by" in " ".join(out.split())) == (0, True)


@pytest.mark.guest
def test_init_says_what_it_could_not_do_and_fails(run: Shell) -> None:
    """The kernel's command line decides, not the host: here it names another extension."""
    Path("system.toml").write_text('[[extension]]\nname = "counter"\nfile = "counter.o"\n')
    words = (
        "boot",
        "--manifest",
        "system.toml",
        "--trust-unsigned",
        "counter",
        "--append",
        "uls_trust=other",
    )
    status, out, _ = run(*words)
    assert "refused: neither sealed under uls_key nor named by uls_trust" in out
    assert "init: extension counter: register: error 2" in out
    assert status == 1
