"""Boots of kernels that the user has, to a text on the console: on our machine and, if there is one, on QEMU.

    ours:      million instructions a second = guest instructions / host CPU seconds, whole model on,
               planned mode, with the plans that a boot before it (the row NAME_cold) has kept
    QEMU:      host CPU seconds for the same boot (-icount shift=0,sleep=off: time goes by instructions,
               as here)
    ratio     = QEMU's seconds / ours
    reference = seconds of reference mode / ours

No kernel is part of Ringtoll. QEMU's CPU time includes its start and its firmware, some tenths of a second.
"""

import contextlib
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from emulator.bench.errors import BenchError
from emulator.bench.host_run import FEED, REFERENCE
from emulator.bench.result import Row
from emulator.bench.serial_line import QEMU, Guest, QemuLine, RingtollLine, SerialLine
from emulator.cpu.msr import FEATURE_APIC
from emulator.cpu.plan_cache import PLACE
from emulator.exitstatus import ExitStatus
from emulator.machine import Feed
from emulator.timing.profile import load_profile

UNIT: Final = "million instructions/s"
LINUX_MEMORY: Final = 128 << 20
LINUX_LINE: Final = "console=ttyS0 nokaslr"
LINUX_UNTIL: Final = "PCI: Using configuration type 1"  # Debian's i686 kernel: 0.6 s of QEMU's time
XV6_MEMORY: Final = 256 << 20
XV6_UNTIL: Final = ("init: starting sh", "$ ")
XV6_KERNELS: Final = {
    "xv6": ("xv6 from its disk, to the shell", "kernel", "fs.img"),
    "xv6memfs": ("xv6 from memory, to the shell", "kernelmemfs"),
}
LIMIT_CYCLES: Final = 60e9
LIMIT_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Boot:
    """A row: what boots, and the texts that the console must say, one after the other."""

    name: str
    title: str
    guest: Guest
    until: tuple[str, ...]
    peer_cpu: str = "pentium3"
    needs: int = 0  # bits of CPUID's EDX


def linux_boot(kernel: Path, initrd: Path | None, until: str = LINUX_UNTIL) -> Boot:
    """A Linux bzImage, to a text."""
    guest = Guest(kernel, LINUX_MEMORY, LINUX_LINE, initrd)
    return Boot("linux", f"Linux to {until.strip()!r}", guest, (until,))


def xv6_boots(folder: Path) -> list[Boot]:
    """Whichever of kernel (with fs.img) and kernelmemfs is in a folder where xv6 was built.

    Raises: BenchError if it has neither.
    """
    boots = []
    for name, (title, *files) in XV6_KERNELS.items():
        paths = [folder / file for file in files]
        if all(path.is_file() for path in paths):
            disks = (None, *paths[1:]) if paths[1:] else ()  # its file system is on the primary slave
            guest = Guest(paths[0], XV6_MEMORY, disks=disks)
            boots.append(Boot(name, title, guest, XV6_UNTIL, peer_cpu="qemu32", needs=FEATURE_APIC))
    if not boots:
        raise BenchError(f"{folder} holds neither xv6's kernel and fs.img nor kernelmemfs", ExitStatus.USAGE)
    return boots


def _run(line: SerialLine, until: Sequence[str], limit: float) -> None:
    for text in until:
        line.expect(text, limit=limit)


def _ours(boot: Boot, profile: str, feed: Feed) -> tuple[float, int]:
    with RingtollLine(boot.guest, profile, feed=feed) as line:
        start = time.process_time()
        _run(line, boot.until, LIMIT_CYCLES)
        return time.process_time() - start, line.machine.instructions


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _theirs(boot: Boot) -> float:
    before = _children()
    with QemuLine(boot.guest, cpu=boot.peer_cpu) as line:
        _run(line, boot.until, LIMIT_SECONDS)
    return _children() - before


def qemu_installed() -> bool:
    """Is there a QEMU to compare with?"""
    return shutil.which(QEMU) is not None


def supported(boot: Boot, profile: str) -> bool:
    """Has the profile's processor what the guest cannot do without?"""
    return not boot.needs & ~int(load_profile(profile).cpuid.feature_edx.value)


@contextlib.contextmanager
def _no_plans_yet() -> Iterator[None]:
    """Plans of earlier runs are out of sight, and those of now are kept in a folder of their own."""
    before = os.environ.get(PLACE)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[PLACE] = folder
        try:
            yield
        finally:
            del os.environ[PLACE]
            if before is not None:
                os.environ[PLACE] = before


def _row(name: str, title: str, seconds: float, instructions: int) -> Row:
    speed = round(instructions / seconds / 1e6, 1)
    seconds = round(seconds, 2)
    return Row(name=name, title=title, unit=UNIT, min=speed, median=speed, max=speed, runs=1, seconds=seconds)


def measure_boot(boot: Boot, profile: str) -> list[Row]:
    """A boot with the plans of the one before it, in reference mode and on QEMU; and that first one.

    Raises: BenchError when a guest does not say what it should.
    """
    with _no_plans_yet():
        cold = _row(f"{boot.name}_cold", f"{boot.title}, no plans kept", *_ours(boot, profile, FEED))
        seconds, instructions = _ours(boot, profile, FEED)
    reference, _ = _ours(boot, profile, REFERENCE)
    row = msgspec.structs.replace(
        _row(boot.name, boot.title, seconds, instructions), reference=round(reference / seconds, 3)
    )
    if qemu_installed():
        peer = _theirs(boot)
        beside = round(instructions / peer / 1e6, 1)
        row = msgspec.structs.replace(row, bare=beside, ratio=round(peer / seconds, 3))
    return [row, cold]
