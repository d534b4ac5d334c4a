"""Scenarios of modes: paging off and on, 16-bit code, real mode, virtual-8086 mode."""

import random
import struct

from tests.differential import layout as at
from tests.differential.fragment import Fragment
from tests.differential.handlers import REAL_IDT
from tests.differential.registry import SNAPSHOT, far, scenario

SNAPSHOT_REAL = "int 0x7f"
REAL_STEPS = (
    "xor dx, dx; mov cx, dx; mov ax, 5; div cx",
    "ud2",
    "int3",
    "mov al, 0x7f; inc al; into",
    "int 0x21",
    "push 0x3246; popf",
    "pushf; pop ax",
    "cli",
    "sti; nop; cli",
    "mov ax, 0x1234; mov ds, ax; mov ax, ds",
    "mov bx, 0x100; mov es, bx; mov es:[bx], ax; mov ax, es:[bx]",
    "mov eax, 0x12345678; push eax; pop ebx",
    "smsw ax",
    "sldt ax",
    "str ax",
    "lar ax, cx",
    "verr ax",
    "arpl ax, cx",
    "lldt ax",
    "ltr ax",
    "mov eax, cr0; mov ebx, eax",
    "mov eax, cr3; mov cr3, eax",
    "clts",
    "in al, 0xe2",
    "in al, 0xe5",
    "call 0x8300",
    "mov ax, 1; mov bx, 0x9000; lock add [bx], ax",
    ".byte 0xf0, 0x90",
    "mov ecx, 0x174; rdmsr",
    "mov si, 0x9000; mov di, 0x9100; mov cx, 8; cld; rep movsb",
    "enter 8, 0; leave",
)


def low_code(f: Fragment) -> None:
    """RET at 8300."""
    f.poke_code(at.REAL_CODE + 0x300, b"\xc3\x90")


@scenario
def paging_off(r: random.Random, f: Fragment) -> None:
    """Paging goes off and on, in protected mode."""
    f.enter(0)
    for _ in range(r.randrange(1, 4)):
        f.add(
            "ring",
            "mov eax, cr0; and eax, 0x7fffffff; mov cr0, eax; nop",
            f"mov eax, [{at.TEST_PAGES + 0x3010:#x}]; mov dword ptr [{at.TEST_PAGES + 0x2000:#x}], eax",
            SNAPSHOT,
            r.choice(("ud2", "nop", "xor ecx, ecx; div ecx")),
            "mov eax, cr0; or eax, 0x80000000; mov cr0, eax; nop",
            f"mov eax, [{at.WINDOW + 0x2000:#x}]; mov ebx, [{at.WINDOW + 0x7000:#x}]",
            SNAPSHOT,
        )


@scenario
def real_mode(r: random.Random, f: Fragment) -> None:
    """Down to real mode by way of a 16-bit segment; ends in its INT 0x7e."""
    low_code(f)
    f.add(
        "main",
        "mov eax, cr0; and eax, 0x7fffffff; mov cr0, eax",
        f"lidt [{REAL_IDT:#x}]",
        f"mov ax, {at.DATA16}; mov ss, ax; mov ds, ax; mov es, ax; mov fs, ax; mov gs, ax",
        far(0xEA, at.CODE16, at.REAL_CODE),
    )
    f.add("code16", "mov eax, cr0; and al, 0xfe; mov cr0, eax; .byte 0xea; .short 0x8010, 0", "nop; nop")
    pad = (
        0x10 - sum(len(code) for piece, _, _, code in f.placed() if piece == "code16") + 2
    )  # without the end
    f.steps["code16"][1] += "; nop" * pad
    f.add("code16", f"xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax; mov esp, {at.REAL_STACK:#x}")
    for _ in range(r.randrange(2, 6)):
        f.add("code16", r.choice(REAL_STEPS))
        if r.random() < 0.6:
            f.add("code16", SNAPSHOT_REAL)


@scenario
def code_of_16_bits(r: random.Random, f: Fragment) -> None:
    """A 16-bit code segment in protected mode with a flat stack."""
    low_code(f)
    f.add("main", far(0xEA, at.CODE16, at.REAL_CODE))
    for _ in range(r.randrange(2, 7)):
        step = r.choice(REAL_STEPS)
        if "mov ds" in step or "mov es" in step or "0x3246" in step or "enter" in step:
            step = f"mov ax, {r.choice((at.DATA0, at.DATA3, at.SHIFTED))}; mov es, ax"
        f.add("code16", step, SNAPSHOT)


@scenario
def virtual_8086(r: random.Random, f: Fragment) -> None:
    """IRET to VM86 with any IOPL, and the ways out of it."""
    low_code(f)
    flags = 0x20002 | r.choice((0, 0x1000, 0x3000, 0x3000, 0x3200, 0x3200))
    f.resume = flags & 0x3000 == 0x3000  # else INT n faults, the one that would end the fragment too
    segments = [r.choice((0, 0x100, 0x800)) for _ in range(4)]
    pushes = "; ".join(f"push {value}" for value in (*segments, 0))
    f.add(
        "main", f"{pushes}; push {at.REAL_STACK:#x}; push {flags:#x}; push 0; push {at.REAL_CODE:#x}; iretd"
    )
    for _ in range(r.randrange(2, 7)):
        step = r.choice(REAL_STEPS)
        f.add("code16", step)
        if r.random() < 0.6:
            f.add("code16", SNAPSHOT)
    for vector in (0x21, 3, 4):
        if r.random() < 0.3:
            f.poke(at.IDT + 8 * vector + 4, struct.pack("<I", at.HANDLERS & 0xFFFF0000 | 0x8E00))
