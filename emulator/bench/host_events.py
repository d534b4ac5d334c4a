"""What events cost in host time: micro-guests that cause one kind of event some thousand times.

    cost = (host CPU time of N events - that of FEW) / (N - FEW)

Each cost includes the two instructions of the loop, which are some hundredths of a microsecond; rows whose
guest must do something more for every event say so in their titles.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from emulator.bench.errors import BenchError
from emulator.bench.host_run import FEED
from emulator.bench.micro_guest import FRAME, LAPIC, MEMORY, PAGE, STACK, TABLE, TO_USER, MicroGuest, gate
from emulator.bench.result import Row
from emulator.cpu.msr import FEATURE_APIC, FEATURE_SEP
from emulator.machine import Machine
from emulator.timing.schema import Profile

UNIT: Final = "us"
FEW: Final = 200  # events of the run that is subtracted
CYCLES: Final = 20_000_000_000
TIMER: Final = 0x40  # vector


WRMSR: Final = "mov ecx, {}; mov eax, {}; xor edx, edx; wrmsr;"
SYSENTER_MSRS: Final = (
    WRMSR.format(0x174, 8)
    + WRMSR.format(0x175, STACK)
    + f"lea eax, [kernel]; mov ecx, 0x176; xor edx, edx; wrmsr; {TO_USER}"
)
PIT: Final = """
    mov al, 0x11; out 0x20, al; mov al, 0x40; out 0x21, al; mov al, 4; out 0x21, al; mov al, 1; out 0x21, al
    mov al, 0x34; out 0x43, al; mov al, 8; out 0x40, al; mov al, 0; out 0x40, al
    mov al, 0xfe; out 0x21, al;
"""
LAPIC_TIMER: Final = f"""
    mov dword ptr [{LAPIC + 0xF0}], 0x1ff; mov dword ptr [{LAPIC + 0x3E0}], 0xb
    mov dword ptr [{LAPIC + 0x320}], {0x20000 | TIMER}; mov dword ptr [{LAPIC + 0x380}], 600;
"""
EOI_8259: Final = "push eax; mov al, 0x20; out 0x20, al; pop eax;"
EOI_LAPIC: Final = f"mov dword ptr [{LAPIC + 0xB0}], 0;"


def _timer(prepare: str, eoi: str) -> MicroGuest:
    """Divisions fill the time between two ticks: they are long in modelled cycles, short on the host."""
    wait = "mov ecx, 7; wait: mov eax, 9; xor edx, edx;" + "div ecx; xor edx, edx;" * 8
    body = f"{wait} cmp esi, edi; je wait; mov edi, esi;"
    prepared = f"{gate(TIMER, 'tick')} {prepare} xor esi, esi; xor edi, edi; sti;"
    return MicroGuest(body, prepared, f"tick: {eoi} inc esi; iretd")


def _halt(prepare: str, eoi: str) -> MicroGuest:
    return MicroGuest("sti; hlt; cli;", f"{gate(TIMER, 'tick')} {prepare}", f"tick: {eoi} iretd")


@dataclass(frozen=True, slots=True)
class Event:
    """A row. `count` events are timed; `needs` are bits of CPUID's EDX without which there is none."""

    name: str
    title: str
    guest: MicroGuest
    count: int = 4000
    needs: int = 0


EVENTS: Final = (
    Event(
        "page_fault",
        "Page fault: PTE cleared, INVLPG; handler sets it, IRET",
        MicroGuest(
            f"mov dword ptr [{TABLE}], 0; invlpg [{PAGE}]; mov eax, [{PAGE}];",
            gate(14, "fault"),
            f"fault: mov dword ptr [{TABLE}], {FRAME | 7}; add esp, 4; iretd",
        ),
    ),
    Event(
        "write_protect_fault",
        "Write-protect fault: PTE made read-only, INVLPG; handler sets W, INVLPG, IRET",
        MicroGuest(
            f"mov dword ptr [{TABLE}], {FRAME | 5}; invlpg [{PAGE}]; mov [{PAGE}], eax;",
            gate(14, "fault"),
            f"fault: mov dword ptr [{TABLE}], {FRAME | 7}; invlpg [{PAGE}]; add esp, 4; iretd",
        ),
    ),
    Event(
        "sysenter_sysexit",
        "SYSENTER and SYSEXIT",
        MicroGuest(
            "mov ecx, esp; lea edx, [back]; sysenter; back:",
            SYSENTER_MSRS,
            "kernel: sysexit",
        ),
        count=100_000,
        needs=FEATURE_SEP,
    ),
    Event(
        "int80_iret",
        "INT 0x80 from ring 3, and IRET",
        MicroGuest("int 0x80;", gate(0x80, "call", user=True) + TO_USER, "call: iretd"),
    ),
    Event("pit_irq", "IRQ of the 8254 by the 8259: entry, EOI, IRET", _timer(PIT, EOI_8259)),
    Event(
        "lapic_timer_irq",
        "IRQ of the local APIC's timer: entry, EOI, IRET",
        _timer(LAPIC_TIMER, EOI_LAPIC),
        needs=FEATURE_APIC,
    ),
    Event("hlt_wake", "HLT until an IRQ of the 8254: entry, EOI, IRET", _halt(PIT, EOI_8259)),
    Event(
        "lapic_hlt_wake",
        "HLT until an IRQ of the local APIC: entry, EOI, IRET",
        _halt(LAPIC_TIMER, EOI_LAPIC),
        needs=FEATURE_APIC,
    ),
    Event("in_61", "IN 0x61 (port B)", MicroGuest("in al, 0x61;")),
    Event("in_3fd", "IN 0x3FD (line status of COM1)", MicroGuest("mov edx, 0x3fd; in al, dx;")),
    Event("out_80", "OUT 0x80 (POST code)", MicroGuest("out 0x80, al;")),
    Event(
        "lapic_id",
        "Load of the local APIC's ID",
        MicroGuest(f"mov eax, [{LAPIC + 0x20}];"),
        count=100_000,
        needs=FEATURE_APIC,
    ),
    Event("lapic_eoi", "Store to the local APIC's EOI", MicroGuest(EOI_LAPIC), needs=FEATURE_APIC),
    Event("mov_cr3", "MOV CR3", MicroGuest("mov cr3, ebx;", "mov ebx, cr3;")),
    Event("invlpg", "INVLPG and a load of the page", MicroGuest(f"invlpg [{PAGE}]; mov eax, [{PAGE}];")),
    Event("cpuid", "CPUID", MicroGuest("xor eax, eax; cpuid;")),
    Event("rdmsr", "RDMSR", MicroGuest("mov ecx, 0x1b; rdmsr;"), needs=FEATURE_APIC),
    Event("rdtsc", "RDTSC", MicroGuest("rdtsc;"), count=100_000),
)


def supported(profile: Profile) -> list[Event]:
    """The events that a processor has."""
    features = int(profile.cpuid.feature_edx.value)
    return [event for event in EVENTS if not event.needs & ~features]


def _seconds(profile: Profile, event: Event, count: int) -> float:
    machine = Machine(profile, memory_bytes=MEMORY, feed=FEED)
    machine.load(event.guest.image(event.name, count))
    start = time.thread_time()
    outcome = machine.run(max_cycles=CYCLES)
    taken = time.thread_time() - start
    if (outcome.kind, outcome.status) != ("exit", 0):
        raise BenchError(f"the guest of {event.name} did not end well: {outcome.message}")
    return taken


def measure_event(profile: Profile, event: Event, repeats: int) -> Row:
    """Host microseconds of one event, over some repeats; may fall below zero by what the host does meanwhile.

    Raises: BenchError.
    """
    costs = []
    for _ in range(repeats):
        few, many = (_seconds(profile, event, count) for count in (FEW, event.count + FEW))
        costs.append((many - few) / event.count * 1e6)
    return _row(event, costs)


def _row(event: Event, costs: Sequence[float]) -> Row:
    return Row(
        name=event.name,
        title=event.title,
        unit=UNIT,
        min=round(min(costs), 3),
        median=round(statistics.median_low(costs), 3),
        max=round(max(costs), 3),
        runs=len(costs),
    )


def measure_events(
    profile: Profile, repeats: int, advance: Callable[[str], None] = lambda _what: None
) -> list[Row]:
    """A row for each event that the profile's processor has; `advance(what)` is told of each."""
    rows = []
    for event in supported(profile):
        rows.append(measure_event(profile, event, repeats))
        advance(event.title)
    return rows
