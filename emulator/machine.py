"""The machine: processor, memory, devices and time, and the run loop to the next event.

  +-----------+   INTR    +-----+   IRQ   +--------------+
  | Processor |<----------| PIC |<--------| PIT RTC COM1 |
  +-----------+           +-----+         +--------------+
     | cycles                                   ^
     v            next deadline                 | due events
StateView.deadline <----------------------- EventQueue
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from numpy.typing import NDArray

from emulator.cpu.bios_calls import stop_at_bios_calls
from emulator.cpu.engine import EngineError
from emulator.cpu.entry import enter
from emulator.cpu.layout import LayoutError
from emulator.cpu.msr import FEATURE_APIC
from emulator.cpu.processor import GuestError, Processor, Stop, is_pentium4
from emulator.cpu.symbols import SymbolTable
from emulator.devices.clock import Clock
from emulator.devices.events import EventQueue
from emulator.devices.ide import Disk
from emulator.devices.lapic_registers import PAGE, STABLE
from emulator.devices.pc import PcDevices
from emulator.devices.vga import clear
from emulator.exitstatus import ExitStatus
from emulator.firmware.tables import firmware_tables
from emulator.memory.ram import PhysicalMemory
from emulator.timing.arrays import ModelArrays
from emulator.timing.causes import COUNT, HALT
from emulator.timing.ledger import Ledger
from emulator.timing.schema import Profile
from emulator.timing.setup import GeometryError, configure
from emulator.timing.state import SCALARS, StateView
from emulator.timing.system_access import charge_cause, forget, settle_ledger
from emulator.timing.tsc import TLB_CAUSES
from loader.image import Image

NEVER: Final = 1 << 62
# Python looks up at least this often, so that Ctrl-C and the host's stop request are heard even from
# a guest that sets no timer. It changes nothing that the guest can see.
ATTENTION: Final = 20_000_000

STATISTICS: Final = SCALARS[SCALARS.index("dtlb_misses_4k") : SCALARS.index("fills")]


Feed = Literal["planned", "hooks"]


def default_feed() -> Feed:
    """The feed of a machine that isn't told: access plans, unless RINGTOLL_FEED says "hooks"."""
    return "hooks" if os.environ.get("RINGTOLL_FEED") == "hooks" else "planned"


class MachineError(Exception):
    """The machine can't be built or can't take this image."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `status` is the guest's exit status, or an `ExitStatus` of ours."""

    kind: Literal["exit", "limit", "interrupted", "error"]
    status: int
    message: str


_ERROR_STATUS: Final = {
    "triple fault": ExitStatus.TRIPLE_FAULT,
    "unmapped execution": ExitStatus.UNMAPPED_EXECUTION,
    "halted": ExitStatus.HALTED,
}


class Machine:
    """A PC with one processor of a named profile."""

    def __init__(
        self,
        profile: Profile,
        *,
        memory_bytes: int = 64 << 20,
        serial_out: Callable[[bytes], None] | None = None,
        accounting: bool = True,
        feed: Feed | None = None,
        tsc_log: int = 0,
        verify: int = 0,
        disks: Sequence[Disk | None] = (),
    ) -> None:
        """`tsc_log`: how many RDTSCs keep a snapshot of the ledger. `accounting=False`: nothing is modelled.

        `feed`: what tells the model of data accesses: "planned" or "hooks", with equal results.
        `verify`: every N-th access is checked against the instruction that makes it (see `verification`).
        `disks`: up to four, primary master first.

        Raises: MachineError.
        """
        self.profile = profile
        self.serial_out = serial_out or (lambda _data: None)
        try:
            self.ram = PhysicalMemory(memory_bytes)
            self.state = StateView()
            configure(self.state, profile)
        except (ValueError, GeometryError, MemoryError) as error:
            raise MachineError(str(error)) from error
        self._arrays = ModelArrays(self.state, self.ram.size, tsc_log)
        self.clock = Clock(lambda: self.state.cycles, int(profile.mhz.value * 1_000_000))
        self.events = EventQueue()
        self.devices = PcDevices(
            self.clock,
            self.events,
            self._transmit,
            self._set_intr,
            self._set_exit,
            self._set_reset,
            ram=memory_bytes,
            disks=disks,
            apic=bool(int(profile.cpuid.feature_edx.value) & FEATURE_APIC),
            xapic=is_pentium4(profile),
        )
        clear(self.ram)
        self.symbols = SymbolTable()
        self._accounting = accounting
        self.feed: Feed = "hooks" if verify else feed or default_feed()
        self._make_processor()
        self.verifier = self.processor.verify(verify) if verify and accounting else None
        self.image: Image | None = None
        self._exit: int | None = None
        self._reset = False
        self._stop_requested = False
        self._executing = False  # inside the engine; before it is entered the deadline is set anyway
        self._nmi = False
        self.halted = False
        self._limit = NEVER
        self._input: list[bytes] = []
        self.events.on_change = self._deadline_changed
        if self.devices.lapic is not None:
            self.devices.lapic.on_nmi = self._set_nmi

    def _make_processor(self) -> None:
        try:
            self.processor = Processor(
                self.profile,
                self.ram,
                self.state,
                self.symbols,
                accounting=self._accounting,
                planned=self._accounting and self.feed == "planned",
                read_port=self._read_port,
                write_port=self.devices.bus.write,
                apic=self.devices,
            )
            self.processor.on_numeric_error = self.devices.numeric_error.report
            self.devices.numeric_error.on_ignore = self._ignore_numeric_error
            self._map_devices()
            stop_at_bios_calls(self.processor)
        except (LayoutError, EngineError) as error:
            raise MachineError(f"this Unicorn can't be used: {error}") from error

    def _map_devices(self) -> None:
        """Device memory above RAM: the bus, and the local APIC's page, which guests read very often."""
        engine, mmio, lapic = self.processor.engine, self.devices.mmio, self.devices.lapic
        if lapic is None:
            engine.map_devices(mmio.read, mmio.write)
            return
        engine.map_devices(mmio.read, mmio.write, [(lapic.base, PAGE)])
        stable = [0, *(offset + 4 for offset in sorted(STABLE))]
        ends = [*sorted(STABLE), PAGE]
        volatile = [(start, end - start) for start, end in zip(stable, ends, strict=True)]
        engine.map_register_page(lapic.base, lapic.page, lapic.write, lapic.refresh, volatile)

    # -- devices to machine

    def _read_port(self, port: int, size: int) -> int:
        return self.devices.bus.read(port, size)

    def _transmit(self, data: bytes) -> None:
        self.serial_out(data)

    def _set_intr(self, level: bool) -> None:
        self.state.interrupt_pending = int(level)

    def _ignore_numeric_error(self) -> None:
        self.state.ignne = 1

    def _set_nmi(self) -> None:
        self._nmi = True
        self.state.deadline = 0

    def _set_exit(self, status: int) -> None:
        self._exit = status & 0xFF
        self.state.deadline = 0

    def _set_reset(self) -> None:
        self._reset = True
        self.state.deadline = 0

    def _deadline_changed(self, _deadline: int | None) -> None:
        if self._executing and not self._must_leave():
            self._arm()

    # -- host to machine

    def load(self, image: Image) -> None:
        """Put the firmware's tables and an image into memory, and the processor at its entry.

        Raises: MachineError when a segment does not fit.
        """
        cpuid = self.profile.cpuid
        for address, data in firmware_tables(
            int(cpuid.signature.value), int(cpuid.feature_edx.value), self.ram.size
        ):
            self.ram.write(address, data)
        for segment in image.segments:
            if segment.end > self.ram.size:
                raise MachineError(
                    f"{image.name}: segment {segment.name} ends at {segment.end:#x}, "
                    f"memory at {self.ram.size:#x}"
                )
            self.ram.write(segment.address, segment.data)
            rest = segment.memory_size - len(segment.data)
            if rest > 0:
                start = segment.address + len(segment.data)
                self.ram.bytes[start : start + rest] = 0
        self.memory_changed()  # an image before this one may have run where this one is
        if image.format != "flat":
            self.devices.as_firmware_leaves()
        self.image = image
        self.halted = False
        self.symbols.add(image.symbols)
        enter(self.processor.engine, image.entry)
        self.state.cr0 = self.processor.registers.control(0)

    def serial_input(self, data: bytes) -> None:
        """Bytes for COM1, taken in when the run loop looks up; safe from a signal handler or thread."""
        self._input.append(bytes(data))
        self.state.deadline = 0

    def request_stop(self) -> None:
        """End `run` soon, with kind "interrupted"; safe from a signal handler."""
        self._stop_requested = True
        self.state.deadline = 0

    # -- what happened

    @property
    def cycles(self) -> int:
        """Modelled time."""
        return self.state.cycles

    @property
    def instructions(self) -> int:
        """Instructions begun; a REP instruction counts once."""
        return self.state.instructions

    @property
    def ledger(self) -> Ledger:
        """Where the cycles went: a copy, whose sum is `cycles`."""
        used = len(self.symbols.names)
        settle_ledger(self.state.array)
        return Ledger(self._arrays.ledger[:used].copy(), self.symbols.names)

    def statistics(self) -> dict[str, int]:
        """Counts of the guest's events, all deterministic."""
        named = {
            name: getattr(self.state, name)
            for name in ("instructions", "blocks", "reads", "writes", *STATISTICS)
        }
        misses = self.state.field("tlb_misses").ravel()
        named |= {f"{cause}_misses": int(n) for cause, n in zip(TLB_CAUSES, misses, strict=True)}
        return named | dict(sorted(self.processor.counts.items()))

    def host_statistics(self) -> dict[str, int]:
        """Counts of the host side: soft-TLB fills and the like, which depend on the host."""
        first, last = SCALARS.index("fills"), SCALARS.index("tsc_offset")
        return {name: getattr(self.state, name) for name in SCALARS[first:last]}

    def tsc_snapshots(self) -> list[tuple[int, NDArray[Any]]]:
        """(TSC, cycles by cause) at each RDTSC, as far as `tsc_log` reached."""
        return [(int(row[0]), row[1 : 1 + COUNT]) for row in self._arrays.tsc[: self.state.tsc_count]]

    def tsc_misses(self) -> list[tuple[int, NDArray[Any]]]:
        """(TSC, misses so far in the order of `timing.tsc.COUNTERS`) at each RDTSC, as `tsc_snapshots`."""
        return [(int(row[0]), row[1 + COUNT :]) for row in self._arrays.tsc[: self.state.tsc_count]]

    # -- running

    def _must_leave(self) -> bool:
        return self._exit is not None or self._reset or self._stop_requested or bool(self._input)

    def _arm(self) -> None:
        """The engine stops at the next event, the limit, or when Python should look up."""
        s = self.state
        cycles = s.cycles
        deadline = cycles + ATTENTION
        if self._limit < deadline:
            deadline = self._limit
        event = self.events.next_deadline()
        if event is not None and event < deadline:
            deadline = event
        # an NMI waits for the IRET of the last one, or the end of a stack's shadow: look after each block
        s.deadline = cycles + 1 if self._nmi else deadline

    def run(self, *, max_cycles: int | None = None, stop: Callable[[], bool] | None = None) -> Outcome:
        """Run until the guest exits, an error, `max_cycles` of total modelled time, or a request to stop.

        `stop` is asked about every twenty million cycles.
        """
        self._limit = NEVER if max_cycles is None else max_cycles
        self._stop_requested = False
        outcome = self._run(stop)
        self.keep_plans(last=outcome.kind in ("exit", "error"))
        return outcome

    def keep_plans(self, *, last: bool = True) -> None:
        """Planned mode: write what a later run need not decode. `last`: this machine won't run on."""
        if self.processor.plans is not None:
            self.processor.plans.keep(last=last)

    def _run(self, stop: Callable[[], bool] | None) -> Outcome:
        try:
            while True:
                outcome = self._between(stop)
                if outcome is not None:
                    return outcome
                if self.halted:
                    self._sleep()
                    continue
                self._arm()
                if self._must_leave():
                    continue
                if self.processor.takes_interrupt():
                    reason = Stop.INTERRUPT
                else:
                    self._executing = True
                    reason = self.processor.run()
                    self._executing = False
                if reason is Stop.INTERRUPT:
                    self.processor.interrupt(self.devices.acknowledge_interrupt())
                elif reason is Stop.HALT:
                    self.halted = True
        except GuestError as error:
            self._executing = False
            if self._exit is not None:  # the rest of the block after the OUT that ended the run
                return self._exited()
            return Outcome("error", _ERROR_STATUS.get(error.kind, ExitStatus.ERROR), str(error))

    def _exited(self) -> Outcome:
        status, self._exit = self._exit or 0, None
        return Outcome("exit", status, f"the guest ended with status {status}")

    def _between(self, stop: Callable[[], bool] | None) -> Outcome | None:
        """Between two stretches of execution: host input, due events, and reasons to end."""
        if self._exit is not None:
            return self._exited()
        if self._reset:
            raise GuestError("reset", f"the guest asked for a reset at {self.processor.where()}")
        if self._stop_requested or (stop is not None and stop()):
            return Outcome("interrupted", ExitStatus.INTERRUPTED, f"stopped at {self.processor.where()}")
        while self._input:
            self.devices.com1.receive(self._input.pop(0))
        if self.state.cycles >= self._limit:
            return Outcome(
                "limit",
                ExitStatus.CYCLE_LIMIT,
                f"cycle limit of {self._limit} reached at {self.processor.where()}",
            )
        self.events.run_due(self.state.cycles)
        if self._nmi and self.processor.nmi():
            self._nmi = self.halted = False
        return None

    interactive = False

    def _sleep(self) -> None:
        """HLT: skip to the next event; it is over only when an interrupt is taken.

        Raises: GuestError when nothing can ever end it.
        """
        s = self.state
        if s.interrupt_pending and self.processor.interrupts_enabled:
            self.halted = False
            self.processor.interrupt(self.devices.acknowledge_interrupt())
            return
        event = self.events.next_deadline()
        awake = self.processor.interrupts_enabled or self.devices.interrupts.nmi_possible()
        if not awake or (event is None and not self.interactive):
            state = "on" if self.processor.interrupts_enabled else "off"
            raise GuestError(
                "halted", f"HLT with interrupts {state} and nothing pending at {self.processor.where()}"
            )
        until = min(s.cycles + ATTENTION if event is None else event, self._limit)
        if until > s.cycles:
            charge_cause(s.array, HALT, until - s.cycles)

    def memory_changed(self) -> None:
        """The host has written to guest memory: forget translations and decoded code."""
        self.processor.engine.forget_translations()
        forget(self.state.array)
