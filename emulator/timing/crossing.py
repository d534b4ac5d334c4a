"""One access over a page boundary: it touches both pages."""

from typing import Any

from emulator.compiled import Word, compiled, load_u32
from emulator.mmu.tlb import DATA
from emulator.mmu.walk import permitted, table_frame
from emulator.timing.access import access
from emulator.timing.fill import translation


@compiled
def holds_table(s: Any, physical: Word) -> Any:
    """Does this physical address, -1 if there is none, lie in a frame with a page table?"""
    return 0 <= physical < s.ram_size and table_frame(s, physical >> 12)


@compiled
def crossing(s: Any, linear: Word, write: bool) -> None:
    """An access over a page boundary. The hook names its first page, before the engine looks at the second.

    If that one will fault, nothing has been accessed: the instruction comes again.
    """
    second = ((linear & 0xFFFFF000) + 0x1000) & 0xFFFFFFFF
    found = translation(s, DATA, second >> 12)
    if found < 0 or not permitted(s, found >> 20, write, load_u32(s.at_hflags) & 3 == 3):
        if write:
            s.writes -= 1
        else:
            s.reads -= 1
        return
    first = access(s, linear, write)
    last = access(s, second, write)
    s.last_data_line = -1
    if write and (holds_table(s, first) or holds_table(s, last)):
        s.table_written = 1
