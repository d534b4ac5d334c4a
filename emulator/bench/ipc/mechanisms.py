"""The ways to exchange a message, and how each is booted.

::

    kernel.elf OPTIONS
      sandbox                                   the extension `echo`
      bench_ipc MECHANISM runs=N ...            the client: has the working set, measures
      bench_ipc MECHANISM server                where the server is a process of its own from the start
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One curve of the experiment."""

    name: str
    title: str
    family: str
    guest: str  # as the guest program calls it
    server: bool = False  # the server is a boot module, too
    small: bool = False  # both processes live in small address spaces
    options: str = ""  # of the kernel
    what_if: str = ""  # of the profile

    @property
    def program(self) -> str:
        """The guest program."""
        return "bench_ipc_small" if self.small else "bench_ipc"


def _uls() -> list[Mechanism]:
    """Both ways in, both ways to invalidate, with and without global pages."""
    return [
        Mechanism(
            f"uls-{entry}-{flush}{'' if pages == 'on' else '-noglobal'}",
            f"ULS upcall, {entry.upper()}, {'CR3 reload' if flush == 'cr3' else 'INVLPG'}"
            + ("" if pages == "on" else ", no global pages"),
            "uls",
            "upcall",
            options=f"entry={entry} flush={flush} global={pages}",
        )
        for pages in ("on", "off")
        for flush in ("invlpg", "cr3")
        for entry in ("sysexit", "iret")
    ]


def _tagged(name: str, title: str, guest: str, options: str = "", *, server: bool = False) -> Mechanism:
    """The same on a CPU that never existed: a labelled what-if."""
    options = f"{options} tagged=on".strip()
    title = f"Tagged TLB (what-if), {title}"
    return Mechanism(f"tagged-{name}", title, "tagged", guest, server, options=options, what_if="tagged-tlb")


def _small(name: str, title: str, guest: str, *, server: bool = False) -> Mechanism:
    """Small address spaces by segmentation: the hardware-based comparator."""
    return Mechanism(f"small-{name}", f"Small spaces, {title}", "small", guest, server, True, "small=on")


_ALL: Final = (
    Mechanism("syscall", "Bare system call", "floor", "syscall"),
    *_uls(),
    Mechanism("thread-yield", "Two threads, shared memory and yield", "thread", "thread-yield"),
    Mechanism("thread-pipe", "Two threads, pipe", "thread", "thread-pipe"),
    Mechanism("yield", "Two processes, shared memory and yield", "process", "yield", server=True),
    Mechanism("pipe", "Two processes, pipe", "process", "pipe"),
    Mechanism("signal", "Two processes, signals", "process", "signal", server=True),
    _small("yield", "shared memory and yield", "yield", server=True),
    _small("signal", "signals", "signal", server=True),
    _tagged("yield", "shared memory and yield", "yield", server=True),
    _tagged("pipe", "pipe", "pipe"),
    _tagged("signal", "signals", "signal", server=True),
    _tagged("uls-cr3", "ULS upcall, SYSEXIT, CR3 reload", "upcall", "entry=sysexit flush=cr3"),
)
MECHANISMS: Final = {mechanism.name: mechanism for mechanism in _ALL}
