"""CPUID as the profile says, and RDTSC as modelled time."""

import struct

import pytest

from emulator.cpu.cpuid import cpuid
from tests.cpu.support import CODE3, GP, P3, P4, REPORT, RF, USER, Guest, assemble, profile


def ask(name: str, *leaves: int) -> list[tuple[int, ...]]:
    """What a guest reads, by leaf: EAX, EBX, ECX, EDX."""
    stores = "".join(
        f"mov eax, {leaf:#x}; mov ecx, 0x77; cpuid; mov [{at:#x}], eax; mov [{at + 4:#x}], ebx; "
        f"mov [{at + 8:#x}], ecx; mov [{at + 12:#x}], edx; "
        for at, leaf in zip(range(REPORT, REPORT + 0x100, 16), leaves, strict=False)
    )
    words = Guest(stores).run(name=name).words
    return [words[4 * i : 4 * i + 4] for i in range(len(leaves))]


@pytest.mark.parametrize("name", [P3, P4])
def test_leaf_0_names_the_vendor_in_ebx_edx_ecx(name: str) -> None:
    ((highest, b, c, d),) = ask(name, 0)
    assert struct.pack("<3I", b, d, c) == b"GenuineIntel"
    assert highest == int(profile(name).cpuid.max_leaf.value)


@pytest.mark.parametrize("name", [P3, P4])
def test_leaf_1_has_the_signature_and_features_of_the_profile(name: str) -> None:
    ((signature, _, _, features),) = ask(name, 1)
    family = signature >> 8 & 15
    assert family == (15 if name == P4 else 6)
    for bit, feature in ((0, "FPU"), (4, "TSC"), (5, "MSR"), (11, "SEP"), (13, "PGE"), (25, "SSE")):
        assert features >> bit & 1, feature
    assert features >> 26 & 1 == (name == P4)  # SSE2


@pytest.mark.parametrize("name", [P3, P4])
def test_every_leaf_is_what_the_table_says_to_the_guest_too(name: str) -> None:
    leaves = (0, 1, 2, 3, 0x80000000, 0x80000002, 0x80000004)
    assert ask(name, *leaves) == [cpuid(profile(name), leaf) for leaf in leaves]


@pytest.mark.parametrize("name", [P3, P4])
def test_a_leaf_beyond_the_highest_gives_the_highest(name: str) -> None:
    highest = int(profile(name).cpuid.max_leaf.value)
    assert cpuid(profile(name), highest + 100) == cpuid(profile(name), highest)
    assert cpuid(profile(name), 0x7FFFFFFF) == cpuid(profile(name), highest)


def test_the_brand_string_is_48_bytes_in_three_leaves() -> None:
    assert cpuid(profile(P4), 0x80000000)[0] == 0x80000004
    text = b"".join(struct.pack("<4I", *cpuid(profile(P4), 0x80000002 + i)) for i in range(3))
    assert len(text) == 48
    assert text.rstrip(b"\0").decode("ascii") == str(profile(P4).cpuid.brand.value)
    assert cpuid(profile(P4), 0x80000005) == (0, 0, 0, 0)


def test_a_cpu_without_brand_string_has_no_extended_leaves() -> None:
    assert str(profile(P3).cpuid.brand.value) == ""
    assert cpuid(profile(P3), 0x80000000) == (0, 0, 0, 0)


# -- RDTSC


def test_rdtsc_never_goes_back_and_equals_modelled_cycles() -> None:
    machine = Guest("rdtsc; mov ebx, eax; mov ecx, 1000; .byte 0x49, 0x75, 0xfd; rdtsc").machine(tsc_log=4)
    assert machine.run(max_cycles=1_000_000).kind == "exit"
    (first, a), (second, b) = machine.tsc_snapshots()
    assert machine.processor.registers.general(3) >= 0
    assert 0 < first < second < machine.cycles
    # the sum of the ledger at the reading is the reading
    assert (int(a.sum()), int(b.sum())) == (first, second)
    assert second - first >= 500


def test_the_register_pair_holds_the_logged_reading() -> None:
    guest = Guest(f"rdtsc; mov [{REPORT:#x}], eax; mov [{REPORT + 4:#x}], edx")
    machine = guest.machine(tsc_log=1)
    machine.run(max_cycles=1_000_000)
    low, high = struct.unpack("<2I", machine.ram.read(REPORT, 8))
    assert high << 32 | low == machine.tsc_snapshots()[0][0]


TSD = "mov eax, cr4; or al, 4; mov cr4, eax; "


def test_time_stamp_disable_keeps_rdtsc_from_ring_3() -> None:
    report = Guest(TSD, user="mov eax, 5; mov edx, 6; rdtsc").report()
    at = USER + len(assemble("mov eax, 5; mov edx, 6", 0))
    assert (report.vector, *report.stack[:4]) == (GP, 0, at, CODE3, RF | 2)
    assert (report.registers[0], report.registers[2]) == (5, 6)


def test_time_stamp_disable_leaves_ring_0_alone_and_is_off_at_first() -> None:
    assert Guest(TSD + "rdtsc").run().outcome.status == 99
    guest = Guest(user="rdtsc; int 0x21")
    guest.gate(0x21, dpl=3)
    assert guest.report(qemu=False).vector == 0x21
