"""Random tables, random accesses: our MMU and QEMU's agree on data, faults and the A and D bits.

One guest program makes all accesses of an example on our machine; the native one makes them singly, each
with an empty TLB. Natively a faulting access may set A (and, when it crosses pages, D of its first page);
ours may not (SDM vol. 3A 4.8), so the native tables are put back after a fault.
"""

import struct

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.mmu.native import Access, Native
from tests.support import (
    DIRECTORY,
    EXIT,
    PROFILES,
    PROGRAM,
    TABLES,
    TO_KERNEL,
    TO_USER,
    Rig,
    assemble,
)

FIRST_AREA = 4  # PDE number; areas 4 to 7 are under test, and 8 is never mapped
AREAS = 4
PAGES = 4  # of each area; the last one of an area is never mapped
BIG_FRAMES = (0x400, 0x800)
SMALL_FRAMES = (0x400, 0x401, 0x402, 0x801, 0xC00)
LOW_BITS = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x100 | 0xE00  # P, R/W, U/S, PWT, PCD, G, free

# mostly present, any rights
bits = st.builds(
    lambda low, present: (low & LOW_BITS) | present, st.integers(0, 0xFFF), st.sampled_from([1, 1, 1, 0])
)
directories = st.lists(
    st.tuples(bits, st.booleans(), st.sampled_from(BIG_FRAMES), st.integers(0, AREAS - 1)),
    min_size=AREAS,
    max_size=AREAS,
)  # bits, large, its frame, or number of the table
tables = st.lists(
    st.lists(st.tuples(bits, st.sampled_from(SMALL_FRAMES)), min_size=PAGES - 1, max_size=PAGES - 1),
    min_size=AREAS,
    max_size=AREAS,
)
OFFSETS = {"read": 0x20, "write": 0x40, "fetch": 0x10}
accesses = st.lists(
    st.builds(
        lambda kind, crosses, area, page, user, wp, number: Access(
            kind,
            (FIRST_AREA + area << 22)
            + (page << 12)
            + (0xFFE if crosses and kind != "fetch" else OFFSETS[kind]),
            0x5EC20000 + number,
            user,
            wp,
        ),
        st.sampled_from(["read", "write", "fetch"]),
        st.sampled_from([False, False, True]),
        st.integers(0, AREAS - 1),
        st.integers(0, PAGES - 1),
        st.booleans(),
        st.booleans(),
        st.integers(0, 0xFFFF),
    ),
    min_size=1,
    max_size=30,
)


def program(sequence: list[Access]) -> bytes:
    """Make each access; success logs EAX, a fault goes on behind."""
    toggle = assemble("mov eax, cr0; xor eax, 0x10000; mov cr0, eax", PROGRAM)
    code = b"\x31\xdb"
    ring, wp = 0, True
    for access in sequence:
        if access.wp != wp:
            code += (b"" if ring == 0 else assemble(TO_KERNEL, PROGRAM)) + toggle
            ring, wp = 0, access.wp
        if access.user != (ring == 3):
            code += assemble(TO_USER if access.user else TO_KERNEL, PROGRAM)
            ring = 3 if access.user else 0
        body = (
            b"\xb8"
            + struct.pack("<I", access.value)
            + b"\xb9"
            + struct.pack("<I", access.address)
            + access.code()
        )
        body += b"" if access.kind == "fetch" else b"\xcd\x30"
        code += b"\xbf" + struct.pack("<I", PROGRAM + len(code) + 5 + len(body)) + body
    return code + assemble(EXIT, PROGRAM)


def prepare(
    rig: Rig, directory: list[tuple[int, bool, int, int]], table: list[list[tuple[int, int]]]
) -> None:
    for area, (low, big, frame, number) in enumerate(directory):
        value = low | 0x80 | frame << 12 if big else low | TABLES + 4096 * number
        rig.poke(DIRECTORY + 4 * (FIRST_AREA + area), value)
        for page, (pte_low, small) in enumerate(table[area]):
            rig.poke(TABLES + 4096 * area + 4 * page, pte_low | small << 12)
    for frame in {f + i for f in BIG_FRAMES for i in range(PAGES)} | set(SMALL_FRAMES):
        words = [frame << 16 | offset for offset in range(1024)]
        rig.machine.ram.write(frame << 12, struct.pack("<1024I", *words))
        rig.machine.ram.write((frame << 12) + 0x10, b"\xb8" + struct.pack("<I", frame) + b"\xcd\x30\xff\xe7")


def entries(read) -> list[int]:
    """All table entries under test, with their A and D bits."""
    found = struct.unpack(f"<{AREAS}I", read(DIRECTORY + 4 * FIRST_AREA, 4 * AREAS))
    for area in range(AREAS):
        found += struct.unpack(f"<{PAGES}I", read(TABLES + 4096 * area, 4 * PAGES))
    return list(found)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("accounting", [True, False], ids=["accounting", "plain"])
# no shrinking: it would keep thousands of machines, and an example is a short program anyway
@settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(directory=directories, table=tables, sequence=accesses)
def test_our_mmu_and_the_native_one_agree(
    profile: str,
    accounting: bool,
    directory: list[tuple[int, bool, int, int]],
    table: list[list[tuple[int, int]]],
    sequence: list[Access],
) -> None:
    rig = Rig(profile, accounting=accounting)
    prepare(rig, directory, table)
    native = Native(rig.machine.ram.bytes.tobytes())
    log = rig.run(program(sequence), max_cycles=5_000_000)
    assert len(log) == len(sequence), (log, sequence)
    for number, access in enumerate(sequence):
        before = native.read(DIRECTORY, TABLES + 4096 * AREAS - DIRECTORY)
        expected = native.run(access)
        assert log[number] == expected, f"access {number}: {access}"
        if expected[0] == 14:
            native.write(DIRECTORY, before)
    data = 0x400000
    assert np.array_equal(rig.machine.ram.bytes[data:], np.frombuffer(native.ram, np.uint8)[data:])
    if not accounting and any(access.address & 0xFFF == 0xFFE for access in sequence):
        return  # a translation for the first page sets its A and D then, even if the second one faults
    assert [hex(entry) for entry in entries(rig.machine.ram.read)] == [
        hex(entry) for entry in entries(native.read)
    ]
