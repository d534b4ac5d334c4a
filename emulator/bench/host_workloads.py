"""The workloads of `bench host`: one micro guest each, beside Unicorn alone.

::

    0x100000   code, then exit by port 0xf4
    0x110000   page directory: 0 - 8 MB as large pages, 8 - 12 MB by the page table, 12 - 16 MB large
    0x111000   page table: 1024 pages of 4 KB, linear = physical
    0x112000   jump table of the interpreter
    0x113000   its program
    0x200000   stack
    0x400000   4 MB: the chain of pointers, or the source of copies
    0x800000   4 MB: by pages of 4 KB
    0xc00000   4 MB: the destination of copies

Chains and programs are drawn with a fixed seed, so that each run's guest is the same to the byte.
"""

import functools
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.bench.host_run import BareGuest, speed_row
from emulator.bench.result import Row
from emulator.timing.schema import Profile

MEMORY: Final = 16 << 20
DIRECTORY: Final = 0x110000
TABLE: Final = 0x111000
JUMPS: Final = 0x112000
PROGRAM: Final = 0x113000
STACK: Final = 0x200000
CHAIN: Final = 0x400000
PAGES: Final = 0x800000
COPY: Final = 0xC00000
SEED: Final = 2026

REGION: Final = 4 << 20
NODE: Final = 64  # bytes: a line of its own for each pointer
PAGE_STEP: Final = 4096 + 64  # the next page, another set of the cache
COPIED: Final = 64 << 10  # bytes of one REP
MOVSD: Final = "rep movsd dword ptr es:[edi], dword ptr [esi]"
STOSD: Final = "rep stosd dword ptr es:[edi], eax"
OPERATIONS: Final = 16
PROGRAM_LENGTH: Final = 4096

PAGING_ON: Final = f"""
    mov esp, {STACK}
    mov eax, {DIRECTORY}; mov cr3, eax
    mov eax, cr4; or eax, 0x10; mov cr4, eax
    mov eax, cr0; or eax, 0x80000000; mov cr0, eax
"""


def _tables() -> bytes:
    """The page directory and its page table: supervisor, writable, accessed and dirty."""
    directory = [0xE3 | address for address in range(0, MEMORY, REGION)]
    directory[PAGES // REGION] = TABLE | 0x63
    table = [PAGES + 0x1000 * page | 0x63 for page in range(1024)]
    return struct.pack(f"<{len(directory)}I", *directory).ljust(0x1000, b"\0") + struct.pack("<1024I", *table)


def chain() -> bytes:
    """4 MB of which the first word of each line points to another: one cycle through all, in random order."""
    order = list(range(REGION // NODE))
    random.Random(SEED).shuffle(order)
    words = bytearray(REGION)
    for here, following in zip(order, order[1:] + order[:1], strict=True):
        struct.pack_into("<I", words, here * NODE, CHAIN + following * NODE)
    return bytes(words)


def program() -> bytes:
    """Random operations for the interpreter; operation 0, at the end, begins again or leaves."""
    draw = random.Random(SEED)
    return bytes(draw.randrange(1, OPERATIONS) for _ in range(PROGRAM_LENGTH - 1)) + b"\0"


def _chase(steps: int) -> str:
    return f"mov ecx, {steps}; mov esi, {CHAIN}\nagain: mov esi, [esi]; dec ecx; jnz again"


def _walks(steps: int) -> str:
    return f"""
        mov ecx, {steps}; xor ebx, ebx
    again:
        add ebx, {PAGE_STEP}; and ebx, {REGION - 1}; add eax, [ebx + {PAGES}]
        dec ecx; jnz again
    """


def _rep(operation: str, times: int) -> str:
    return f"""
        mov edx, {times}; cld
    again:
        mov esi, {CHAIN}; mov edi, {COPY}; mov ecx, {COPIED // 4}
        {operation}
        dec edx; jnz again
    """


def _fibonacci(number: int) -> str:
    return f"""
        mov eax, {number}; call fib; jmp done
    fib:
        cmp eax, 2; jb leaf
        push ebx; push eax
        dec eax; call fib; mov ebx, eax
        pop eax; sub eax, 2; call fib; add eax, ebx
        pop ebx
    leaf:
        ret
    done:
    """


def _interpreter(rounds: int) -> str:
    """A switch in a loop: fetch, bounds check, indirect jump; each operation does a little and comes back."""
    bodies = (
        "add eax, ebx", "sub ebx, eax", "xor eax, edx", "inc edx", "dec ebx", "rol eax, 3", "and edx, 0xffff",
        "or ebx, 1", "push eax; pop ebx", "xchg eax, edx", "neg eax", "shr ebx, 1", "lea eax, [eax + ebx*2]",
        "not edx", "imul eax, ebx, 7",
    )  # fmt: skip
    entries = "".join(f"lea eax, [op{n}]; mov [{JUMPS + 4 * n}], eax\n" for n in range(OPERATIONS))
    operations = "".join(f"op{n}: {body}; jmp next\n" for n, body in enumerate(bodies, start=1))
    return f"""
        {entries}
        mov ecx, {rounds}; xor eax, eax; xor ebx, ebx; xor edx, edx; mov esi, {PROGRAM}
    next:
        movzx edi, byte ptr [esi]; inc esi
        cmp edi, {OPERATIONS - 1}; ja done
        jmp dword ptr [{JUMPS} + edi*4]
        {operations}
    op0:
        mov esi, {PROGRAM}; dec ecx; jnz next
    done:
    """


@dataclass(frozen=True, slots=True)
class Workload:
    """A row: `source(count)` is what the guest does, with `data` where it stands in memory."""

    name: str
    title: str
    source: Callable[[int], str]
    count: int
    data: tuple[tuple[int, Callable[[], bytes]], ...] = ()

    def guest(self, count: int | None = None) -> BareGuest:
        """The image, for `count` steps, or as many as are measured."""
        source = PAGING_ON + self.source(self.count if count is None else count)
        data = [(address, content()) for address, content in self.data]
        return BareGuest.assembled(self.name, source, MEMORY, [(DIRECTORY, _tables()), *data])


WORKLOADS: Final = (
    Workload("chase", "Pointer chasing through 4 MB", _chase, 2_000_000, ((CHAIN, chain),)),
    Workload("memcpy", "Copies of 64 KB by REP MOVSD", functools.partial(_rep, MOVSD), 100),
    Workload("memset", "Fills of 64 KB by REP STOSD", functools.partial(_rep, STOSD), 200),
    Workload("calls", "Recursive calls (Fibonacci)", _fibonacci, 29),
    Workload(
        "interpreter", "Interpreter: a switch by indirect jump", _interpreter, 600, ((PROGRAM, program),)
    ),
    Workload("walks", "Loads from 1024 pages in turn, a page walk each", _walks, 1_500_000),
)


def measure_workload(profile: Profile, workload: Workload, count: int, further: Callable[[], None]) -> Row:
    """The row of a workload, over `count` pairs. Raises: BenchError."""
    pairs, reference = workload.guest().measured(profile, count, further)
    return speed_row(workload.name, workload.title, pairs, reference)
