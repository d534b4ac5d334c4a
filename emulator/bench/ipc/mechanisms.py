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


_TAGGED: Final = {"options": "tagged=on", "what_if": "tagged-tlb"}
_SMALL: Final = "small=on"

MECHANISMS: Final = {
    mechanism.name: mechanism
    for mechanism in (
        Mechanism("syscall", "Bare system call", "floor", "syscall"),
        *_uls(),
        Mechanism("thread-yield", "Two threads, shared memory and yield", "thread", "thread-yield"),
        Mechanism("thread-pipe", "Two threads, pipe", "thread", "thread-pipe"),
        Mechanism("yield", "Two processes, shared memory and yield", "process", "yield", server=True),
        Mechanism("pipe", "Two processes, pipe", "process", "pipe"),
        Mechanism("signal", "Two processes, signals", "process", "signal", server=True),
        Mechanism(
            "small-yield", "Small spaces, shared memory and yield", "small", "yield", True, True, _SMALL
        ),
        Mechanism("small-signal", "Small spaces, signals", "small", "signal", True, True, _SMALL),
        Mechanism(
            "tagged-yield", "Tagged TLB (what-if), memory and yield", "tagged", "yield", True, **_TAGGED
        ),
        Mechanism("tagged-pipe", "Tagged TLB (what-if), pipe", "tagged", "pipe", **_TAGGED),
        Mechanism("tagged-signal", "Tagged TLB (what-if), signals", "tagged", "signal", True, **_TAGGED),
        Mechanism(
            "tagged-uls-cr3",
            "Tagged TLB (what-if), ULS, SYSEXIT, CR3",
            "tagged",
            "upcall",
            options="entry=sysexit flush=cr3 tagged=on",
            what_if="tagged-tlb",
        ),
    )
}
