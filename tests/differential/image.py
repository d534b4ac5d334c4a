"""One multiboot image of many fragments."""

import struct
from collections.abc import Callable, Sequence

from tests.cpu.support import INTERRUPT32, TASK, gate
from tests.differential import driver, handlers
from tests.differential import layout as at
from tests.differential.fragment import Fragment, assemble

Maker = Callable[[int, int], Fragment]  # (seed, base) -> fragment


def make(seeds: Sequence[int], maker: Maker) -> tuple[bytes, list[Fragment]]:
    """The image that runs the fragments of these seeds, and the fragments."""
    memory = bytearray(at.LOG - at.HEADER)
    place = at.FRAGMENTS
    fragments, table = [], []
    for seed in seeds:
        fragment = maker(seed, place)
        code, header = fragment.build()
        _put(memory, place, code)
        table.append(header)
        fragments.append(fragment)
        place += (len(code) + 15) & ~15
    assert len(table) <= at.MOST_FRAGMENTS
    assert place <= at.LOG, f"{len(seeds)} fragments do not fit"
    for address, data in (handlers.protected() | driver.pieces()).items():
        _put(memory, address, data)
    live = _tables()
    _put(memory, at.LIVE, live)
    _put(memory, at.PRISTINE, live)
    _put(memory, at.FRAGMENT_TABLE, struct.pack(f"<{len(table)}I", *table))
    _put(memory, at.TOTAL, struct.pack("<I", len(table)))
    _put(memory, at.LOG_POINTER, struct.pack("<I", at.LOG))
    _put(memory, at.FLUSHED, struct.pack("<I", at.LOG))
    pointers = struct.pack("<HIHHI", at.GDT_LIMIT, at.GDT, 0, 8 * at.LAST_VECTOR + 7, at.IDT)
    _put(memory, driver.POINTER, pointers)
    low = b"".join(
        struct.pack("<II", address, len(data)) + data for address, data in sorted(handlers.real().items())
    )
    start = _low_copier(memory, low)
    header = (0x1BADB002, 0x10000, (-0x1BADB002 - 0x10000) & at.ALL, at.HEADER, at.HEADER, 0, 0, start)
    _put(memory, at.HEADER, struct.pack("<8I", *header))
    return bytes(memory), fragments


def _put(memory: bytearray, address: int, data: bytes) -> None:
    start = address - at.HEADER
    assert not any(memory[start : start + len(data)]), f"overlap at {address:#x}"
    memory[start : start + len(data)] = data


LOW_COPY = at.HANDLERS + 0x4000


def _low_copier(memory: bytearray, low: bytes) -> int:
    """A multiboot image begins at 1 MB: the real-mode part is copied down. Gives the entry."""
    source = f"""
        cld
        xor eax, eax; xor edi, edi; mov ecx, 0x4000; rep stosd
        mov esi, {LOW_COPY + 0x100:#x}
    next:
        lodsd; mov edi, eax; lodsd; mov ecx, eax; rep movsb
        cmp esi, {LOW_COPY + 0x100 + len(low):#x}; jb next
        jmp {driver.START:#x}
    """
    _put(memory, LOW_COPY, assemble(source, LOW_COPY))
    _put(memory, LOW_COPY + 0x100, low)
    return LOW_COPY


def _tables() -> bytes:
    live = bytearray(at.LIVE_SIZE)

    def put(address: int, data: bytes) -> None:
        live[address - at.LIVE : address - at.LIVE + len(data)] = data

    descriptors = at.SEGMENTS | {
        at.GATE32: gate(at.CODE0, 0, 12, 3, words=2),
        at.GATE16: gate(at.CODE0, 0, 4, 3, words=2),
        at.GATE_TO_1: gate(at.CODE1 & ~3, 0, 12, 3, words=1),
        at.GATE_ABSENT: gate(at.CODE0, 0, 12, 3, present=False),
        at.TASK_GATE: gate(at.TSS_B_SELECTOR, 0, TASK, 3),
        at.GATE_CONFORMING: gate(at.CONFORMING, 0, 12, 3),
        at.GATE_DPL0: gate(at.CODE0, 0, 12, 0),
        at.GATE_BAD: gate(at.DATA0, 0, 12, 3),
    }
    for selector, value in descriptors.items():
        put(at.GDT + (selector & ~7), struct.pack("<Q", value))
    for selector, value in at.LDT_SEGMENTS.items():
        put(at.LDT + (selector & ~7), struct.pack("<Q", value))
    for vector in range(at.LAST_VECTOR + 1):
        value = gate(at.CODE0, handlers.handler_of(vector), INTERRUPT32, 3 if vector in _OPEN else 0)
        put(at.IDT + 8 * vector, struct.pack("<Q", value))
    put(at.IDT + 8 * 8, struct.pack("<Q", gate(at.TSS_DF_SELECTOR, 0, TASK)))
    rings = (at.STACK0, at.DATA0, at.STACK1, at.DATA1, at.STACK2, at.DATA2)
    put(at.TSS, struct.pack("<I6I", 0, *rings) + struct.pack("<I", at.DIRECTORY))
    put(at.TSS + 0x60, struct.pack("<IHH", at.LDT_SELECTOR, 0, 0x68))
    put(at.TSS + 0x68, bytes(0x1C) + b"\xf0\0\0" + b"\xff" * 9)  # ports 0xe4 to 0xe7 and 0xf8.. are closed
    put(at.TSS_DF, _task(handlers.DF_ENTRY, at.STACK_DF))
    put(at.TSS_B, _task(handlers.TASK_B, at.STACK_B))
    words = [0, *(word for ring in range(3) for word in (0x7000 + 0x200 * ring, rings[2 * ring + 1]))]
    words += [handlers.TASK_16, 2, *range(4), at.STACK16 - at.STACKS, *range(3)]
    words += [at.DATA0, at.CODE0, at.DATA16, at.DATA0, at.LDT_SELECTOR]
    put(at.TSS16, struct.pack("<22H", *words))
    put(at.DIRECTORY, struct.pack("<3I", at.TABLE_LOW | 7, at.TABLE_TEST | 7, at.BIG_PAGE | 0x87))
    for page in range(1024):
        put(at.TABLE_LOW + 4 * page, struct.pack("<I", page << 12 | 7))
    for page, rights in enumerate(at.WINDOW_RIGHTS):
        put(at.TABLE_TEST + 4 * page, struct.pack("<I", at.TEST_PAGES + (page << 12) | rights))
    return bytes(live)


_OPEN = (3, 4, 5, 0x20, 0x21, 0x22, at.FINISH_VECTOR, at.SNAPSHOT_VECTOR)


def _task(eip: int, esp: int) -> bytes:
    words = [0] * 26
    words[7], words[8], words[9], words[14] = at.DIRECTORY, eip, 2, esp
    words[18:24] = [at.DATA0, at.CODE0, at.DATA0, at.DATA0, at.DATA0, at.DATA0]
    words[24], words[25] = at.LDT_SELECTOR, 0x68 << 16
    return struct.pack("<26I", *words)
