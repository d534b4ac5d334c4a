"""What emulator/cpu and emulator/timing rely on in Unicorn 2.1.4: private layout, fills, flushes.

One test for each behaviour. When a new Unicorn fails one, the module named above it must change.
"""

import ctypes

import pytest
import unicorn
from unicorn import (
    UC_ERR_EXCEPTION,
    UC_HOOK_INTR,
    UC_MEM_FETCH,
    UC_MEM_READ,
    UC_MEM_WRITE,
)
from unicorn import x86_const as x86
from unicorn.unicorn_const import UC_CTL_IO_WRITE, UC_CTL_TLB_FLUSH

from emulator.cpu import layout
from tests.cpu.rig import CODE, DATA, EXECUTE, READ, WRITE, Rig, size

# -- private layout (cpu/layout.py)


def test_the_layout_is_found_and_is_that_of_the_wheel() -> None:
    assert layout.discover() == layout.Offsets(cpu=440, env=35408, invalid_address=1416, skip_sync=14898)


@pytest.mark.parametrize("name", ["GDT", "EIP", "ERROR_CODE", "OLD_EXCEPTION"])
def test_a_wrong_offset_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, name, getattr(layout, name) + 8)
    with pytest.raises(layout.LayoutError):
        layout.discover.__wrapped__()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unicorn, "__version__", "2.1.5")
    with pytest.raises(layout.LayoutError, match=r"Unicorn 2\.1\.5 found, 2\.1\.4 needed"):
        layout.discover.__wrapped__()


def test_the_register_file_is_where_it_is_said_to_be() -> None:
    rig = Rig("nop")
    values = {
        x86.UC_X86_REG_EAX: 1, x86.UC_X86_REG_ECX: 2, x86.UC_X86_REG_EDX: 3, x86.UC_X86_REG_EBX: 4,
        x86.UC_X86_REG_ESP: 5, x86.UC_X86_REG_EBP: 6, x86.UC_X86_REG_ESI: 7, x86.UC_X86_REG_EDI: 8,
    }  # fmt: skip
    for register, value in values.items():
        rig.uc.reg_write(register, 0x11111111 * value)
    assert [rig.registers.general(i) for i in range(8)] == [0x11111111 * v for v in values.values()]
    for index, register in ((0, x86.UC_X86_REG_CR0), (3, x86.UC_X86_REG_CR3), (4, x86.UC_X86_REG_CR4)):
        rig.uc.reg_write(register, 0x11 if index != 3 else 0x5000)
        assert rig.registers.control(index) == rig.uc.reg_read(register)
    tables = {
        layout.GDT: x86.UC_X86_REG_GDTR, layout.IDT: x86.UC_X86_REG_IDTR,
        layout.LDT: x86.UC_X86_REG_LDTR, layout.TR: x86.UC_X86_REG_TR,
    }  # fmt: skip
    for offset, register in tables.items():
        rig.uc.reg_write(register, (0, 0x1000 + offset, 0x200 + offset, 0x8B00))
        assert rig.registers.table(offset)[1:] == (0x1000 + offset, 0x200 + offset)


# -- fills (timing/fill.py)


def test_a_page_is_filled_once_and_again_after_a_flush() -> None:
    rig = Rig(f"mov eax, [{DATA}]; mov eax, [{DATA + 8}]")
    rig.run()
    assert rig.fills_of(DATA) == [UC_MEM_READ]
    rig.run(CODE)
    assert rig.fills_of(DATA) == [UC_MEM_READ]
    rig.uc.ctl(UC_CTL_TLB_FLUSH, UC_CTL_IO_WRITE)
    rig.run(CODE)
    assert rig.fills_of(DATA) == [UC_MEM_READ, UC_MEM_READ]


def test_access_kinds_are_numbered_16_17_18() -> None:
    assert (UC_MEM_READ, UC_MEM_WRITE, UC_MEM_FETCH) == (16, 17, 18)
    rig = Rig(f"mov eax, [{DATA}]; mov [{DATA + 0x1000}], eax")
    rig.run()
    assert rig.fills_of(CODE)[0] == 18
    assert (rig.fills_of(DATA), rig.fills_of(DATA + 0x1000)) == ([16], [17])


def test_user_and_supervisor_are_filled_apart() -> None:
    rig = Rig(f"mov eax, [{DATA}]; int3")
    rig.uc.hook_add(UC_HOOK_INTR, lambda uc, _vector, _data: uc.emu_stop())
    for level in (0, 3, 0, 3):
        rig.ring(level)
        rig.run(CODE)
        rig.registers.clear_exception()
    assert rig.fills_of(DATA) == [UC_MEM_READ] * 2
    assert rig.fills_of(CODE).count(UC_MEM_FETCH) == 2


def test_a_missing_permission_asks_again() -> None:
    rig = Rig(f"mov eax, [{DATA}]; mov [{DATA}], eax; mov eax, {DATA}; jmp eax")
    rig.uc.mem_write(DATA, b"\xf4")
    permissions = {UC_MEM_READ: READ, UC_MEM_WRITE: READ | WRITE, UC_MEM_FETCH: READ | EXECUTE}
    rig.translate = lambda page, kind: (page, permissions[kind])
    assert rig.run() == 0
    assert rig.fills_of(DATA) == [UC_MEM_READ, UC_MEM_WRITE, UC_MEM_FETCH]


@pytest.mark.parametrize(
    ("source", "offset", "address"),
    [
        (f"nop; inc eax; mov eax, [{DATA + 0x123}]", "nop; inc eax", DATA + 0x123),
        (f"nop; push ebx; mov [{DATA + 0xFFF}], al", "nop; push ebx", DATA + 0xFFF),
        (f"nop; mov [{DATA - 2}], eax", "nop", DATA),  # the second page of a crossing
        (f"mov esp, {DATA + 8}; nop; push eax", f"mov esp, {DATA + 8}; nop", DATA + 4),
    ],
)
def test_a_refused_fill_ends_with_status_21_and_a_precise_eip(source: str, offset: str, address: int) -> None:
    rig = Rig(source)
    rig.translate = lambda page, kind: None if page == DATA else (page, 7)
    assert rig.run() == UC_ERR_EXCEPTION == 21
    assert rig.registers.eip == CODE + size(offset)
    at = ctypes.c_uint64.from_address(rig.handle + rig.offsets.invalid_address).value
    assert at & 0xFFFFFFFF == address
    rig.translate = lambda page, kind: (page, 7)
    assert rig.run() == 0  # the instruction is restarted
    assert rig.registers.eip == CODE + len(rig.code)


def test_a_refused_fetch_leaves_eip_at_the_target() -> None:
    rig = Rig(f"mov eax, {DATA + 5}; jmp eax")
    rig.translate = lambda page, kind: None if page == DATA else (page, 7)
    assert rig.run() == UC_ERR_EXCEPTION
    assert rig.registers.eip == DATA + 5
    assert all(address != DATA + 5 for address, _ in rig.blocks)


def test_the_interrupt_hook_is_not_called_for_a_refused_fill() -> None:
    rig = Rig(f"mov eax, [{DATA}]")
    rig.uc.hook_add(UC_HOOK_INTR, lambda _uc, vector, _data: rig.log.append(vector))
    rig.translate = lambda page, kind: None if page == DATA else (page, 7)
    rig.run()
    assert rig.log == []


# -- what ends a block and what flushes (timing/after.py)

ENDS = [
    "mov cr3, eax",
    "invlpg [ebx]",
    "mov cr0, ecx",
    "mov cr4, edx",
    "clts",
    "sti",
    "popfd",
    "mov ss, si",
    "hlt",
]


@pytest.mark.parametrize("source", ENDS)
def test_instructions_with_after_effects_end_their_block(source: str) -> None:
    rig = Rig("inc edi; " + source + "; inc edi; inc edi")
    rig.uc.reg_write_batch([(x86.UC_X86_REG_ECX, 0x11), (x86.UC_X86_REG_EBX, DATA)])
    rig.registers.set_general(6, 0x10)
    rig.uc.mem_write(0x30000, b"\x02\0\0\0")
    rig.run()
    assert rig.blocks[0] == (CODE, size("inc edi; " + source))


@pytest.mark.parametrize(
    ("source", "paging", "flushed"),
    [
        ("mov eax, cr3; mov cr3, eax", True, True),
        ("mov eax, cr3; mov cr3, eax", False, False),
        (f"invlpg [{DATA}]", True, True),
        (f"invlpg [{DATA + 0x1000}]", True, False),
        ("mov eax, cr0; xor eax, 0x10000; mov cr0, eax", True, True),
        ("mov eax, cr0; xor eax, 0x80000000; mov cr0, eax", True, True),
        ("mov eax, cr4; xor al, 0x10; mov cr4, eax", True, True),
        ("mov eax, cr4; xor al, 0x80; mov cr4, eax", True, True),
    ],
)
def test_control_instructions_flush_the_soft_tlb(source: str, paging: bool, flushed: bool) -> None:
    rig = Rig(f"mov ebx, [{DATA}]; {source}; mov ebx, [{DATA}]")
    rig.uc.reg_write(x86.UC_X86_REG_CR0, 0x80000011 if paging else 0x11)
    assert rig.run() == 0
    assert len(rig.fills_of(DATA)) == (2 if flushed else 1)
