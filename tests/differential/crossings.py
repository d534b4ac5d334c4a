"""Scenarios of ways between rings and tasks: gates, far transfers, IRET, INT n, SYSENTER."""

import random
import struct

from tests.cpu.support import INTERRUPT16, INTERRUPT32, TASK, TRAP32, gate
from tests.differential import layout as at
from tests.differential.fragment import Fragment
from tests.differential.handlers import FINISH, handler_of
from tests.differential.registry import SNAPSHOT, far, random_ring, random_selector, scenario

JUMP, CALL = 0xEA, 0x9A


def set_gate(r: random.Random, f: Fragment) -> tuple[int, int]:
    """A call gate to the fragment's inner piece: its selector, and how many parameters it copies."""
    selector = r.choice((at.GATE32, at.GATE32, at.GATE_TO_1, at.GATE_CONFORMING))
    words = r.choice((0, 1, 2, 3))
    target = {at.GATE_TO_1: at.CODE1 & ~3, at.GATE_CONFORMING: at.CONFORMING}.get(selector, at.CODE0)
    f.descriptor(
        at.GDT, selector, gate(target, f.address("inner"), 12, r.choice((3, 3, 3, 2, 0)), words=words)
    )
    return selector, words


@scenario
def call_gates(r: random.Random, f: Fragment) -> None:
    """Calls and jumps through call gates, and the way back."""
    f.enter(random_ring(r), r.choice((2, 0x3002, 0x3202)))
    selector, words = set_gate(r, f)
    opcode = r.choice((CALL, CALL, CALL, JUMP))
    f.add("ring", *(f"push {r.getrandbits(31):#x}" for _ in range(4)))
    f.add("ring", far(opcode, selector | r.choice((0, 0, 3)), r.getrandbits(32)), SNAPSHOT)
    released = 4 * words if r.random() < 0.8 else r.choice((0, 4, 8))
    f.add("inner", SNAPSHOT, f".byte 0xca; .short {released}")


@scenario
def far_transfers(r: random.Random, f: Fragment) -> None:
    """Far jumps and calls to any selector."""
    f.enter(random_ring(r))
    for _ in range(r.randrange(1, 4)):
        selector = random_selector(r)
        f.add("ring", far(r.choice((JUMP, CALL)), selector, f.address("inner")), SNAPSHOT)
    for selector, target in (
        (at.GATE32, at.CODE0),
        (at.GATE_TO_1, at.CODE1 & ~3),
        (at.GATE_CONFORMING, at.CONFORMING),
    ):
        f.descriptor(at.GDT, selector, gate(target, f.address("inner"), 12, r.choice((3, 1, 0)), words=2))
    f.descriptor(at.GDT, at.GATE_DPL0, gate(at.CODE0, f.address("inner"), 12, 0))
    f.add("inner", SNAPSHOT, r.choice(("retf", "nop", "push cs; push 0; retf")))
    # 16-bit code at a 32-bit offset is beyond its limit: QEMU and we agree on that


@scenario
def far_returns(r: random.Random, f: Fragment) -> None:
    """RETF with any selectors for CS and SS."""
    ring = random_ring(r)
    f.enter(ring)
    outer = r.choice((0, 1, 2, 3, 3))
    stack = r.choice((at.DATA_OF[outer], at.DATA_OF[outer], random_selector(r)))
    code = r.choice((at.CODE_OF[outer], at.CODE_OF[outer], random_selector(r)))
    if stack & ~7 in (at.DATA16, at.DATA16_3 & ~7, at.EXPAND_DOWN) or code & ~7 in (
        at.CODE16,
        at.CODE16_3 & ~7,
    ):
        stack, code = at.DATA3, at.CODE3
    f.add(
        "ring",
        f"push {stack}; push {at.stack_of(outer) - 0x40:#x}; push {code}; push {f.address('inner'):#x}; retf",
    )
    f.add("inner", SNAPSHOT)


@scenario
def interrupt_returns(r: random.Random, f: Fragment) -> None:
    """IRET with any flags and selectors, from any ring, with NT now and then."""
    ring = random_ring(r)
    f.enter(ring, r.choice((2, 0x1002, 0x3002, 0x3202)))
    outer = r.choice((0, 1, 2, 3, 3))
    stack = r.choice((at.DATA_OF[outer], at.DATA_OF[outer], at.DATA_OF[outer], random_selector(r)))
    code = r.choice((at.CODE_OF[outer], at.CODE_OF[outer], at.CODE_OF[outer], random_selector(r)))
    if stack & ~7 in (at.DATA16, at.DATA16_3 & ~7, at.EXPAND_DOWN) or code & ~7 in (
        at.CODE16,
        at.CODE16_3 & ~7,
    ):
        stack, code = at.DATA3, at.CODE3
    flags = r.choice((2, 0x202, 0x3002, 0x0AD7, 0x200ED7, 0x10002, 0x40002, 0x4002))
    frame = f"push {stack}; push {at.stack_of(outer) - 0x40:#x}; push {flags:#x}; push {code};"
    frame += f" push {f.address('inner'):#x}"
    if r.random() < 0.15:
        f.add("ring", "pushfd; or dword ptr [esp], 0x4000; popfd")
        if r.random() < 0.5:
            f.poke(at.TSS, struct.pack("<I", r.choice((at.TSS_B_SELECTOR, at.TSS_B_SELECTOR, at.DATA0, 0))))
            f.descriptor(at.GDT, at.TSS_B_SELECTOR, at.SEGMENTS[at.TSS_B_SELECTOR] | (0x200 << 32))
    f.add("ring", f"{frame}; iretd", SNAPSHOT)
    f.add("inner", SNAPSHOT)


@scenario
def interrupt_gates(r: random.Random, f: Fragment) -> None:
    """INT n through every kind of gate: rings, 16 bits, tasks, absent, wrong."""
    f.enter(random_ring(r), r.choice((2, 0x3002, 0x3202, 0x4002)))
    for vector in (0x20, 0x21, 0x22):
        selector = r.choice((at.CODE0, at.CODE0, at.CODE0, at.CODE1 & ~3, at.CONFORMING, random_selector(r)))
        kind = r.choice((INTERRUPT32, INTERRUPT32, TRAP32, INTERRUPT16, TASK, *range(6), *range(8, 16)))
        if kind == INTERRUPT16 or selector & ~7 in (at.CODE16, at.CODE16_3 & ~7):
            kind = INTERRUPT32  # 16-bit frames have a scenario of their own
            selector = at.CODE0
        if selector & ~7 == at.CODE_SMALL:  # QEMU goes to a handler beyond its segment's limit
            selector = at.CODE0
        if kind == TASK:
            selector = r.choice(
                (at.TSS_B_SELECTOR, at.TSS_B_SELECTOR, at.TSS_SELECTOR, at.DATA0, at.LDT_SELECTOR)
            )
        value = gate(selector, handler_of(vector), kind, r.choice((3, 3, 3, 0)), r.random() < 0.85)
        f.descriptor(at.IDT, 8 * vector, value)
        f.add("ring", f"int {vector}", SNAPSHOT)


@scenario
def narrow_gates(r: random.Random, f: Fragment) -> None:
    """Interrupt gates of 16 bits, from rings with 32-bit stacks."""
    f.enter(random_ring(r), r.choice((2, 0x3002, 0x3ED7)))
    f.poke_code(at.REAL_CODE + 0x200, bytes.fromhex("cd7fcd7e"))
    f.descriptor(at.IDT, 8 * 0x20, gate(at.CODE16, at.REAL_CODE + 0x200, r.choice((6, 7)), 3))
    if r.random() < 0.3:
        f.descriptor(at.IDT, 8 * 6, gate(at.CODE16, at.REAL_CODE + 0x200, 6, 3))
    f.add("ring", "mov esi, 0x1234; int 0x20", SNAPSHOT, r.choice(("nop", "ud2")))
    f.resume = True


@scenario
def bad_stacks(r: random.Random, f: Fragment) -> None:
    """The TSS has a bad inner stack: #TS, #SS or #PF while delivering, or a double fault."""
    ring = r.choice((1, 2, 3, 3))
    f.enter(ring, r.choice((2, 0x3002)))
    selector = r.choice(
        (0, at.DATA3, at.DATA1, at.CODE0, at.ABSENT_DATA, at.READ_ONLY, at.GDT_LIMIT + 1, at.DATA0 | 1)
    )
    f.poke(at.TSS + 4, struct.pack("<II", at.STACK0, selector))
    f.add(
        "ring",
        r.choice(
            (
                f"int {0x20}",
                "ud2",
                "xor ecx, ecx; div ecx",
                far(CALL, at.GATE32, 0),
                "mov ax, 0x1230; mov ds, ax",
            )
        ),
    )
    for vector in (10, 11, 12, 13):
        if r.random() < 0.5:
            f.descriptor(at.IDT, 8 * vector, gate(at.CODE1 & ~3, handler_of(vector), 14, 0))
    f.descriptor(at.GDT, at.GATE32, gate(at.CODE0, f.address("inner"), 12, 3, words=1))
    f.add("inner", SNAPSHOT)
    # the handlers of ring 1 can't get to ring 0 by an ordinary gate
    f.descriptor(at.IDT, 8 * at.FINISH_VECTOR, gate(at.TSS_B_SELECTOR, 0, TASK, 3))
    f.poke(at.TSS_B + 0x20, struct.pack("<I", FINISH))
    f.resume = False


@scenario
def double_faults(r: random.Random, f: Fragment) -> None:
    """A fault whose gate faults: table 5-5 decides between a second fault and a double fault."""
    f.enter(random_ring(r), r.choice((2, 0x3002)))
    first = r.choice(
        (
            "xor ecx, ecx; div ecx",
            "ud2",
            "mov ax, 0x1230; mov ds, ax",
            f"mov eax, [{at.HOLE:#x}]",
            "int 0x20",
            "int3",
            "mov al, 0x7f; inc al; into",
            "int 8",
        )
    )
    for vector in r.sample((0, 3, 4, 6, 11, 13, 14, 0x20), 5):
        how = r.randrange(4)
        selector, kind, present = at.CODE0, 14, True
        if how == 0:
            present = False
        elif how == 1:
            selector = at.ABSENT_CODE & ~3
        elif how == 2:
            kind = 12
        else:
            selector = r.choice((0, at.DATA0, at.GDT_LIMIT + 1))
        f.descriptor(at.IDT, 8 * vector, gate(selector, handler_of(vector), kind, 3, present))
    f.add("ring", first, SNAPSHOT)
    f.resume = False


@scenario
def tasks(r: random.Random, f: Fragment) -> None:
    """Task switches by CALL, JMP, INT and IRET: TSSs of 32 and 16 bits, good, bad, available and busy."""
    f.enter(random_ring(r), r.choice((2, 0x3002)))
    gate_selector = r.choice(
        (
            *(at.TSS_B_SELECTOR, at.TASK_GATE, at.TASK_GATE | 3, at.TSS_B_SELECTOR | 3),
            *(at.TSS16_SELECTOR, at.TSS16_SELECTOR | 3, at.TSS_SELECTOR),
        )
    )
    f.descriptor(at.IDT, 8 * 0x20, gate(at.TSS_B_SELECTOR, 0, TASK, 3))
    f.descriptor(
        at.GDT, at.TSS_B_SELECTOR, at.SEGMENTS[at.TSS_B_SELECTOR] | r.choice((0, 0, 3 << 45, 3 << 45))
    )
    f.descriptor(at.GDT, at.TSS16_SELECTOR, at.SEGMENTS[at.TSS16_SELECTOR] | r.choice((0, 3 << 45)))
    what = r.randrange(10)
    if what == 0:
        f.descriptor(at.GDT, at.TSS_B_SELECTOR, at.SEGMENTS[at.TSS_B_SELECTOR] & ~(1 << 47))
    elif what == 1:
        f.descriptor(at.GDT, at.TSS_B_SELECTOR, at.SEGMENTS[at.TSS_B_SELECTOR] & ~0xFFFF | 0x50)
    elif what == 2:
        bad = random_selector(r)
        f.poke(at.TSS_B + 0x48 + 4 * r.choice((0, 3, 4, 5)), struct.pack("<I", bad))
    elif what == 3:  # its fault finds no stack, which QEMU doesn't see: a task takes it
        f.descriptor(at.IDT, 8 * 10, gate(at.TSS_DF_SELECTOR, 0, TASK))
        f.poke(at.TSS_B + 0x60, struct.pack("<I", random_selector(r)))
        f.poke(at.TSS16 + 40, struct.pack("<HH", at.DATA0, random_selector(r)))
    elif what == 4:
        f.descriptor(at.GDT, at.TSS_B_SELECTOR, at.SEGMENTS[at.TSS_B_SELECTOR] | 0x200 << 32)
        f.descriptor(at.GDT, at.TSS16_SELECTOR, at.SEGMENTS[at.TSS16_SELECTOR] & ~0xFFFF | 0x2A)
    steps = [far(CALL, gate_selector, 0), "int 0x20", far(JUMP, gate_selector, 0)]
    f.add("ring", r.choice(steps[:2]), SNAPSHOT, r.choice(steps[:2]), SNAPSHOT, r.choice(steps))
    f.resume = r.random() < 0.7


@scenario
def sysenter(r: random.Random, f: Fragment) -> None:
    """SYSENTER from any ring, SYSEXIT, and both with a null code selector."""
    code = r.choice((at.CODE0, at.CODE0, at.CODE0, at.CODE0 | 3, 0))
    f.add(
        "main",
        f"xor edx, edx; mov eax, {code}; mov ecx, 0x174; wrmsr;"
        f" mov eax, {at.STACK0 - 0x40:#x}; inc ecx; wrmsr; mov eax, {f.address('inner'):#x}; inc ecx; wrmsr",
    )
    f.enter(random_ring(r), r.choice((2, 0x3202, 0x3ED6)))
    f.add("ring", f"mov esi, {at.stack_of(3):#x}; .byte 0x0f, 0x34", SNAPSHOT)
    f.add(
        "inner",
        SNAPSHOT,
        f"mov ecx, {at.stack_of(3):#x}; mov edx, {f.address('ring'):#x} + 0x200; .byte 0x0f, 0x35",
        SNAPSHOT,
    )
    f.poke(f.address("ring") + 0x200, bytes.fromhex("cd7fcd7e"))
