"""What emulator/cpu and emulator/timing rely on in Unicorn 2.1.4: blocks, memory hooks, translations."""

import contextlib
import ctypes
from typing import Any

import pytest
from unicorn import (
    UC_ERR_EXCEPTION,
    UC_HOOK_BLOCK,
    UC_HOOK_CODE,
    UC_HOOK_EDGE_GENERATED,
    UC_HOOK_MEM_READ,
    UC_MEM_FETCH,
    UC_MEM_READ,
    UC_MEM_WRITE,
    Uc,
    UcError,
)
from unicorn import x86_const as x86

from emulator.cpu.registers import EAX, ECX, HF_INHIBIT_IRQ, IF
from tests.cpu.rig import (
    CODE,
    DATA,
    EXECUTE,
    READ,
    WRITE,
    Rig,
    memory,
    size,
)

# -- blocks (timing/hooks.py)


def test_a_stop_in_the_block_hook_comes_before_the_block_and_the_hook_is_called_again() -> None:
    rig = Rig("inc eax; jmp next; next: inc ebx; jmp last; last: inc ecx")
    second = CODE + size("inc eax; jmp next; next:")
    stops = [second]

    def stop(uc: Uc, address: int, _size: int, _data: Any) -> None:
        if address in stops:
            stops.remove(address)
            uc.emu_stop()

    rig.uc.hook_add(UC_HOOK_BLOCK, stop)
    assert rig.run() == 0
    assert (rig.registers.eip, rig.registers.general(EAX), rig.registers.general(3)) == (second, 1, 0)
    assert rig.run() == 0
    assert (rig.registers.general(3), rig.registers.general(ECX)) == (1, 1)
    assert [address for address, _ in rig.blocks].count(second) == 2


def test_a_register_write_of_eip_in_the_block_hook_starts_there_instead() -> None:
    rig = Rig("inc eax; jmp next; next: inc ebx; hlt; inc ecx")
    second = CODE + size("inc eax; jmp next; next:")

    def redirect(uc: Uc, address: int, _size: int, _data: Any) -> None:
        if address == second:
            uc.reg_write(x86.UC_X86_REG_EIP, second + size("inc ebx; hlt"))

    rig.uc.hook_add(UC_HOOK_BLOCK, redirect)
    assert rig.run() == 0
    assert (rig.registers.general(EAX), rig.registers.general(3), rig.registers.general(ECX)) == (1, 0, 1)


def test_the_edge_hook_fires_for_a_new_translation_and_for_a_rewritten_one() -> None:
    source = f"call next; mov byte ptr [{DATA}], 0x43; call next; hlt; next: mov eax, {DATA}; jmp eax"
    rig = Rig(source)
    rig.uc.mem_write(DATA, b"\x40\xc3")  # inc eax; ret
    rig.uc.hook_add(UC_HOOK_EDGE_GENERATED, lambda _uc, now, _before, _data: rig.log.append(now.pc))
    assert rig.run() == 0
    assert rig.log.count(DATA) == 2
    assert rig.registers.general(3) == 1


def test_each_rep_iteration_is_a_block_of_its_own() -> None:
    rig = Rig(f"mov edi, {DATA}; mov ecx, 5; rep stosb; inc eax")
    rig.run()
    at = CODE + size(f"mov edi, {DATA}; mov ecx, 5")
    assert rig.blocks[0][0] == CODE
    # the first iteration is in the first block; the last block finds ECX = 0
    assert [address for address, _ in rig.blocks].count(at) == 5


def test_the_end_address_is_never_looked_at_in_exits_mode() -> None:
    rig = Rig("inc eax; inc eax; inc eax")
    with contextlib.suppress(UcError):
        rig.uc.emu_start(CODE, CODE + 1)
    assert rig.registers.general(EAX) == 3
    assert all(page != CODE + 1 & ~0xFFF or kind == UC_MEM_FETCH for page, kind in rig.fills)
    assert (0xFFFFF000, UC_MEM_FETCH) not in rig.fills


@pytest.mark.parametrize("shadowing", ["sti", "mov ss, si", "pop ss"])
def test_the_interrupt_shadow_is_one_block_of_one_instruction_with_a_flag(shadowing: str) -> None:
    rig = Rig(shadowing + "; inc eax; inc ebx")
    rig.registers.set_general(6, 0x10)
    rig.uc.mem_write(0x30000, b"\x10\0\0\0")
    seen = []

    def block(_uc: Uc, address: int, length: int, _data: Any) -> None:
        seen.append((address - CODE, length, rig.registers.hflags & HF_INHIBIT_IRQ))

    rig.uc.hook_add(UC_HOOK_BLOCK, block)
    rig.run()
    first = size(shadowing)
    assert seen == [(0, first, 0), (first, 1, HF_INHIBIT_IRQ), (first + 1, 2, 0)]


def test_between_blocks_if_is_in_the_raw_flags_and_condition_codes_are_not() -> None:
    rig = Rig("xor eax, eax; sti; nop; nop")
    seen = []
    rig.uc.hook_add(UC_HOOK_BLOCK, lambda *_: seen.append(rig.registers.system_flags & (IF | 0x40)))
    rig.run()
    assert seen == [0, IF, IF]
    assert rig.uc.reg_read(x86.UC_X86_REG_EFLAGS) & 0x40


def test_hlt_ends_with_status_0_behind_it() -> None:
    rig = Rig("nop; hlt; inc eax")
    assert rig.run() == 0
    assert (rig.registers.eip, rig.registers.general(EAX)) == (CODE + 2, 0)
    assert rig.run() == 0
    assert rig.registers.general(EAX) == 1


# -- memory hooks (timing/hooks.py)


def test_memory_hooks_report_physical_addresses_after_the_fill_and_before_the_access() -> None:
    rig = Rig(f"mov eax, 0x12345678; mov [{DATA + 4}], eax; mov ebx, [{DATA + 4}]")
    rig.translate = lambda page, kind: (page + 0x1000 if page == DATA else page, 7)
    seen = memory(rig)
    rig.run()
    assert seen == [(UC_MEM_WRITE, DATA + 0x1004, 4), (UC_MEM_READ, DATA + 0x1004, 4)]
    assert rig.registers.general(3) == 0x12345678
    before = Rig(f"mov dword ptr [{DATA + 0x1000}], 0x12345678")
    memory(before)
    before.run()
    assert before.log == [("access", DATA + 0x1000, bytes(4))]


@pytest.mark.parametrize(
    ("source", "kind"), [("mov eax, [{}]", UC_MEM_READ), ("mov [{}], eax", UC_MEM_WRITE)]
)
def test_an_access_across_pages_is_reported_once_with_the_first_pages_address(source: str, kind: int) -> None:
    rig = Rig(source.format(DATA + 0xFFE))
    # the second page lies elsewhere physically
    rig.translate = lambda page, _kind: (page + 0x4000 if page == DATA + 0x1000 else page, 7)
    seen = memory(rig)
    rig.run()
    assert seen == [(kind, DATA + 0xFFE, 4)]
    assert (rig.fills_of(DATA), rig.fills_of(DATA + 0x1000)) == ([kind], [kind])


@pytest.mark.parametrize(("flag", "expected"), [(0, 2), (1, 0)])
def test_with_skip_sync_set_eip_is_stale_in_memory_hooks_but_fills_stay_precise(
    flag: int, expected: int
) -> None:
    rig = Rig(f"nop; nop; mov eax, [{DATA}]; nop; mov eax, [{DATA + 0x1000}]")
    rig.translate = lambda page, kind: None if page == DATA + 0x1000 else (page, 7)
    rig.run()  # fills DATA, which brings EIP up to date
    skip = ctypes.c_uint8.from_address(rig.handle + rig.offsets.skip_sync)
    rig.uc.hook_add(UC_HOOK_BLOCK, lambda *_: setattr(skip, "value", flag))
    rig.uc.hook_add(UC_HOOK_MEM_READ, lambda *_: rig.log.append(rig.registers.eip - CODE))
    rig.uc.ctl_flush_tb()
    assert rig.run(CODE) == UC_ERR_EXCEPTION
    assert rig.log[0] == expected
    assert rig.registers.eip == CODE + size(f"nop; nop; mov eax, [{DATA}]; nop")


# -- address hooks added at run time (cpu/intercepts.py, cpu/blocks.py)


def test_an_address_hook_added_in_the_block_hook_works_once_the_translation_is_removed() -> None:
    rig = Rig("inc eax; inc eax; inc eax")
    added = []

    def seen(*_: Any) -> None:
        rig.log.append(rig.registers.general(EAX))

    def prepare(uc: Uc, address: int, length: int, _data: Any) -> None:
        if address == CODE and not added:
            added.append(1)
            uc.hook_add(
                UC_HOOK_CODE,
                lambda *_: rig.log.append(rig.registers.general(EAX)),
                begin=CODE + 1,
                end=CODE + 1,
            )
            uc.ctl_remove_cache(address, address + length)
            uc.reg_write(x86.UC_X86_REG_EIP, address)

    rig.uc.hook_add(UC_HOOK_BLOCK, prepare)
    assert rig.run() == 0
    assert rig.log == [1]
    assert rig.registers.general(EAX) == 3


def test_an_address_hook_is_not_seen_by_a_translation_that_exists() -> None:
    rig = Rig("inc eax; inc eax")
    rig.run()
    rig.uc.hook_add(UC_HOOK_CODE, lambda *_: rig.log.append(1), begin=CODE + 1, end=CODE + 1)
    rig.run(CODE)
    assert rig.log == []
    rig.uc.ctl_flush_tb()
    rig.run(CODE)
    assert rig.log == [1]


def test_a_register_write_of_eip_in_an_address_hook_skips_the_instruction() -> None:
    rig = Rig("inc eax; inc eax; inc ebx")
    rig.uc.hook_add(
        UC_HOOK_CODE,
        lambda uc, at, *_: uc.reg_write(x86.UC_X86_REG_EIP, at + 1),
        begin=CODE + 1,
        end=CODE + 1,
    )
    assert rig.run() == 0
    assert (rig.registers.general(EAX), rig.registers.general(3)) == (1, 1)


def test_removing_a_translation_asks_for_a_fetch_fill_of_its_address() -> None:
    """So `Engine.retranslate` clears the fault that such a fill may leave."""
    rig = Rig("nop")
    rig.translate = lambda page, kind: None if page == DATA else (page, 7)
    with contextlib.suppress(UcError):
        rig.uc.ctl_remove_cache(DATA, DATA + 1)
    assert rig.fills_of(DATA) == [UC_MEM_FETCH]


# -- memory


def test_device_memory_is_asked_by_offset_in_its_region() -> None:
    rig = Rig("mov eax, [0x200004]; mov word ptr [0x200008], 0x1234; movzx ebx, byte ptr [0x2000ff]")
    seen: list[tuple[Any, ...]] = []

    def read(_uc: Uc, offset: int, length: int, _data: Any) -> int:
        seen.append(("read", offset, length))
        return (1 << 8 * length) - 1

    def write(_uc: Uc, offset: int, length: int, value: int, _data: Any) -> None:
        seen.append(("write", offset, length, value))

    rig.uc.mmio_map(0x200000, (1 << 32) - 0x200000, read, None, write, None)
    assert rig.run() == 0
    assert seen == [("read", 4, 4), ("write", 8, 2, 0x1234), ("read", 0xFF, 1)]
    assert (rig.registers.general(EAX), rig.registers.general(3)) == (0xFFFFFFFF, 0xFF)


def test_a_store_to_a_page_filled_without_execute_leaves_stale_code_in_another_alias() -> None:
    """Why a frame is never writable and executable at once (timing/fill.py): this is what would happen."""
    alias = DATA + 0x10000
    store = f"mov byte ptr [{alias}], "
    source = f"{store}0x40; call again; {store}0x43; call again; hlt; again: mov edx, {DATA}; jmp edx"
    counts = []
    for permissions in (READ | WRITE, READ | WRITE | EXECUTE):
        rig = Rig(source)
        rig.uc.mem_write(DATA, b"\x40\xc3")

        def translate(page: int, kind: int, permissions: int = permissions) -> tuple[int, int]:
            if kind == UC_MEM_FETCH:
                return page, READ | EXECUTE
            return (DATA if page == alias else page), permissions

        rig.translate = translate
        rig.run()
        counts.append(rig.registers.general(3))
    assert counts == [0, 1]
