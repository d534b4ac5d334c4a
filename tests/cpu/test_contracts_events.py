"""What emulator/cpu and emulator/timing rely on in Unicorn 2.1.4: exceptions, hooked instructions."""

import ctypes
from typing import Any

import pytest
from unicorn import (
    UC_HOOK_INSN,
    UC_HOOK_INSN_INVALID,
    UC_HOOK_INTR,
    Uc,
)
from unicorn import x86_const as x86

from emulator.cpu import layout
from emulator.cpu.registers import EAX, EDX, SS
from tests.cpu.rig import CODE, DATA, Rig, interrupts, size

# -- exceptions (cpu/processor.py, cpu/delivery.py)


@pytest.mark.parametrize(
    ("source", "vector", "software", "eip"),
    [
        ("nop; int 0x21", 0x21, True, 3),
        ("nop; int3", 3, True, 2),
        ("mov al, 0x7f; inc al; into", 4, True, 5),
        ("xor ecx, ecx; div ecx", 0, False, 2),
        ("nop; mov ax, 0x1238; mov ds, ax", 13, False, 5),
    ],
)
def test_a_fault_is_reported_at_the_instruction_and_int_behind_it(
    source: str, vector: int, software: bool, eip: int
) -> None:
    rig = Rig(source)
    seen = interrupts(rig)
    rig.run()
    assert (seen[0].vector, seen[0].software, seen[0].eip) == (vector, software, eip)
    assert seen[0].error == (0x1238 if vector == 13 else 0)


def test_into_does_not_end_its_block() -> None:
    rig = Rig("into; inc eax; inc eax")
    rig.run()
    assert rig.blocks[0][1] == size("into; inc eax; inc eax; hlt")


def test_a_second_exception_is_a_double_fault_until_old_exception_is_cleared() -> None:
    for cleared, expected in ((False, [13, 8]), (True, [13, 13])):
        rig = Rig("mov ax, 0x1238; mov ds, ax")
        seen = interrupts(rig)
        rig.run()
        if cleared:
            rig.registers.clear_exception()
        rig.run(CODE)
        assert [s.vector for s in seen] == expected


def test_a_batch_write_of_eip_in_the_interrupt_hook_goes_on_there() -> None:
    rig = Rig("int 0x21; inc eax; hlt; inc ebx")
    target = CODE + size("int 0x21; inc eax; hlt")
    rig.uc.hook_add(
        UC_HOOK_INTR, lambda uc, _vector, _data: uc.reg_write_batch([(x86.UC_X86_REG_EIP, target)])
    )
    assert rig.run() == 0
    assert (rig.registers.general(EAX), rig.registers.general(3)) == (0, 1)


def test_an_undefined_opcode_has_a_hook_of_its_own_in_which_eip_may_be_poked() -> None:
    rig = Rig("nop; ud2; inc eax; hlt; inc ebx")
    seen = interrupts(rig)

    def invalid(_uc: Uc, _data: Any) -> bool:
        rig.log.append(rig.registers.eip - CODE)
        rig.registers.eip = CODE + size("nop; ud2; inc eax; hlt")
        rig.registers.clear_exception()
        return True

    rig.uc.hook_add(UC_HOOK_INSN_INVALID, invalid)
    assert rig.run() == 0
    assert (rig.log, seen, rig.registers.general(3)) == ([1], [], 1)


def test_hflags_do_not_follow_iopl_and_vm() -> None:
    """So they are read from EFLAGS (cpu/intercepts.py)."""
    rig = Rig("push 0x3002; popfd; nop")
    rig.run()
    assert rig.registers.system_flags & 0x3000 == 0x3000
    assert rig.registers.hflags & 0x3000 == 0


# -- instruction hooks (cpu/engine.py, cpu/sysenter.py, timing/tsc.py)


def test_the_sysenter_hook_may_poke_eip_to_which_2_is_added() -> None:
    rig = Rig("sysenter; inc eax; hlt; inc ebx")
    target = CODE + size("sysenter; inc eax; hlt")

    def sysenter(_uc: Uc, _data: Any) -> None:
        rig.registers.eip = target - 2

    rig.uc.hook_add(UC_HOOK_INSN, sysenter, aux1=x86.UC_X86_INS_SYSENTER)
    assert rig.run() == 0
    assert (rig.registers.general(EAX), rig.registers.general(3)) == (0, 1)


def test_sysenter_without_a_hook_does_nothing() -> None:
    rig = Rig("sysenter; inc eax")
    rig.uc.msr_write(0x174, 8)
    assert rig.run() == 0
    assert rig.registers.general(EAX) == 1


def test_sysexit_is_native_and_reads_the_engines_msr() -> None:
    rig = Rig(f"mov edx, {CODE + 0x80}; mov ecx, 0x2f000; sysexit")
    rig.uc.mem_write(CODE + 0x80, b"\x8c\xc8\xcc")  # mov eax, cs; int3
    rig.uc.msr_write(0x174, 8)
    interrupts(rig)
    rig.run()
    assert (rig.registers.general(EAX), rig.registers.cpl) == (0x1B, 3)
    assert rig.registers.general(4) == 0x2F000
    assert rig.registers.selector(SS) == 0x23


def test_in_and_out_call_their_hooks_at_any_ring_once_an_element() -> None:
    rig = Rig(f"in al, 0x60; out 0x61, ax; mov dx, 0x62; mov edi, {DATA}; mov ecx, 3; rep insd; hlt")
    rig.ring(3)
    seen: list[tuple[Any, ...]] = []

    def inp(_uc: Uc, port: int, length: int, _data: Any) -> int:
        seen.append(("in", port, length))
        return 0xA1B2C3D4

    rig.uc.hook_add(UC_HOOK_INSN, inp, aux1=x86.UC_X86_INS_IN)
    rig.uc.hook_add(
        UC_HOOK_INSN,
        lambda _uc, port, length, value, _data: seen.append(("out", port, length, value)),
        aux1=x86.UC_X86_INS_OUT,
    )
    interrupts(rig)
    rig.run()
    assert seen == [("in", 0x60, 1), ("out", 0x61, 2, 0x00D4), *[("in", 0x62, 4)] * 3]
    assert rig.uc.mem_read(DATA, 12) == b"\xd4\xc3\xb2\xa1" * 3


def test_the_cpuid_hook_replaces_cpuid_when_it_returns_1() -> None:
    rig = Rig("mov eax, 0; cpuid")

    def cpuid(_uc: Uc, _data: Any) -> int:
        rig.registers.set_general(EAX, 77)
        return 1

    rig.uc.hook_add(UC_HOOK_INSN, cpuid, aux1=x86.UC_X86_INS_CPUID)
    rig.run()
    assert rig.registers.general(EAX) == 77


def test_the_rdtsc_hook_exists_below_the_binding() -> None:
    rig = Rig("rdtsc; mov ebx, edx")

    def rdtsc(_uc: Any, _data: Any) -> int:
        rig.registers.set_general(EAX, 0x11)
        rig.registers.set_general(EDX, 0x22)
        return 1

    pointer = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(rdtsc)
    handle = ctypes.c_size_t()
    status = layout.uclib.uc_hook_add(
        ctypes.c_void_p(rig.handle), ctypes.byref(handle), ctypes.c_int(UC_HOOK_INSN),
        ctypes.cast(pointer, ctypes.c_void_p), None, ctypes.c_uint64(1), ctypes.c_uint64(0),
        ctypes.c_int(x86.UC_X86_INS_RDTSC),
    )  # fmt: skip
    assert status == 0
    rig.run()
    assert (rig.registers.general(EAX), rig.registers.general(3)) == (0x11, 0x22)


def test_rdtsc_checks_time_stamp_disable_before_its_hook() -> None:
    rig = Rig("rdtsc")
    rig.uc.reg_write(x86.UC_X86_REG_CR4, 4)
    rig.ring(3)
    seen = interrupts(rig)
    rig.run()
    assert [s.vector for s in seen] == [13]
