"""An interrupt that is pending when an upcall is entered by STI; SYSEXIT.

STI holds interrupts off for one more instruction (SDM 2B, STI), and that instruction is the SYSEXIT. So the
kernel is never interrupted with its half-switched stacks: the interrupt is taken in ring 3, at the handler's
first instruction, on the kernel stack of the extension's thread.
"""

from __future__ import annotations

import re
import struct

import pytest

from emulator.bench.uls import MEMORY_BYTES
from emulator.machine import Machine
from emulator.timing.profile import load_profile
from tests.guest.test_on_ringtoll import PENTIUM3, PENTIUM4, image

pytestmark = pytest.mark.guest

IRQ0_VECTOR = 0x20
IF = 0x200
ESP = 4
STACK_SIZE = 16384
KERNEL_BASE = 0xC0000000
USER_CS, USER_DS = 0x1B, 0x23


def make(profile: str, entry: str) -> tuple[Machine, bytearray]:
    said = bytearray()
    machine = Machine(load_profile(profile), memory_bytes=MEMORY_BYTES, serial_out=said.extend)
    machine.load(image(f"entry={entry}", "bench_uls runs=4", "bench_uls receiver"))
    return machine, said


@pytest.mark.parametrize("entry", ["sysexit", "iret"])
@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_a_pending_interrupt_waits_for_the_handlers_first_instruction(profile: str, entry: str) -> None:
    machine, said = make(profile, entry)
    assert machine.run(max_cycles=20_000_000_000).status == 0
    text = said.decode()
    handler = int(re.search(r"extension: null, entry (\w+)", text).group(1), 16)  # type: ignore[union-attr]
    before = int(re.search(r"^BENCH raw_upcall 2 (\d+)", text, re.M).group(1))  # type: ignore[union-attr]

    machine, said = make(profile, entry)
    registers = machine.processor.registers
    step = 0
    while (
        registers.system_flags & IF or registers.cpl != 0 or machine.cycles < before
    ):  # upcall() has interrupts off
        machine.run(max_cycles=before + step)
        step += 5
        assert step < 2000, "no stretch with interrupts off before the handler"
    taken: list[tuple[int, int, int, bytes]] = []
    deliver = machine.processor.interrupt

    def watch(vector: int) -> None:
        cpl = registers.cpl
        deliver(vector)
        stack = registers.general(ESP) - KERNEL_BASE
        taken.append((vector, cpl, stack, machine.ram.read(stack, 20)))

    machine.processor.interrupt = watch  # type: ignore[method-assign]
    machine.devices.set_irq(0, False)
    machine.devices.set_irq(0, True)
    machine.run(max_cycles=machine.cycles + 20_000)
    vector, cpl, stack, frame = taken[0]
    eip, cs, flags, esp, ss = struct.unpack("<5I", frame)
    assert (vector, cpl) == (IRQ0_VECTOR, 3)
    assert (eip, cs, ss) == (handler, USER_CS, USER_DS)
    assert flags & IF
    assert 0x40400000 < esp < 0x40800000, "not on the stack of the extension"
    assert stack % STACK_SIZE == STACK_SIZE - 20, "not the first thing on a kernel stack"
    thread = machine.ram.read(stack & -STACK_SIZE, 256)
    assert b"null\0" in thread, "not the kernel stack of the extension"
    outcome = machine.run(max_cycles=20_000_000_000)
    assert (outcome.kind, outcome.status) == ("exit", 0)
    assert b"BENCH-END" in said
