"""Debian's i686 kernel and static busybox, fetched when a test runs, and an initramfs made of them.

::

    deb.debian.org --apt-get--> FOLDER/*.deb --dpkg -x--> FOLDER/vmlinuz, busybox/, memtest86+
                                                               |
                                                  newc archive v
                                                  FOLDER/initramfs.cpio: /init, busybox, applets

    python tests/guests/debian.py [--options] [FOLDER]

does the same by hand; tests call fetch() or the fixture below.

The folder is $RINGTOLL_GUESTS, or ringtoll-guests in the user's cache; what is there is not fetched again.
With run="COMMANDS" on the kernel's command line the initramfs runs these and turns the machine off.
Nothing of it is part of the repository. apt-get checks signatures with Debian's own keyring, keeps
its index in the folder, and neither reads nor changes the system's package lists: the architecture
i386 need not be added. A host without apt-get, Debian's keyring or a network raises `Unavailable`.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MIRROR = os.environ.get("RINGTOLL_DEBIAN_MIRROR", "http://deb.debian.org/debian")
SUITE = "bookworm"  # the last release with an i686 kernel
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SECONDS = 600

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
echo "initramfs: ready"
if [ -n "$run" ]; then eval "$run"; poweroff -f; fi
export PS1='# '
exec setsid sh -c 'exec sh -i </dev/ttyS0 >/dev/ttyS0 2>&1'
"""
APPLETS = (
    "awk cat chmod cp cut date dd df dmesg echo env expr false find free grep head hexdump kill ln ls md5sum "
    "mkdir mknod mount mv od poweroff printf ps reboot rm sed seq setsid sh sha256sum sleep sort stty sync "
    "tail tee time top touch tr true umount uname uniq uptime vi wc yes"
)


class Unavailable(Exception):
    """The packages cannot be had here: no network, or not a Debian host."""


@dataclass(frozen=True, slots=True)
class Guests:
    """Paths of what was fetched and made."""

    kernel: Path
    busybox: Path
    memtest: Path
    initramfs: Path


def folder() -> Path:
    """Where guests are kept between runs."""
    if given := os.environ.get("RINGTOLL_GUESTS"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ringtoll-guests"


def fetch(where: Path | None = None) -> Guests:
    """Fetch and unpack what is not there yet; raises `Unavailable`."""
    where = where or folder()
    guests = Guests(
        where / "vmlinuz",
        where / "busybox/bin/busybox",
        where / "memtest86+ia32.bin",
        where / "initramfs.cpio",
    )
    where.mkdir(parents=True, exist_ok=True)
    with (where / "lock").open("w") as lock:  # tests run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(path.exists() for path in (guests.kernel, guests.busybox, guests.memtest)):
            _fetch_packages(where, guests)
        archive = initramfs(guests.busybox.read_bytes())
        if not guests.initramfs.exists() or guests.initramfs.read_bytes() != archive:
            guests.initramfs.write_bytes(archive)
    return guests


def _fetch_packages(where: Path, guests: Guests) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg") or not KEYRING.exists():
        raise Unavailable("Debian's packages need apt-get, dpkg and Debian's keyring")
    apt = _Apt(where)
    apt.update()
    kernel = apt.unpack(apt.dependency("linux-image-686", "linux-image-"), "linux")
    next(kernel.glob("boot/vmlinuz-*")).replace(guests.kernel)
    memtest = apt.unpack("memtest86+", "memtest")
    (memtest / "boot/memtest86+ia32.bin").replace(guests.memtest)
    if not (apt.unpack("busybox-static", "busybox") / "bin/busybox").exists():
        raise Unavailable("Debian's busybox-static holds no bin/busybox")
    for rest in ("linux", "memtest", "apt"):
        shutil.rmtree(where / rest, ignore_errors=True)


class _Apt:
    """apt-get for i386 with lists, cache and sources of its own."""

    def __init__(self, where: Path) -> None:
        self.where = where
        root = where / "apt"
        for name in ("lists/partial", "cache/archives/partial", "state"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "sources.list").write_text(f"deb [arch=i386 signed-by={KEYRING}] {MIRROR} {SUITE} main\n")
        settings = {
            "APT::Architecture": "i386",
            "APT::Architectures": "i386",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Dir::State": f"{root}/state",
            "Dir::State::Lists": f"{root}/lists",
            "Dir::State::Status": f"{root}/state/status",
            "Dir::Cache": f"{root}/cache",
            "Dir::Etc::SourceList": f"{root}/sources.list",
            "Dir::Etc::SourceParts": "-",
        }
        (root / "state/status").touch()
        self.options = [f"-o{key}={value}" for key, value in settings.items()]

    def _run(self, *words: str) -> str:
        try:
            done = subprocess.run(
                words, cwd=self.where, capture_output=True, text=True, check=True, timeout=SECONDS
            )
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"{words[0]} {words[-1]}: {error.stderr.strip()}") from error
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{words[0]} {words[-1]}: not done after {SECONDS} s") from error
        return done.stdout

    def update(self) -> None:
        self._run("apt-get", *self.options, "-q", "--error-on=any", "update")

    def dependency(self, package: str, prefix: str) -> str:
        """The package that a meta-package stands for."""
        lines = self._run("apt-cache", *self.options, "depends", package).splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.strip().startswith("Depends:")]
        found = next((name for name in names if name.startswith(prefix)), None)
        if found is None:
            raise Unavailable(f"{package} depends on no {prefix}*")
        return found

    def unpack(self, package: str, target: str) -> Path:
        """Fetch one package and unpack it into a folder."""
        self._run("apt-get", *self.options, "-q", "download", package)
        archive = next(self.where.glob(f"{package}_*_i386.deb"))
        folder = self.where / target
        shutil.rmtree(folder, ignore_errors=True)
        self._run("dpkg", "-x", str(archive), str(folder))
        archive.unlink()
        return folder


def initramfs(busybox: bytes, init: str = INIT) -> bytes:
    """An initramfs whose bytes depend on nothing but the arguments (no times, no owners)."""
    return b"".join(_archive(busybox, init))


def _archive(busybox: bytes, init: str) -> Iterator[bytes]:
    entries: list[tuple[str, int, bytes, tuple[int, int]]] = [
        (name, 0o040755, b"", (0, 0)) for name in ("bin", "dev", "proc", "sys", "tmp", "root")
    ]
    devices = {"console": (5, 1), "null": (1, 3), "zero": (1, 5), "tty": (5, 0), "ttyS0": (4, 64)}
    entries += [(f"dev/{name}", 0o020666, b"", numbers) for name, numbers in devices.items()]
    entries += [
        ("init", 0o100755, init.encode(), (0, 0)),
        ("bin/busybox", 0o100755, busybox, (0, 0)),
        *((f"bin/{name}", 0o120777, b"busybox", (0, 0)) for name in APPLETS.split()),
    ]
    for number, (name, mode, data, device) in enumerate(entries, 1):
        yield _entry(name, mode, data, device, number)
    yield _entry("TRAILER!!!", 0, b"", (0, 0), 0)


def _entry(name: str, mode: int, data: bytes, device: tuple[int, int], number: int) -> bytes:
    """One member in the newc format (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    path = name.encode() + b"\0"
    # ino, mode, uid, gid, nlink, mtime, filesize, major and minor, device's major and minor, namesize, check
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return b"".join(_padded(part) for part in (header, data))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _digests(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        yield f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}"


def main(arguments: list[str]) -> None:
    """Print digests of what was fetched, or with --options how `ringtoll bench host` is told of it."""
    options = arguments[:1] == ["--options"]
    folders = arguments[1:] if options else arguments
    try:
        got = fetch(Path(folders[0]).absolute() if folders else None)
    except Unavailable as error:
        sys.exit(f"debian.py: no Linux kernel: {error}")
    if options:
        print(f"--linux {shlex.quote(str(got.kernel))} --initrd {shlex.quote(str(got.initramfs))}")
    else:
        print("\n".join(_digests((got.kernel, got.busybox, got.memtest, got.initramfs))))


if __name__ == "__main__":
    main(sys.argv[1:])
