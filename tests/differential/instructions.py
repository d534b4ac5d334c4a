"""Scenarios of single instructions: faults, privileged instructions, loads of segment registers."""

import random

from tests.differential import layout as at
from tests.differential.fragment import Fragment
from tests.differential.registry import SNAPSHOT, random_ring, random_selector, scenario

# -- instructions that fault by themselves

PLAIN_FAULTS = (
    "xor edx, edx; xor ecx, ecx; mov eax, 5; div ecx",
    "mov edx, 5; mov ecx, 4; mov eax, 5; div ecx",
    "mov eax, 0x80000000; cdq; mov ecx, -1; idiv ecx",
    "mov ax, 0x7fff; mov cl, 1; idiv cl",
    ".byte 0xd4, 0",  # AAM 0
    "int3",
    ".byte 0xcd, 3",
    "mov al, 0x7f; inc al; into",
    "xor eax, eax; into",
    f"mov dword ptr [{at.TEST_PAGES:#x}], 5; mov dword ptr [{at.TEST_PAGES + 4:#x}], 9; mov eax, 4;"
    f" bound eax, [{at.TEST_PAGES:#x}]",
    f"mov dword ptr [{at.TEST_PAGES:#x}], 5; mov dword ptr [{at.TEST_PAGES + 4:#x}], 9; mov eax, 9;"
    f" bound eax, [{at.TEST_PAGES:#x}]",
    "ud2",
    ".byte 0xf0, 0x90",  # LOCK NOP
    ".byte 0xf0, 0x01, 0xc0",  # LOCK ADD with a register
    ".byte 0x8e, 0xc8",  # MOV CS
    ".byte 0x0f, 0xff, 0xc0",
    ".byte 0x8d, 0xc0",  # LEA of a register
    ".byte 0xc4, 0xc0",  # LES of a register
    ".byte 0x62, 0xc0",  # BOUND of a register
    ".byte 0x0f, 0x22, 0xc8",  # MOV CR1
    ".byte 0x0f, 0x20, 0xe8",  # MOV from CR5
    ".byte 0xfe, 0xf8",
    ".byte 0xff, 0xff",
    ".byte 0x0f, 0x01, 0xf8",  # INVLPG of a register
    f"int {0x21}",
    f"int {0x23}",  # DPL 0
    "int 13",
    ".byte 0xcd, 0x80",  # beyond the IDT
)
PRIVILEGED = (
    "cli",
    "sti",
    "clts",
    "invd",
    "wbinvd",
    "mov eax, cr0; mov cr0, eax",
    "mov eax, cr0",
    "mov eax, cr2",
    "mov eax, cr3; mov cr3, eax",
    "mov eax, cr4",
    "mov eax, dr7",
    "mov eax, dr6",
    "xor eax, eax; mov dr0, eax",
    "smsw ax",
    "smsw eax; movzx eax, ax",
    "mov ax, 1; lmsw ax",
    "mov ax, 0xf; lmsw ax; smsw ax",
    "str eax",
    "sldt eax",
    f"mov ax, {at.LDT_SELECTOR}; lldt ax",
    "xor eax, eax; lldt ax",
    f"invlpg [{at.WINDOW:#x}]",
    f"sgdt [{at.TEST_PAGES:#x}]",
    f"sidt [{at.TEST_PAGES + 8:#x}]",
    "mov ecx, 0x174; rdmsr",
    "in al, 0xe2",
    "in al, 0xe5",
    "mov dx, 0xf7; in ax, dx; xor eax, eax",
    "mov dx, 0xe4; in al, dx",
    "mov dx, 0x3fff; in al, dx",
    "mov edx, 0xe1; out dx, al",
    "mov dx, 0xe3; in ax, dx; xor eax, eax",
    "pushfd; pop eax",
    "push 0x3202; popfd",
    "push 0x24ed7; popfd",
    "push 0x2; popfd",
    "push 0x1000; popfd",
    "push 0x4002; popfd",
    "push 0x200ad7; popfd",
    "pushf; popf",
    "push 0x7fd7; add esp, 2; popf",
    ".byte 0x0f, 0x35",  # SYSEXIT
    ".byte 0x0f, 0x34",  # SYSENTER
)


# QEMU doesn't check the limits of stacks
UNCHECKED_STACKS = (at.DATA16, at.DATA16_3 & ~7, at.EXPAND_DOWN)
POP = {"ds": "0x1f", "es": "0x07", "fs": "0x0f, 0xa1", "gs": "0x0f, 0xa9", "ss": "0x17"}


def segment_step(r: random.Random) -> str:
    """Loads a segment register somehow."""
    selector = random_selector(r)
    register = r.choice(("ds", "es", "fs", "gs", "ss"))
    if register == "ss" and selector & ~7 in UNCHECKED_STACKS:
        register = "es"
    kind = r.randrange(4)
    if kind == 0:
        return f"push {selector}; .byte {POP[register]}; nop"
    if kind == 1:
        load = {"ds": "lds", "es": "les", "fs": "lfs", "gs": "lgs", "ss": "lss"}[register]
        return f"mov eax, 0x11223344; push {selector}; push eax; {load} ebx, [esp]; add esp, 8"
    return f"mov ax, {selector}; mov {register}, ax; nop"


def inspect_step(r: random.Random) -> str:
    selector = random_selector(r)
    kind = r.randrange(6)
    head = f"mov ecx, {selector}; mov eax, 0x5a5a5a5a; "
    if kind == 0:
        return head + "lar eax, ecx; pushfd; pop edx; and edx, 0x40"
    if kind == 1:
        return head + "lsl eax, ecx; pushfd; pop edx; and edx, 0x40"
    if kind == 2:
        return head + "verr cx; pushfd; pop edx; and edx, 0x40"
    if kind == 3:
        return head + "verw cx; pushfd; pop edx; and edx, 0x40"
    if kind == 4:
        other = r.choice(at.SELECTORS) | r.randrange(4)
        return head + f"mov ax, {other}; arpl cx, ax; pushfd; pop edx; and edx, 0x40"
    return head + "lar ax, cx; pushfd; pop edx; and edx, 0x40"


@scenario
def faults(r: random.Random, f: Fragment) -> None:
    """Faults and traps of instructions, in any ring."""
    ring = random_ring(r)
    f.enter(ring, r.choice((2, 0x3002, 0x1002, 0x3202)))
    f.add("ring", *(x for _ in range(r.randrange(2, 6)) for x in (r.choice(PLAIN_FAULTS), SNAPSHOT)))
    f.resume = not any("int 13" in step for step in f.steps["ring"])


@scenario
def privileged(r: random.Random, f: Fragment) -> None:
    """Privileged and IOPL-sensitive instructions in any ring."""
    f.enter(random_ring(r), r.choice((2, 0x3002, 0x1002, 0x2002, 0x3202)))
    f.add("ring", *(x for _ in range(r.randrange(2, 8)) for x in (r.choice(PRIVILEGED), SNAPSHOT)))


@scenario
def segments(r: random.Random, f: Fragment) -> None:
    """Loads of segment registers with all kinds of descriptors."""
    f.enter(random_ring(r))
    f.add("ring", *(x for _ in range(r.randrange(2, 8)) for x in (segment_step(r), SNAPSHOT)))


@scenario
def simd(r: random.Random, f: Fragment) -> None:
    """SSE with aligned and unaligned operands, at rights that fault or not, in any ring."""
    f.cr4 |= 0x600
    f.enter(random_ring(r))
    f.add("ring", "xorps xmm0, xmm0; xorps xmm1, xmm1")
    for _ in range(r.randrange(2, 7)):
        where = r.choice((at.TEST_PAGES, at.TEST_PAGES, at.WINDOW + (r.randrange(at.PAGES) << 12)))
        operand = f"[{where + r.choice((0, 16, 0x20, 0xFC0, 0xFF0, 1, 4, 8)):#x}]"
        f.add("ring", r.choice(SIMD).format(operand), "movd eax, xmm0; movd ecx, xmm1", SNAPSHOT)


SIMD = (
    "movaps xmm0, {}",
    "movaps {}, xmm1",
    "movups xmm0, {}",
    "movups {}, xmm1",
    "movdqa xmm1, {}",
    "movdqa {}, xmm0",
    "movdqu xmm1, {}",
    "movss xmm0, {}",
    "movhps xmm1, {}",
    "paddd xmm0, {}",
    "pshufd xmm1, {}, 0x1b",
    "subps xmm1, {}",
    "movntps {}, xmm0",
    "movq mm0, {}; movd eax, mm0; emms",
    "mov edx, 3; cvtsi2ss xmm1, edx",
)


@scenario
def inspection(r: random.Random, f: Fragment) -> None:
    """LAR, LSL, VERR, VERW and ARPL."""
    f.enter(random_ring(r))
    f.add("ring", *(x for _ in range(r.randrange(3, 9)) for x in (inspect_step(r), SNAPSHOT)))
