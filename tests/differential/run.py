"""Runs an image of fragments on Ringtoll and on qemu-system-i386; gives the records of each fragment."""

import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from emulator.machine import Machine, Outcome
from loader import load_image
from tests.cpu.support import P4, profile
from tests.differential import layout as at
from tests.differential.handlers import RECORD

# what the profile's processor has, as far as it changes what a system program sees
CPU = "pentium3,family=15,model=0,stepping=10,+sse2,+clflush,-pae"
Records = dict[int, list[tuple[int, ...]]]


def records(log: bytes) -> Records:
    """The records of a log by fragment."""
    size = 4 * RECORD
    result: Records = {}
    for start in range(0, len(log) - len(log) % size, size):
        words = struct.unpack_from(f"<{RECORD}I", log, start)
        result.setdefault(words[0] & 0xFFFFFF, []).append(words)
    return result


def ringtoll(image: bytes, **options: Any) -> tuple[Records, Outcome]:
    """With the whole model on."""
    machine = Machine(profile(P4), memory_bytes=at.RAM, **options)
    machine.load(load_image(image, memory_bytes=at.RAM, format="multiboot"))
    outcome = machine.run(max_cycles=60_000_000)
    end = struct.unpack("<I", machine.ram.read(at.LOG_POINTER, 4))[0]
    log = machine.ram.read(at.LOG, max(0, min(end, at.LOG_END) - at.LOG))
    if machine.state.accounting:
        machine.ledger.check(machine.cycles)
    return records(log), outcome


def qemu(image: bytes, seconds: int = 8) -> tuple[Records, int]:
    """Gives QEMU's exit status too; 0x63 is the regular end."""
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder, "image"), Path(folder, "out")
        file.write_bytes(image)
        command = f"qemu-system-i386 -M pc -cpu {CPU} -accel tcg -display none -no-reboot -m {at.RAM >> 20}"
        command += f" -serial none -monitor none -net none -kernel {file} -chardev file,id=c,path={out}"
        command += " -device isa-debugcon,iobase=0xe9,chardev=c -device isa-debug-exit,iobase=0xf4,iosize=4"
        try:
            status = subprocess.run(
                command.split(), timeout=seconds, check=False, capture_output=True
            ).returncode
        except subprocess.TimeoutExpired:
            status = -1
        return records(out.read_bytes() if out.exists() else b""), status


END_STATUS = 0x31 << 1 | 1
