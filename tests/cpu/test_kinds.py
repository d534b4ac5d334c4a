"""Contract with Unicorn 2.1.4: what ends a translation block, on which the after-effects rely."""

import pytest
from keystone import KS_ARCH_X86, KS_MODE_32, Ks
from unicorn import UC_ARCH_X86, UC_HOOK_BLOCK, UC_MODE_32, Uc, UcError
from unicorn.x86_const import (
    UC_CPU_X86_QEMU32,
    UC_X86_REG_ECX,
    UC_X86_REG_EDI,
    UC_X86_REG_ESI,
    UC_X86_REG_ESP,
)


def blocks(code: str | bytes) -> list[tuple[int, int]]:
    """Offset and size of each block that runs, with NOPs behind the code."""
    if isinstance(code, str):
        code = bytes(Ks(KS_ARCH_X86, KS_MODE_32).asm(code, 0x1000)[0])
    uc = Uc(UC_ARCH_X86, UC_MODE_32)
    uc.ctl_set_cpu_model(UC_CPU_X86_QEMU32)
    uc.mem_map(0, 0x10000)
    uc.mem_write(0x1000, code + b"\x90" * 8)
    for register, value in ((UC_X86_REG_ESP, 0x8000), (UC_X86_REG_ESI, 0x4000), (UC_X86_REG_EDI, 0x5000)):
        uc.reg_write(register, value)
    uc.reg_write(UC_X86_REG_ECX, 3)
    seen: list[tuple[int, int]] = []
    uc.hook_add(UC_HOOK_BLOCK, lambda _uc, address, size, _data: seen.append((address - 0x1000, size)))
    try:
        uc.emu_start(0x1000, 0x1000 + len(code) + 4, 0, 40)
    except UcError as error:
        pytest.fail(f"{code!r}: {error}")
    return seen


@pytest.mark.parametrize(
    "text",
    [
        "xor eax, eax; mov cr3, eax",
        "mov eax, cr0; mov cr0, eax",
        "xor eax, eax; mov cr4, eax",
        "lmsw ax",
        "clts",
        "invlpg [0x4000]",
        "mov dr7, eax",
        "popfd",
        "pop ds",
        "sti",
    ],
)
def test_an_instruction_with_an_after_effect_ends_its_block(text):
    size = len(bytes(Ks(KS_ARCH_X86, KS_MODE_32).asm(text, 0x1000)[0]))
    assert blocks(text)[0] == (0, size)


@pytest.mark.parametrize(
    "code",
    [
        b"\x0f\x30",
        b"\x0f\x32",
        b"\x0f\x09",
        "lgdt [0x4000]",
        "lidt [0x4000]",
        "cli",
        "cld",
        "mov eax, dr0",
        "xor eax, eax; mov fs, eax",
    ],
)
def test_these_do_not_end_their_block(code):
    size = len(code if isinstance(code, bytes) else bytes(Ks(KS_ARCH_X86, KS_MODE_32).asm(code, 0x1000)[0]))
    assert blocks(code)[0][1] > size


def test_each_later_rep_iteration_is_a_block_and_the_last_finds_ecx_zero():
    assert blocks(b"\x90\xf3\xa5") == [(0, 3), (1, 2), (1, 2), (1, 2), (3, 4)]
