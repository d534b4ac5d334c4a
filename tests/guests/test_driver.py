"""The driver itself, with a guest of ours that asks, echoes a line, and ends with a status."""

import shutil
from pathlib import Path

import pytest
from driver import Failed, Guest, QemuLine, RingtollLine, SerialLine
from keystone import KS_ARCH_X86, KS_MODE_32, Ks

pytestmark = pytest.mark.guest

LOAD = 0x100000
HEADER = 32  # magic, flags with address fields, checksum, addresses
ECHO = """
    mov esp, 0x90000
again: mov al, 0x3e; call say
next: call hear; call say
    cmp al, 10; je again
    cmp al, 0x71; jne next
    mov al, 5; out 0xf4, al; cli; hlt
say: mov bl, al; mov dx, 0x3fd
wait: in al, dx; test al, 0x20; jz wait
    mov al, bl; mov dx, 0x3f8; out dx, al; ret
hear: mov dx, 0x3fd
idle: in al, dx; test al, 1; jz idle
    mov dx, 0x3f8; in al, dx; ret
"""
SET_UP = "mov dx, 0x3fb; mov al, 0x83; out dx, al; mov dx, 0x3f8; mov al, 1; out dx, al; " + (
    "inc dx; xor al, al; out dx, al; mov dx, 0x3fb; mov al, 3; out dx, al; "
)


@pytest.fixture
def echo(tmp_path: Path) -> Guest:
    code = bytes(Ks(KS_ARCH_X86, KS_MODE_32).asm(SET_UP + ECHO, LOAD + HEADER, as_bytes=True)[0])
    magic, flags = 0x1BADB002, 0x10000
    words = (magic, flags, -(magic + flags) & 0xFFFFFFFF, LOAD, LOAD, 0, 0, LOAD + HEADER)
    kernel = tmp_path / "echo"
    kernel.write_bytes(b"".join(word.to_bytes(4, "little") for word in words) + code)
    return Guest(kernel, 16 << 20)


def talk(line: SerialLine) -> tuple[str, str, int, str]:
    line.expect(">")
    first, second = line.command("one", ">"), line.command("a longer line than a FIFO holds", ">")
    line.send("q")
    return first, second, line.finish(), line.text


SAID = ">one\n>a longer line than a FIFO holds\n>q"


def test_what_is_typed_arrives_and_is_answered_at_the_same_cycle_each_time(echo: Guest) -> None:
    cycles = set()
    for _ in range(2):
        with RingtollLine(echo, "pentium4-willamette-1400") as line:
            assert talk(line) == ("", "", 5, SAID)
            cycles.add(line.machine.cycles)
    assert len(cycles) == 1


@pytest.mark.skipif(shutil.which("qemu-system-i386") is None, reason="there is no qemu-system-i386")
@pytest.mark.parametrize("icount", [True, False])
def test_the_same_script_runs_on_qemu(echo: Guest, icount: bool) -> None:
    with QemuLine(echo, icount=icount, limit=60) as line:
        assert talk(line) == ("", "", 5, SAID)


def test_a_text_that_does_not_come_fails_with_the_reason_and_the_last_words(echo: Guest) -> None:
    with (
        RingtollLine(echo, "pentium4-willamette-1400") as line,
        pytest.raises(Failed, match=r"no 'login:': cycle limit[^>]*>") as failed,
    ):
        line.expect("login:", limit=5e6)
    assert "last words" in str(failed.value)


def test_a_guest_that_ends_early_is_told_from_one_that_is_slow(echo: Guest) -> None:
    with RingtollLine(echo, "pentium4-willamette-1400") as line:
        line.send("q")
        with pytest.raises(Failed, match="the guest ended with status 5"):
            line.expect("more")
