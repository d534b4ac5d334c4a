"""Loading and authorisation as the guest sees them: real kernel code, on our machine and under QEMU."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.bench.uls import MEMORY_BYTES
from emulator.bundle import KERNEL, RUNTIME, load_bundle
from emulator.machine import Machine
from emulator.timing.profile import load_profile
from loader import Module, load_image
from loader.authorisation import Authorisation, Kind
from loader.sandbox import Extension, SandboxImage, link_sandbox
from loader.sandbox_seal import Sealer

pytestmark = pytest.mark.guest

SIGNED, TRUSTED = Authorisation(Kind.SIGNED, "test"), Authorisation(Kind.TRUSTED, "test")
PROFILES = ["pentium4-willamette-1400", "pentium3-katmai-550"]
QEMU = shutil.which("qemu-system-i386")


def sandbox(
    sealer: Sealer | None = None, *, builder: bytes | None = None, **by: Authorisation
) -> SandboxImage:
    bundle = load_bundle()
    given = {"builder": builder} if builder is not None else {}
    extensions = [
        Extension(name, given.get(name, bundle[f"{name}.o"]), authorisation=by.get(name, Authorisation()))
        for name in bundle.extensions
        if not by or name in by
    ]
    return link_sandbox(extensions, bundle[RUNTIME], bundle.libc, sealer)


def boot(elf: bytes, options: str, *programs: str, profile: str = PROFILES[0]) -> tuple[str, int, str]:
    bundle, said = load_bundle(), bytearray()
    modules = [Module("sandbox", elf)]
    modules += [Module(p, bundle[f"{p.split()[0]}.elf"]) for p in programs]
    image = load_image(
        bundle[KERNEL], name=KERNEL, memory_bytes=MEMORY_BYTES, append=options, modules=modules
    )
    machine = Machine(load_profile(profile), memory_bytes=MEMORY_BYTES, serial_out=said.extend)
    machine.load(image)
    outcome = machine.run(max_cycles=5_000_000_000)
    machine.ledger.check(machine.cycles)
    return said.decode(), outcome.status, outcome.kind


def judge(said: str, status: int, kind: str, at_least: int) -> None:
    assert re.findall(r"^FAIL .*$", said, re.M) == []
    assert len(re.findall(r"^PASS ", said, re.M)) >= at_least, said
    assert (kind, status) == ("exit", 0), said


@pytest.mark.parametrize("profile", PROFILES)
def test_extensions_are_unloaded_loaded_and_constructed(profile: str) -> None:
    judge(*boot(sandbox().elf, "", "test_loading", profile=profile), 41)


@pytest.mark.parametrize("form", ["executable", "pie"])
def test_executables_do_in_the_guest_what_the_object_does(tmp_path: Path, form: str) -> None:
    """`builder`, whose constructors, data and exported function the guest program checks."""
    pytest.importorskip("ziglang")
    guest, zig = Path(__file__).parents[2] / "guest", [sys.executable, "-m", "ziglang"]
    compiler = [*zig, "cc", "-target", "x86-freestanding-none", "-mcpu=i686", "-O2", "-ffreestanding"]
    compiler += [
        "-fno-stack-protector",
        "-nostdlib",
        f"-I{guest}/include",
        "-c",
        f"{guest}/extensions/builder.c",
    ]
    lld = [*zig, "ld.lld", "-m", "elf_i386", "-e", "handler", "o"]
    script = f"{guest}/extensions/static_pie.ld"
    if form == "pie":
        compiler.append("-fPIE")
        lld += ["-pie", "--no-dynamic-linker", "-z", "norelro", "-T", script]
    else:
        compiler.append("-fno-pic")
        lld.append("--emit-relocs")
    subprocess.run([*compiler, "-o", "o"], cwd=tmp_path, check=True)
    subprocess.run([*lld, "-o", "x"], cwd=tmp_path, check=True)
    judge(*boot(sandbox(builder=(tmp_path / "x").read_bytes()).elf, "", "test_loading"), 41)


def test_the_kernel_accepts_seals_and_names_and_tells_them_apart() -> None:
    image = sandbox(null=SIGNED, counter=TRUSTED)
    said = boot(image.elf, image.options, "test_loading null=2 counter=1")
    judge(*said, 8)
    assert re.search(r"^extension: null, .* sealed\r?$", said[0], re.M)
    assert re.search(r"^extension: counter, .* trusted by name\r?$", said[0], re.M)


def altered(image: SandboxImage, name: str) -> bytes:
    """One bit of that extension's code is not what was sealed."""
    extension = next(x for x in image.extensions if x.name == name)
    code = next(s.data for s in extension.segments if not s.writable)
    at = image.elf.index(code)
    out = bytearray(image.elf)
    out[at + len(code) - 1] ^= 1
    return bytes(out)


def test_an_altered_extension_is_refused_and_the_others_are_not() -> None:
    image = sandbox(null=SIGNED, counter=SIGNED)
    said = boot(altered(image, "null"), image.options, "test_loading null=refused counter=2")
    judge(*said, 7)
    assert "extension: null" in said[0]
    assert "refused: neither sealed under uls_key nor named by uls_trust" in said[0]


def test_an_extension_that_is_neither_sealed_nor_named_is_refused() -> None:
    image = sandbox(null=SIGNED, counter=Authorisation())
    judge(*boot(image.elf, image.options, "test_loading counter=refused null=2"), 7)
    trusted = sandbox(null=TRUSTED, counter=Authorisation())
    judge(*boot(trusted.elf, trusted.options, "test_loading counter=refused null=1"), 7)


def test_a_seal_under_another_key_is_none() -> None:
    image = sandbox(Sealer(hashlib.sha256(b"one").digest()), null=SIGNED)
    other = Sealer(hashlib.sha256(b"two").digest()).public.hex()
    said, status, kind = boot(image.elf, f"uls_key={other}", "test_loading")
    assert "the image is not sealed under uls_key" in said
    assert (kind, status) != ("exit", 0)


def test_the_table_of_extensions_is_sealed_as_well() -> None:
    """Else `counter` could be declared trusted, or another entry point given."""
    image = sandbox(null=SIGNED, counter=SIGNED)
    out = bytearray(image.elf)
    out[image.elf.index(b"counter\0")] ^= 1
    said, _, _ = boot(bytes(out), image.options, "test_loading")
    assert "the image is not sealed under uls_key" in said


@pytest.mark.skipif(QEMU is None, reason="no qemu-system-i386")
def test_qemu_agrees_that_the_seals_verify(tmp_path: Path) -> None:
    image, bundle = sandbox(null=SIGNED, counter=TRUSTED), load_bundle()
    for name, data in (("k", bundle[KERNEL]), ("s", image.elf), ("t", bundle["test_loading.elf"])):
        (tmp_path / name).write_bytes(data)
    modules = f"{tmp_path}/s sandbox,{tmp_path}/t test_loading null=2 counter=1"
    command = [QEMU or "", "-cpu", "pentium3", "-m", "64", "-kernel", f"{tmp_path}/k", "-initrd", modules]
    command += ["-append", image.options, "-no-reboot", "-display", "none", "-monitor", "none"]
    command += ["-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1, run.stdout
    judge(run.stdout, 0, "exit", 8)
