"""External interrupts: when they are taken, and HLT (SDM vol. 3A, 5.8; vol. 2, STI, MOV SS, HLT)."""

import itertools
import struct

import pytest

from emulator.machine import Machine
from tests.cpu.support import (
    CODE0,
    CODE3,
    DATA0,
    DATA3,
    FINISH,
    IF,
    MAIN,
    NP,
    RAN_ON,
    REPORT,
    USER,
    Guest,
    assemble,
    stack_of,
)

TICK = 1400e6 / 1193182  # cycles of a PIT tick on the Pentium 4 of the profile
IRQ0, IRQ4 = 0x20, 0x24


def out(*pairs: tuple[int, int]) -> str:
    return "".join(f"mov al, {value:#x}; out {port:#x}, al; " for port, value in pairs)


def pic(mask: int = 0xFE) -> str:
    return out((0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, mask))


def pit(count: int, mode: int = 2) -> str:
    return out((0x43, 0x30 | mode << 1), (0x40, count & 0xFF), (0x40, count >> 8))


EOI = out((0x20, 0x20))
# COM1's receive interrupt on, and OUT2, its way to the PIC
UART = "mov al, 1; mov dx, 0x3f9; out dx, al; mov al, 8; mov dx, 0x3fc; out dx, al; "
# IRQ 0 is waiting once this is through, with IF off
PENDING = pic() + pit(20, 0) + "mov ecx, 60000; .byte 0x49, 0x75, 0xfd; "


def frame_of_interrupt(source: str) -> tuple[int, int]:
    """EIP in the frame of IRQ 0, waiting while `source` runs with IF off at first; and ESP at its handler."""
    guest = Guest(PENDING + source)
    ran = guest.run()
    assert ran.outcome.status == 1, ran.outcome
    assert ran.report.vector == IRQ0
    return ran.report.stack[0] - MAIN - len(assemble(PENDING, MAIN)), ran.report.esp


def size(source: str) -> int:
    return len(assemble(source, 0))


def test_nothing_is_delivered_while_if_is_off() -> None:
    ran = Guest(PENDING + "mov ecx, 100000; .byte 0x49, 0x75, 0xfd").run()
    assert ran.outcome.status == RAN_ON
    assert ran.machine.state.interrupt_pending == 1


def test_sti_takes_effect_after_the_next_instruction() -> None:
    assert frame_of_interrupt("sti; inc eax; inc ebx; inc ecx")[0] == size("sti; inc eax")


def test_sti_cli_lets_nothing_through() -> None:
    ran = Guest(PENDING + "sti; cli; nop; nop; sti; cli; nop").run()
    assert ran.outcome.status == RAN_ON


def test_a_second_sti_does_not_prolong_the_shadow() -> None:
    assert frame_of_interrupt("sti; sti; inc eax; inc ebx")[0] == size("sti; sti")


@pytest.mark.parametrize(("load", "before"), [("mov ss, dx", ""), ("pop ss", "push edx; ")])
def test_loading_ss_protects_the_instruction_that_loads_esp(load: str, before: str) -> None:
    """Many interrupts at all phases of a loop: none between the two loads, some elsewhere."""
    top = stack_of(4) - 0x400
    body = [before, load, f"mov esp, {top:#x}", "inc eax", "dec ecx"]
    setup = pic() + pit(7) + f"mov edx, {DATA0}; mov esp, {top:#x}; mov ecx, 40000; sti; "
    loop = "again: " + "; ".join(part.strip("; ") for part in body if part) + "; jnz again"
    guest = Guest(setup + loop)
    log = 0x300000
    guest.handler(
        IRQ0,
        f"push eax; push ebx; mov ebx, [esp+8]; and ebx, 0xff; inc byte ptr [ebx+{log:#x}]; "
        f"{EOI}pop ebx; pop eax; iretd",
    )
    guest.pieces[0x200000] = b"\0"
    ran = guest.run(max_cycles=100_000_000)
    assert ran.outcome.status == RAN_ON
    counts = ran.machine.ram.read(log, 256)
    start = MAIN + size(setup)
    protected = start + size(before + load)
    assert counts[protected & 0xFF] == 0
    assert counts[start & 0xFF] > 0
    assert counts[protected + 5 & 0xFF] > 0


def test_popf_has_no_shadow() -> None:
    assert frame_of_interrupt("push 0x202; popfd; inc eax; inc ebx")[0] == size("push 0x202; popfd")


def test_iret_has_no_shadow() -> None:
    guest = Guest(PENDING + f"push 0x202; push {CODE0}; push 0x148000; iretd")
    guest.place(0x148000, "inc eax; ud2")
    eip, cs, flags = guest.report(qemu=False).stack[:3]
    assert (eip, cs, flags) == (0x148000, CODE0, 0x202)


def test_sti_hlt_is_atomic() -> None:
    """The interrupt is taken after HLT, not before it: the frame's EIP is behind HLT."""
    assert frame_of_interrupt("sti; hlt; inc eax")[0] == size("sti; hlt")


def test_an_interrupt_in_ring_3_enters_ring_0_by_the_tss() -> None:
    guest = Guest(PENDING, user=".byte 0xeb, 0xfe")
    guest.user_flags = 0x202
    report = guest.report(qemu=False)
    assert report.vector == IRQ0
    assert report.stack[:5] == (USER, CODE3, 0x202, stack_of(3), DATA3)
    assert report.esp == stack_of(0) - 20
    assert report.eflags & IF == 0


def test_the_fault_of_an_interrupts_gate_has_the_ext_bit() -> None:
    guest = Guest(PENDING + "sti; nop; nop")
    guest.gate(IRQ0, present=False)
    report = guest.report(qemu=False)
    assert (report.vector, report.stack[0]) == (NP, IRQ0 * 8 + 3)


# -- the timer


def ticking(count: int, body: str, irqs: int) -> Guest:
    """IRQ 0 every `count` ticks stores the time and leaves after `irqs` of them; `body` is what main does."""
    guest = Guest(pic() + pit(count) + f"mov ebp, {REPORT:#x}; sti; {body}")
    done = f"mov bl, 1; cmp ebp, {REPORT + 8 * irqs:#x}; je finish; pop edx; pop eax; iretd; "
    done += f"finish: jmp {FINISH:#x}"
    guest.handler(IRQ0, f"push eax; push edx; rdtsc; mov [ebp], eax; add ebp, 8; {EOI}{done}")
    return guest


@pytest.mark.parametrize("body", [".byte 0xeb, 0xfe", "hlt; .byte 0xeb, 0xfd"])
def test_a_periodic_timer_interrupts_at_its_period(body: str) -> None:
    ran = ticking(100, body, 5).run()
    assert ran.outcome.status == 1
    times = [ran.words[2 * i] for i in range(5)]
    for earlier, later in itertools.pairwise(times):
        assert abs(later - earlier - 100 * TICK) < 1000  # block length and branch costs


def test_the_same_run_twice_takes_every_interrupt_at_the_same_cycle() -> None:
    first, second = (ticking(37, "inc eax; .byte 0xeb, 0xfd", 8).run() for _ in range(2))
    assert first.words == second.words
    assert first.machine.statistics() == second.machine.statistics()


def test_masking_in_the_pic_keeps_the_timer_away() -> None:
    guest = Guest(pic(0xFF) + pit(20) + "sti; mov ecx, 100000; .byte 0x49, 0x75, 0xfd")
    assert guest.run().outcome.status == RAN_ON


def halted(count: int = 1000) -> Machine:
    """A machine in HLT that waits for IRQ 0, whose handler reports."""
    machine = Guest(pic() + pit(count, 0) + "sti; hlt; mov ebx, 0x77").machine()
    outcome = machine.run(max_cycles=machine.cycles + 100_000)
    assert outcome.kind == "limit"
    assert machine.cycles == 100_000  # inside HLT the limit is exact
    return machine


def test_hlt_wakes_at_the_exact_cycle_of_the_event() -> None:
    machine = halted()
    deadline = machine.events.next_deadline()
    assert deadline is not None
    before = machine.instructions
    assert machine.run(max_cycles=deadline - 1).kind == "limit"
    assert (machine.cycles, machine.instructions) == (deadline - 1, before)
    assert machine.run(max_cycles=deadline).kind == "limit"
    assert machine.cycles == deadline
    assert machine.instructions == before
    assert machine.run(max_cycles=deadline + 1_000_000).status == 1
    vector, eip = (
        struct.unpack("<I", machine.ram.read(REPORT, 4))[0],
        struct.unpack("<I", machine.ram.read(REPORT + 128, 4))[0],
    )
    assert vector == IRQ0
    assert eip == MAIN + size(pic() + pit(1000, 0) + "sti; hlt")
    machine.ledger.check(machine.cycles)


def test_time_in_hlt_is_booked_on_halt() -> None:
    machine = halted()
    before = machine.ledger.by_cause()["halt"]
    machine.run(max_cycles=400_000)
    assert machine.ledger.by_cause()["halt"] - before == 300_000


def test_a_stop_request_in_hlt_leaves_the_processor_halted() -> None:
    machine = halted()
    calls = []

    def stop() -> bool:
        calls.append(1)
        return True

    assert machine.run(stop=stop).kind == "interrupted"
    assert machine.run(max_cycles=200_000).kind == "limit"
    assert machine.processor.registers.general(3) != 0x77
    assert machine.cycles == 200_000


def test_serial_input_without_receive_interrupt_does_not_end_hlt() -> None:
    machine = halted()
    machine.serial_input(b"x")
    assert machine.run(max_cycles=200_000).kind == "limit"
    assert machine.cycles == 200_000
    assert machine.processor.registers.general(3) != 0x77


def test_an_event_that_raises_no_interrupt_does_not_end_hlt() -> None:
    # the timer is masked; the RTC would end it, after the PIT's many periods
    guest = Guest(pic(0xFF) + pit(50) + "sti; hlt; mov ebx, 0x77")
    machine = guest.machine()
    assert machine.run(max_cycles=1_000_000).kind == "limit"
    assert machine.cycles == 1_000_000
    assert machine.processor.registers.general(3) != 0x77


def test_hlt_with_interrupts_off_ends_the_run() -> None:
    outcome = Guest("cli; hlt").run().outcome
    assert (outcome.kind, outcome.status) == ("error", 123)
    assert f"0008:{MAIN + 2:08x}" in outcome.message


# -- nesting and REP


def test_a_handler_that_enables_interrupts_is_interrupted_by_a_higher_line() -> None:
    """IRQ 4 first, then IRQ 0 inside its handler; with EOI each comes back."""
    guest = Guest(
        pic(0xEE) + UART + f"sti; hlt; mov [{REPORT + 12:#x}], esp; mov dword ptr [{REPORT + 8:#x}], 3"
    )
    wait = "mov ecx, 60000; .byte 0x49, 0x75, 0xfd"
    inner = f"mov dx, 0x3f8; in al, dx; mov [{REPORT:#x}], al; {pit(20, 0)}sti; {wait}; cli; "
    guest.handler(IRQ4, f"{inner} mov eax, [{REPORT + 4:#x}]; mov [{REPORT + 16:#x}], eax; {EOI}iretd")
    guest.handler(
        IRQ0,
        f"push eax; mov [{REPORT + 20:#x}], esp; mov dword ptr [{REPORT + 4:#x}], 2; {EOI}pop eax; iretd",
    )
    machine = guest.machine()
    machine.serial_input(b"k")
    machine.interactive = True
    assert machine.run(max_cycles=50_000_000).status == RAN_ON
    words = struct.unpack("<6I", machine.ram.read(REPORT, 24))
    assert words[0] == ord("k")
    assert words[4] == 2  # IRQ 0 ran inside IRQ 4's handler
    assert words[2:4] == (3, stack_of(4))
    assert words[5] == stack_of(4) - 12 - 12 - 4
    machine.ledger.check(machine.cycles)


def test_a_line_of_lower_priority_waits_for_the_handlers_end() -> None:
    guest = Guest(PENDING.replace("mov al, 0xfe; out 0x21", "mov al, 0xee; out 0x21") + "sti; nop; nop")
    wait = "mov ecx, 3000000; .byte 0x49, 0x75, 0xfd"
    guest.handler(IRQ0, f"{UART}sti; {wait}; "
                        f"mov eax, [{REPORT:#x}]; mov [{REPORT + 4:#x}], eax; {EOI}nop; iretd")  # fmt: skip
    guest.handler(IRQ4, f"mov dx, 0x3f8; in al, dx; mov dword ptr [{REPORT:#x}], 5; {EOI}iretd")
    machine = guest.machine()
    machine.serial_input(b"k")
    assert machine.run(max_cycles=50_000_000).status == RAN_ON
    assert struct.unpack("<2I", machine.ram.read(REPORT, 8)) == (5, 0)


@pytest.mark.parametrize(
    "name", ["rep stosb", "rep stosd", "rep movsb", "rep lodsb", "repe scasb", "repe cmpsb"]
)
def test_an_interrupt_between_rep_iterations_restarts_exactly(name: str) -> None:
    count, start = 4000, 0x200000
    width = 4 if name.endswith("d") else 1
    setup = (
        f"mov esi, {start + 0x10000:#x}; mov edi, {start:#x}; mov ecx, {count}; xor eax, eax; cld; sti; nop; "
    )
    before = pic() + pit(3) + setup
    guest = Guest(
        f"{before}{name}; cli; mov [{REPORT:#x}], ecx; mov [{REPORT + 4:#x}], edi; mov [{REPORT + 8:#x}], esi"
    )
    log = 0x300000
    guest.handler(
        IRQ0,
        f"push eax; push ebx; mov ebx, [{log:#x}]; inc dword ptr [{log:#x}]; shl ebx, 4; and ebx, 0xfff; "
        f"mov [ebx+{log + 16:#x}], ecx; mov [ebx+{log + 20:#x}], edi; mov [ebx+{log + 24:#x}], esi; "
        f"mov eax, [esp+8]; mov [ebx+{log + 28:#x}], eax; {EOI}pop ebx; pop eax; iretd",
    )
    ran = guest.run()
    assert ran.outcome.status == RAN_ON
    uses_edi, uses_esi = name not in ("rep lodsb",), name in ("rep movsb", "rep lodsb", "repe cmpsb")
    assert ran.words[0] == 0
    assert ran.words[1] == start + uses_edi * count * width
    assert ran.words[2] == start + 0x10000 + uses_esi * count * width
    (seen,) = struct.unpack("<I", ran.machine.ram.read(log, 4))
    at = MAIN + size(before)
    inside = 0
    for index in range(min(seen, 200)):
        ecx, edi, esi, eip = struct.unpack("<4I", ran.machine.ram.read(log + 16 + 16 * index, 16))
        if eip == at and ecx != count:
            inside += 1
            assert edi - start == uses_edi * (count - ecx) * width
            assert esi - start - 0x10000 == uses_esi * (count - ecx) * width
    assert inside >= 1
    ran.machine.ledger.check(ran.machine.cycles)


# -- COM1


def test_a_received_byte_interrupts_and_is_read() -> None:
    guest = Guest(pic(0xEF) + UART + f"sti; again: hlt; cmp byte ptr [{REPORT + 1:#x}], 0x79; jne again")
    guest.handler(
        IRQ4,
        f"mov dx, 0x3f8; in al, dx; mov ebx, [{REPORT + 16:#x}]; mov [ebx+{REPORT:#x}], al; "
        f"inc dword ptr [{REPORT + 16:#x}]; {EOI}iretd",
    )
    machine = guest.machine()
    machine.serial_input(b"x")
    machine.serial_input(b"y")
    assert machine.run(max_cycles=50_000_000).status == RAN_ON
    assert machine.ram.read(REPORT, 2) == b"xy"
    machine.ledger.check(machine.cycles)
