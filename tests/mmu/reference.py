"""The two-level page walk of IA-32 and a TLB, in plain Python, straight from SDM vol. 3A, chapter 3."""

import struct
from dataclasses import dataclass
from typing import Literal

P, W, U, A, D, BIG, G = 1, 2, 4, 0x20, 0x40, 0x80, 0x100


@dataclass(frozen=True)
class Control:
    """The control bits that a walk looks at."""

    cr3: int
    pse: bool
    pge: bool
    wp: bool


@dataclass(frozen=True)
class Page:
    """A translation found by a walk."""

    frame: int
    write: bool
    user: bool
    dirty: bool
    big: bool
    globally: bool
    entries: tuple[int, ...]  # addresses of the entries used, the mapping one last


class Fault(Exception):
    """A page fault with its error code."""

    def __init__(self, error: int) -> None:
        super().__init__(error)
        self.error = error


def word(ram: bytearray, at: int) -> int:
    return int(struct.unpack_from("<I", ram, at)[0])


def walk(ram: bytearray, control: Control, page: int) -> Page | None:
    """Translate a page number; None if an entry isn't present or lies outside RAM."""
    at = control.cr3 // 4096 * 4096 + 4 * (page // 1024)
    if at + 4 > len(ram) or not word(ram, at) & P:
        return None
    directory = word(ram, at)
    if directory & BIG and control.pse:
        return Page(
            frame=directory // 0x400000 * 1024 + page % 1024,
            write=bool(directory & W),
            user=bool(directory & U),
            dirty=bool(directory & D),
            big=True,
            globally=control.pge and bool(directory & G),
            entries=(at,),
        )
    second = directory // 4096 * 4096 + 4 * (page % 1024)
    if second + 4 > len(ram) or not word(ram, second) & P:
        return None
    table = word(ram, second)
    return Page(
        frame=table // 4096,
        write=bool(directory & table & W),
        user=bool(directory & table & U),
        dirty=bool(table & D),
        big=False,
        globally=control.pge and bool(table & G),
        entries=(at, second),
    )


def allows(control: Control, page: Page, write: bool, user: bool) -> bool:
    """SDM vol. 3A table 4-2."""
    if user:
        return page.user and (page.write or not write)
    return page.write or not write or not control.wp


def access(ram: bytearray, control: Control, linear: int, write: bool, user: bool) -> int:
    """An access without any TLB: its physical address, A and D set; or Fault, and nothing changed."""
    error = (2 if write else 0) | (4 if user else 0)
    page = walk(ram, control, linear >> 12)
    if page is None:
        raise Fault(error)
    if not allows(control, page, write, user):
        raise Fault(error | 1)
    mark(ram, page, write)
    return page.frame << 12 | linear & 0xFFF


def mark(ram: bytearray, page: Page, write: bool) -> None:
    """A in every entry used, D in the one that maps."""
    for at in page.entries:
        bits = A | (D if write and at == page.entries[-1] else 0)
        struct.pack_into("<I", ram, at, word(ram, at) | bits)


Why = Literal["cold", "capacity", "cr3", "invlpg", "other"]
WHY: tuple[Why, ...] = ("cold", "capacity", "cr3", "invlpg", "other")


class Tlb:
    """One translation buffer: a list per set, oldest first. Keys: ("small", page), ("big", page // 1024)."""

    def __init__(self, entries: int, ways: int, fifo: bool) -> None:
        self.ways, self.fifo = ways, fifo
        self.sets: list[list[tuple[str, int]]] = [[] for _ in range(entries // ways)]
        self.content: dict[tuple[str, int], tuple[int, bool]] = {}  # key -> frame of its first page, global

    def set_of(self, key: tuple[str, int]) -> list[tuple[str, int]]:
        return self.sets[key[1] % len(self.sets)]

    def hit(self, key: tuple[str, int]) -> bool:
        if key not in self.content:
            return False
        if not self.fifo:
            self.set_of(key).remove(key)
            self.set_of(key).append(key)
        return True

    def insert(self, key: tuple[str, int], frame: int, globally: bool) -> tuple[str, int] | None:
        """The key that had to go, if any."""
        row = self.set_of(key)
        gone = row.pop(0) if len(row) == self.ways else None
        if gone is not None:
            del self.content[gone]
        row.append(key)
        self.content[key] = frame, globally
        return gone

    def drop(self, key: tuple[str, int]) -> bool:
        if self.content.pop(key, None) is None:
            return False
        self.set_of(key).remove(key)
        return True
