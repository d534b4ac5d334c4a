"""MOV CR4: bits of features that the CPU doesn't have, PAE among them, are reserved (SDM vol. 2A)."""

import pytest

from emulator.cpu.cpuid import NOT_MODELLED, PAE, cpuid
from tests.cpu.support import CODE0, GP, MAIN, P3, P4, REPORT, Guest, assemble, profile

ALL_BUT_PAE = 0x7DF


@pytest.mark.parametrize("name", [P3, P4])
def test_cpuid_does_not_offer_what_is_not_modelled(name: str) -> None:
    assert int(profile(name).cpuid.feature_edx.value) & PAE
    assert not cpuid(profile(name), 1)[3] & NOT_MODELLED


@pytest.mark.parametrize("value", [1 << 5, 1 << 11, 1 << 31])
@pytest.mark.parametrize("register", ["eax", "edi"])
def test_a_reserved_bit_is_a_general_protection_fault_and_changes_nothing(value: int, register: str) -> None:
    before = f"mov {register}, cr4; or {register}, {value:#x}"
    report = Guest(f"{before}; mov cr4, {register}").report(qemu=False)  # QEMU has PAE
    assert (report.vector, *report.stack[:3]) == (GP, 0, MAIN + len(assemble(before, MAIN)), CODE0)


@pytest.mark.parametrize("name", [P3, P4])
def test_every_other_bit_can_be_set_and_is_read_back(name: str) -> None:
    guest = Guest(f"mov eax, {ALL_BUT_PAE:#x}; mov cr4, eax; mov ebx, cr4; mov [{REPORT:#x}], ebx")
    assert guest.run(name=name).words[0] == ALL_BUT_PAE


def test_a_shutdown_after_setting_pae_says_what_was_missing() -> None:
    ran = Guest("lidt [0x90000]; mov eax, 0x20; mov cr4, eax").run()
    assert "no PAE" in ran.outcome.message
