"""LMSW, SMSW, CLTS, WBINVD, INVD, LAR, LSL, VERR, VERW and ARPL, each compared with QEMU (SDM vol. 2)."""

import pytest

from tests.cpu.support import (
    ABSENT_CODE,
    ABSENT_DATA,
    CODE0,
    CODE1,
    CODE3,
    CONFORMING,
    DATA0,
    DATA3,
    GP,
    READ_ONLY,
    TSS16_SELECTOR,
    TSS_SELECTOR,
    USER,
    Guest,
)

SELECTORS = [
    0, 1, CODE0, DATA0, CODE3, DATA3, TSS_SELECTOR, CONFORMING, ABSENT_CODE, ABSENT_DATA, CODE1, READ_ONLY,
    TSS16_SELECTOR, 0x98, 0xA0, 0xFFFC, DATA0 | 3, DATA3 & ~3, 0x0C,
]  # fmt: skip


@pytest.mark.parametrize("user", [False, True], ids=["ring 0", "ring 3"])
@pytest.mark.parametrize(
    "name", ["lar ebx, ecx", "lsl ebx, ecx", "verr cx", "verw cx", "lar bx, cx", "lsl bx, cx"]
)
def test_selector_checks(name: str, user: bool) -> None:
    """The results for every kind of selector, packed: 19 results in the general registers, hashed."""
    body = "xor edi, edi;" + "".join(
        f"mov ebx, 0x5a5a5a5a; mov ecx, {selector:#x}; {name}; setz al; movzx eax, al;"
        "rol edi, 5; xor edi, ebx; add edi, eax;"
        for selector in SELECTORS
    )
    lldt = "xor eax, eax; lldt ax;"  # the loaders leave different ones
    guest = Guest(lldt if user else f"{lldt} {body} int 0x21", user=f"{body} int 0x21" if user else "")
    guest.gate(0x21, dpl=3)
    assert guest.report().vector == 0x21


@pytest.mark.parametrize(
    ("one", "two", "result", "zero"), [(0x10, 0x13, 0x13, 1), (0x13, 0x11, 0x13, 0), (8, 8, 8, 0)]
)
def test_arpl_raises_the_rpl(one: int, two: int, result: int, zero: int) -> None:
    report = Guest(f"mov eax, {one}; mov ecx, {two}; arpl ax, cx; setz dl; int 0x21").report()
    assert (report.registers[0], report.registers[2] & 0xFF) == (result, zero)


def test_lmsw_sets_four_bits_and_cannot_clear_pe() -> None:
    source = "mov ax, 0xfffe; lmsw ax; mov ebx, cr0; mov ax, 0; lmsw ax; mov ecx, cr0; smsw eax; int 0x21"
    report = Guest(source).report()
    assert report.registers[3] & 0xF == 0xF
    assert report.registers[1] & 0xF == 1


def test_clts_clears_ts() -> None:
    report = Guest("mov eax, cr0; or eax, 8; mov cr0, eax; clts; mov ebx, cr0; fld1; int 0x21").report()
    assert report.registers[3] & 8 == 0


@pytest.mark.parametrize("instruction", ["wbinvd", "invd"])
def test_cache_control_changes_nothing(instruction: str) -> None:
    report = Guest(f"mov dword ptr [0x150000], 7; {instruction}; mov eax, [0x150000]; int 0x21").report()
    assert report.registers[0] == 7


@pytest.mark.parametrize(
    "instruction",
    [
        "wbinvd",
        "invd",
        "clts",
        "lmsw ax",
        "lgdt [0x150000]",
        "lidt [0x150000]",
        "ltr ax",
        "lldt ax",
        "hlt",
        "mov eax, cr0",
        "mov cr3, eax",
        "invlpg [0]",
        "rdmsr",
        "wrmsr",
        "mov eax, dr7",
    ],
)
def test_privileged_instructions_are_gp_at_ring_3(instruction: str) -> None:
    report = Guest(user=f"nop; {instruction}").report()
    assert (report.vector, *report.stack[:2]) == (GP, 0, USER + 1)


@pytest.mark.parametrize(
    "instruction", ["smsw eax", "sgdt [0x150000]", "sidt [0x150000]", "str ax", "sldt ax"]
)
def test_the_stores_are_allowed_at_ring_3(instruction: str) -> None:
    source = f"xor eax, eax; {instruction}; int 0x21"
    guest = Guest(user=source)
    guest.gate(0x21, dpl=3)
    assert guest.report().vector == 0x21
