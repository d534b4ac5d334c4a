"""IN, OUT, INS and OUTS: who may (SDM vol. 1, 13.5), and what they do when they may."""

import pytest

from tests.cpu.support import (
    CODE3,
    DATA3,
    GP,
    INTERRUPT32,
    MAIN,
    PF,
    REPORT,
    RF,
    TSS,
    TSS16_SELECTOR,
    TSS_SELECTOR,
    USER,
    VM,
    Guest,
    assemble,
    flat,
    segment,
    stack_of,
)

PORT = 0x3F  # the last port of its bitmap byte: wider accesses need bits of the next byte


def bitmap(*allowed: int, size: int = 0x20, end: bytes = b"\xff") -> bytes:
    """An I/O bitmap for ports 0 to 8 * size - 1."""
    bits = bytearray(b"\xff" * size)
    for port in allowed:
        bits[port >> 3] &= ~(1 << (port & 7))
    return bytes(bits) + end


def guest(user: str, tail: bytes = b"", *, limit: int | None = None, iopl: int = 0) -> Guest:
    made = Guest(user=user)
    made.user_flags = 2 | iopl << 12
    made.tss_tail = tail
    made.gdt[TSS_SELECTOR] = segment(TSS, 0x67 + len(tail) if limit is None else limit, 0x89, 0)
    made.gate(0x21, dpl=3)
    return made


ACCESSES = [
    ("in al, dx", 1), ("in ax, dx", 2), ("in eax, dx", 4),
    ("out dx, al", 1), ("out dx, ax", 2), ("out dx, eax", 4),
    ("insb", 1), ("insw", 2), ("insd", 4), ("outsb", 1), ("outsw", 2), ("outsd", 4),
    ("rep insb", 1), ("rep outsb", 1), ("rep insd", 4), ("rep outsw", 2),
]  # fmt: skip
SETUP = f"mov edx, {PORT}; mov eax, 0x12345678; mov ecx, 2; mov esi, {REPORT + 0x400:#x}; mov edi, esi"


@pytest.mark.parametrize(("source", "width"), ACCESSES)
def test_ring_3_without_a_bitmap_gets_a_precise_general_protection_fault(source: str, width: int) -> None:
    report = guest(f"{SETUP}; {source}; mov ecx, 99").report()
    at = USER + len(assemble(SETUP, USER))
    assert (report.vector, *report.stack[:6]) == (GP, 0, at, CODE3, RF | 2, stack_of(3), DATA3)
    assert report.registers[:4] == (0x12345678, 2, PORT, 0)
    assert report.registers[6:] == (REPORT + 0x400, REPORT + 0x400)


@pytest.mark.parametrize(("source", "width"), ACCESSES)
def test_every_port_that_an_access_touches_needs_its_bit_clear(source: str, width: int) -> None:
    ports = range(PORT, PORT + width)
    user = f"{SETUP}; {source}; int 0x21"
    assert guest(user, bitmap(*ports)).report(qemu=False).vector == 0x21  # other devices there
    for denied in ports:
        report = guest(user, bitmap(*(p for p in ports if p != denied))).report()
        assert (report.vector, report.stack[0]) == (GP, 0)


@pytest.mark.parametrize("source", ["in al, 0x3f", "in eax, 0x3f", "out 0x3f, al", "out 0x3f, ax"])
def test_the_port_may_be_in_the_instruction(source: str) -> None:
    assert guest(f"{source}; int 0x21", bitmap()).report().vector == GP
    assert guest(f"{source}; int 0x21", bitmap(*range(0x3F, 0x43))).report(qemu=False).vector == 0x21


def test_the_bitmap_must_reach_one_byte_beyond_the_port() -> None:
    """SDM vol. 1, 13.5.2: two bytes are always read; the last byte must be inside the TSS limit."""
    allowed = bitmap(*range(0x100), end=b"")
    user = "mov edx, 0xf8; in al, dx; int 0x21"
    assert guest(user, allowed).report().vector == GP
    assert guest(user, allowed + b"\xff").report().vector == 0x21


def test_a_bitmap_base_beyond_the_limit_means_no_ports() -> None:
    made = guest("in al, 0x3f; int 0x21")
    assert made.report().vector == GP


def test_a_tss_too_short_for_the_bitmap_base_means_no_ports() -> None:
    assert guest("in al, 0x3f; int 0x21", bitmap(*range(0x100)), limit=102).report().vector == GP


def test_a_16_bit_tss_has_no_bitmap() -> None:
    made = guest("in al, 0x3f; int 0x21", bitmap(*range(0x100)))
    made.gdt[TSS16_SELECTOR] = segment(TSS, 0x67 + 0x21, 0x81, 0)  # all that a 32-bit one would have
    made.task = TSS16_SELECTOR
    for vector in range(0x22):
        made.gate(vector, selector=CODE3 & ~3, dpl=3)  # no need of the TSS's stacks
    made.user_flags = 2
    machine = made.machine()
    machine.run(max_cycles=1_000_000)
    assert machine.processor.counts["exceptions"] >= 1
    assert machine.processor.counts.get("software_interrupts", 0) == 0


@pytest.mark.parametrize(("iopl", "expected"), [(0, GP), (1, GP), (2, GP), (3, 0x21)])
def test_iopl_3_lets_ring_3_use_every_port(iopl: int, expected: int) -> None:
    assert guest("in al, 0x3f; int 0x21", iopl=iopl).report().vector == expected


def test_taking_iopl_away_takes_the_ports_away_though_the_code_has_run_before() -> None:
    user = "in al, 0x3f; int 0x21; .byte 0xeb, 0xfa"
    made = guest(user, iopl=3)
    made.handler(0x21, "and dword ptr [esp+8], 0xffffcfff; iretd")
    report = made.report()
    assert (report.vector, *report.stack[:2]) == (GP, 0, USER)


def test_code_that_ring_0_ran_first_is_checked_in_ring_3() -> None:
    made = guest("jmp 0x148000")
    made.place(0x148000, "in al, 0x3f; ret")
    made.main_source = "call 0x148000"
    report = made.report()
    assert (report.vector, *report.stack[:3]) == (GP, 0, 0x148000, CODE3)


def test_code_reached_under_another_linear_address_is_checked_there_too() -> None:
    made = Guest("call 0x148000; call 0x248000", user="jmp 0x248000", paging=True)
    made.map(0x248000, 0x148007)
    made.place(0x148000, "in al, 0x3f; ret")
    report = made.report()
    assert (report.vector, *report.stack[:3]) == (GP, 0, 0x248000, CODE3)


def test_the_fault_of_a_later_block_of_a_page_leaves_earlier_effects_alone() -> None:
    report = guest("mov ebx, 1; nop; nop; out 0x3f, al; mov ebx, 2").report()
    assert report.registers[3] == 1
    assert report.stack[1] == USER + 7


def test_bitmap_reads_that_fault_are_page_faults_of_the_instruction() -> None:
    made = Guest(user="nop; in al, 0x3f", paging=True)
    made.tss_tail = bytes(0x2000)
    made.gdt[TSS_SELECTOR] = segment(TSS, 0x1FFF, 0x89, 0)
    made.pieces[TSS + 0x68 + 0x2000] = b""
    made.map(TSS + 0x1000, 0)
    made.handler(PF, f"mov ebx, cr2; mov [{REPORT + 68:#x}], ebx; jmp {MAIN + 0x800:#x}")
    made.gate(PF, INTERRUPT32)
    # ports from 8 * (0x1000 - 0x68) on have their bits in the second page of the TSS
    made.user_source = f"mov edx, {8 * (0x1000 - 0x68) + 8:#x}; nop; in al, dx"
    report = made.report()
    assert (report.vector, *report.stack[:3]) == (PF, 0, USER + 6, CODE3)
    assert report.cr2 == TSS + 0x1001


def test_vm86_always_asks_the_bitmap_even_with_iopl_3() -> None:
    frame = (0, 0, 0, 0, 0xFFFF, 0xB010, VM | 0x3002, 0xFFFF, 0xA010)
    for tail, expected in ((b"", GP), (bitmap(0x3F), 0x21)):
        made = Guest("; ".join(f"push {value:#x}" for value in frame) + "; iretd")
        made.place(0x10A000, "nop; in al, 0x3f; int 0x21", bits=16)
        made.gate(0x21, dpl=3)
        made.tss_tail = tail
        made.gdt[TSS_SELECTOR] = segment(TSS, 0x67 + len(tail), 0x89, 0)
        report = made.report()
        assert report.vector == expected
        if expected == GP:
            assert report.stack[:3] == (0, 0xA011, 0xFFFF)


# -- what they do


def serial(source: str) -> bytes:
    out = bytearray()
    machine = flat(f"{source}; xor al, al; out 0xf4, al; hlt", serial_out=out.extend)
    assert machine.run(max_cycles=10_000_000).kind == "exit"
    machine.ledger.check(machine.cycles)
    return bytes(out)


def test_rep_outsb_writes_every_byte_in_order() -> None:
    code = 0x100200
    source = f"mov edx, 0x3f8; mov esi, {code:#x}; mov ecx, 5; mov dword ptr [esi], 0x64636261; "
    assert serial(source + "mov byte ptr [esi+4], 0x65; cld; rep outsb") == b"abcde"


def test_outs_with_the_direction_flag_goes_down() -> None:
    source = "mov edx, 0x3f8; mov esi, 0x100201; mov word ptr [0x100200], 0x6261; std; outsb; outsb"
    assert serial(source) == b"ba"


def test_a_word_out_reaches_two_ports() -> None:
    # COM1's scratch register is at offset 7, the line control register at 3
    machine = flat("mov ax, 0x5a03; mov dx, 0x3fe; out dx, ax; mov dx, 0x3ff; in al, dx; out 0xf4, al; hlt")
    assert machine.run(max_cycles=1_000_000).status == 0x5A


def test_ports_without_a_device_read_ones() -> None:
    machine = flat("xor eax, eax; mov dx, 0x7000; in eax, dx; inc eax; out 0xf4, al; hlt")
    assert machine.run(max_cycles=1_000_000).status == 0


@pytest.mark.parametrize("width", [1, 2, 4])
def test_ins_stores_what_in_would_read(width: int) -> None:
    name = {1: "b", 2: "w", 4: "d"}[width]
    source = (
        f"mov edx, 0x7000; mov edi, 0x100200; mov ecx, 3; cld; rep ins{name}; mov eax, edi; out 0xf4, al; hlt"
    )
    machine = flat(source)
    assert machine.run(max_cycles=1_000_000).status == 3 * width
    assert machine.ram.read(0x100200, 13) == b"\xff" * 3 * width + bytes(13 - 3 * width)


def test_ins_into_an_absent_page_faults_and_goes_on_exactly() -> None:
    source = "mov edx, 0x7000; mov edi, 0x1ffffe; mov ecx, 5; cld; rep insb"
    made = Guest(f"{source}; mov [{REPORT:#x}], edi; mov [{REPORT + 4:#x}], ecx", paging=True)
    made.map(0x200000, 0)
    tell = f"mov [{REPORT + 8:#x}], edi; mov [{REPORT + 12:#x}], ecx; "
    tell += f"mov eax, [esp+4]; mov [{REPORT + 16:#x}], eax"
    made.handler(PF, f"{tell}; mov dword ptr [0x181800], 0x200007; add esp, 4; iretd")
    ran = made.run()
    at = MAIN + len(assemble("mov edx, 0x7000; mov edi, 0x1ffffe; mov ecx, 5; cld", MAIN))
    assert ran.words[:5] == (0x200003, 0, 0x200000, 3, at)
    assert ran.machine.ram.read(0x1FFFFE, 6) == b"\xff" * 5 + b"\0"
