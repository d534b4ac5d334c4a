"""Drives a guest over its serial line: the same script on our machine and on QEMU.

::

    with boot(...) as line:                     RingtollLine | QemuLine
        line.expect("# ")                       run until the guest has said this
        said = line.command("ls", "# ")         type, run until the prompt, what came in between
        status = line.finish()                  run until the guest ends itself

On our machine a text that was waited for stops the run at the next block, so that what is typed then arrives
at a modelled time that follows from the guest alone: two runs of a script are equal, bit for bit. Limits are
modelled cycles there, seconds on QEMU.
"""

import os
import selectors
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from emulator.bench.errors import BenchError
from emulator.devices.ide import Disk
from emulator.machine import Feed, Machine, Outcome
from emulator.timing.profile import load_profile
from loader import load_image

QEMU: Final = "qemu-system-i386"
DEBUG_EXIT: Final = "isa-debug-exit,iobase=0xf4,iosize=4"
ASK_CURSOR: Final = "\x1b[6n"  # busybox's shell asks the terminal, which need not answer
TAIL: Final = 2000  # bytes of output that a failure shows


class Failed(BenchError):
    """The guest did not say what was waited for; the message holds what it said last."""


@dataclass(frozen=True, slots=True)
class Guest:
    """What both machines are given. `disks` in the order of IDE places, None where there is none."""

    kernel: Path
    memory_bytes: int
    append: str = ""
    initrd: Path | None = None
    disks: tuple[Path | None, ...] = ()


class SerialLine(ABC):
    """A guest that runs, seen from the other end of COM1."""

    def __init__(self) -> None:
        self.output = bytearray()
        self.seen = 0  # behind the last text that was waited for

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def send(self, text: str) -> None:
        """Type."""

    @abstractmethod
    def _run_until(self, found: Callable[[], bool], limit: float | None) -> str:
        """Run until it is found: "" or why it will not be."""

    @abstractmethod
    def finish(self, limit: float | None = None) -> int:
        """Run until the guest ends the run: its status."""

    def close(self) -> None:  # noqa: B027 - nothing to do is a fine default
        """End it, however far it is."""

    def expect(self, *texts: str, limit: float | None = None) -> str:
        """Run until one of the texts has come; what came since the last call, up to its end."""
        wanted = [text.encode() for text in texts]
        why = self._run_until(lambda: self._find(wanted) is not None, limit)
        end = self._find(wanted)
        if end is None:
            raise self._failed(f"no {' or '.join(map(repr, texts))}: {why}")
        said = self.output[self.seen : end].decode(errors="replace")
        self.seen = end
        return said

    def command(self, text: str, prompt: str, limit: float | None = None) -> str:
        """Type a line, wait for the prompt: what was said, without echo, prompt and carriage returns."""
        self.send(f"{text}\n")
        said = self.expect(prompt, limit=limit).replace("\r", "").replace(ASK_CURSOR, "")
        return said.removesuffix(prompt).partition("\n")[2]

    @property
    def text(self) -> str:
        """All that was said, without carriage returns."""
        return self.output.decode(errors="replace").replace("\r", "")

    def _find(self, wanted: list[bytes]) -> int | None:
        ends = [at + len(w) for w in wanted if (at := self.output.find(w, self.seen)) >= 0]
        return min(ends, default=None)

    def _failed(self, what: str) -> Failed:
        tail = bytes(self.output[max(self.seen, len(self.output) - TAIL) :])
        return Failed(f"{what}\n--- the guest's last words ---\n{tail.decode(errors='replace')}")


class RingtollLine(SerialLine):
    """Our machine, whole model on."""

    def __init__(
        self,
        guest: Guest,
        profile: str,
        *,
        verify: int = 0,
        limit: float = 60e9,
        accounting: bool = True,
        feed: Feed | None = None,
    ) -> None:
        """`limit`: modelled cycles that one step may take if it names no limit of its own."""
        super().__init__()
        self.limit = limit
        self.outcome: Outcome | None = None
        self._found: Callable[[], bool] = lambda: False
        disks = [Disk.open(path) if path is not None else None for path in guest.disks]
        self.machine = Machine(
            load_profile(profile),
            memory_bytes=guest.memory_bytes,
            serial_out=self._hear,
            verify=verify,
            disks=disks,
            accounting=accounting,
            feed=feed,
        )
        self.image = load_image(
            guest.kernel, memory_bytes=guest.memory_bytes, append=guest.append, initrd=guest.initrd
        )
        self.machine.load(self.image)
        self.machine.interactive = True  # a guest may wait for what is typed next

    def _hear(self, data: bytes) -> None:
        self.output += data
        if self._found():
            self.machine.request_stop()

    def send(self, text: str) -> None:
        """Type, at this modelled time."""
        self.machine.serial_input(text.encode())

    def _run(self, limit: float | None) -> Outcome:
        cycles = self.machine.cycles + int(limit if limit is not None else self.limit)
        self.outcome = self.machine.run(max_cycles=cycles)
        return self.outcome

    def _run_until(self, found: Callable[[], bool], limit: float | None) -> str:
        if found():
            return ""
        self._found = found
        try:
            outcome = self._run(limit)
        finally:
            self._found = lambda: False
        return outcome.message

    def finish(self, limit: float | None = None) -> int:
        """Run until the guest ends the run: its status. Raises: Failed when it does not."""
        outcome = self._run(limit)
        if outcome.kind != "exit":
            raise self._failed(f"the guest did not end: {outcome.message}")
        return outcome.status

    def close(self) -> None:
        """Keep what a later run need not decode."""
        self.machine.keep_plans()


class QemuLine(SerialLine):
    """QEMU with the same memory, command line and disks; time goes by instructions, idle time is skipped."""

    def __init__(
        self, guest: Guest, *, cpu: str = "pentium3", limit: float = 300, icount: bool = True
    ) -> None:
        """`limit`: host seconds that one step may take if it names no limit of its own."""
        super().__init__()
        self.limit = limit
        words = [QEMU, "-M", "pc", "-cpu", cpu, "-m", f"{guest.memory_bytes >> 20}M", "-accel", "tcg"]
        words += ["-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none", "-no-reboot"]
        words += ["-device", DEBUG_EXIT, "-kernel", str(guest.kernel), "-append", guest.append]
        words += ["-icount", "shift=0,sleep=off"] if icount else []
        words += ["-initrd", str(guest.initrd)] if guest.initrd is not None else []
        for place, path in enumerate(guest.disks):
            if path is not None:  # writes are dropped, as ours are
                words += ["-drive", f"file={path},if=ide,index={place},format=raw,snapshot=on"]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0
        )

    def close(self) -> None:
        """Ends it; only then does its CPU time count among that of this process's children."""
        self.process.kill()
        self.process.communicate()
        self._errors.close()

    def send(self, text: str) -> None:
        """Type."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())

    def _run_until(self, found: Callable[[], bool], limit: float | None) -> str:
        assert self.process.stdout is not None
        deadline = time.monotonic() + (limit if limit is not None else self.limit)
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not found():
                left = deadline - time.monotonic()
                if left <= 0:
                    return "time is over"
                if selector.select(left):
                    data = os.read(self.process.stdout.fileno(), 1 << 16)
                    if not data:
                        return f"QEMU ended with status {self.process.wait()}: {self._said()}"
                    self.output += data
        return ""

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()

    def finish(self, limit: float | None = None) -> int:
        """The status as ours: the debug exit port's byte, or 0 when the guest turned the machine off."""
        why = self._run_until(lambda: False, limit)
        status = self.process.poll()
        if status is None:
            raise self._failed(f"the guest did not end: {why}")
        return status >> 1
