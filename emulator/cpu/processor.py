"""The processor: an engine, its modelled state, and what happens when the engine stops.

run() --> engine --> page fault       -> deliver 14
                 --> #xx, INT n       -> deliver (inside the engine's interrupt hook)
                 --> stop at a block  -> deadline or interrupt: the machine decides
                 --> HLT              -> the machine skips to the next event
"""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from emulator.cpu.blocks import BlockStore
from emulator.cpu.cpuid import cpuid
from emulator.cpu.debug import BT, TASK_TRAP, DebugRegisters
from emulator.cpu.delivery import Delivery
from emulator.cpu.engine import UC_ERR_EXCEPTION, UC_ERR_OK, Engine
from emulator.cpu.events import Events
from emulator.cpu.exceptions import (
    GP,
    NMI,
    PF,
    Fault,
    FaultRecord,
)
from emulator.cpu.features import reserved_cr4
from emulator.cpu.guest_error import GuestError as GuestError
from emulator.cpu.guest_error import engine_error, no_long_mode, no_pae, shutdown_message
from emulator.cpu.implicit import loads_descriptor
from emulator.cpu.msr import EFER_LME, IA32_EFER, IA32_SYSENTER_CS, ApicBase, Msrs, UnknownMsr
from emulator.cpu.page_end import PageEnd
from emulator.cpu.registers import CS, EAX, EBX, ECX, EDX, HF_INHIBIT_IRQ, IF, Registers
from emulator.cpu.symbols import SymbolTable
from emulator.cpu.task_switch import TaskSwitch
from emulator.cpu.verify import Verifier
from emulator.memory.ram import PhysicalMemory
from emulator.timing.costs import Costs
from emulator.timing.fill import FAULT_PAGE
from emulator.timing.schema import Profile
from emulator.timing.state import (
    FETCH,
    STOP_DEADLINE,
    STOP_ERROR,
    STOP_INTERRUPT,
    STOP_MODE,
    STOP_PAE,
    STOP_RESUME,
    StateView,
)
from emulator.timing.system_access import (
    code_address,
    control_3_changed,
    system_read,
    system_write,
)

if TYPE_CHECKING:
    from emulator.cpu.plan_store import PlanStore


class Stop(Enum):
    """Why `run` came back."""

    DEADLINE = "deadline"
    INTERRUPT = "interrupt"
    HALT = "halt"


def is_pentium4(profile: Profile) -> bool:
    """Family 15, by CPUID."""
    return int(profile.cpuid.signature.value) >> 8 & 15 == 15


class Processor(Events):
    """One IA-32 processor with its model."""

    def __init__(
        self,
        profile: Profile,
        ram: PhysicalMemory,
        state: StateView,
        symbols: SymbolTable,
        *,
        accounting: bool,
        planned: bool = False,
        read_port: Callable[[int, int], int],
        write_port: Callable[[int, int, int], None],
        apic: ApicBase | None = None,
    ) -> None:
        from emulator.cpu.checks import Checks
        from emulator.cpu.intercepts import Intercepts

        self.profile, self.state, self.symbols = profile, state, symbols
        self.engine = Engine(ram, state, accounting=accounting, memory_hooks=not planned)
        self.registers: Registers = self.engine.registers
        self.costs = Costs.from_profile(profile)
        self.blocks = BlockStore(self.engine, self.costs, symbols)
        self.plans: PlanStore | None = None
        if planned:
            from emulator.cpu import plan_store

            self.plans = plan_store.PlanStore(self.engine, self.blocks, profile)
        self.msrs = Msrs(
            state,
            int(profile.cpuid.feature_edx.value),
            pentium4=is_pentium4(profile),
            apic=apic,
        )
        self.delivery = Delivery(self.registers, self._read, self._write, self.engine.eflags)
        self.delivery.tasks = TaskSwitch(
            self.delivery, self.engine.load_flags, self._load_cr3, self._task_switched
        )
        self.page_end = PageEnd(self.engine)
        self.debug = DebugRegisters(self.registers, state)
        state.cr4_reserved = reserved_cr4(int(profile.cpuid.feature_edx.value))
        self.counts: dict[str, int] = {}
        self._forget = False  # translations, before going on
        self.on_numeric_error: Callable[[], None] = lambda: None  # FERR#
        self.intercepts = Intercepts(self)
        self.checks = Checks(self)
        state.implicit_function = self.engine.callback(self._implicit)
        self.engine.on_interrupt(self._interrupt)
        self.engine.on_invalid_instruction(self._invalid_instruction)
        self.engine.on_cpuid(self._cpuid)
        self.engine.on_ports(read_port, write_port)

    # -- memory, as the processor's own accesses see it

    def _read(self, linear: int, size: int) -> int:
        value = int(system_read(self.state.array, linear, size, False))
        if value < 0:
            raise Fault(PF, -1 - value, linear & 0xFFFFFFFF)
        return value

    def _write(self, linear: int, value: int, size: int) -> None:
        result = int(system_write(self.state.array, linear, value, size, False))
        if result < 0:
            raise Fault(PF, -1 - result, linear & 0xFFFFFFFF)

    def _load_cr3(self, value: int) -> None:
        self.registers.set_control(3, value)
        control_3_changed(self.state.array)

    def _task_switched(self, trap: bool) -> None:
        self._count("task_switches")
        self.debug.task_switched()
        if trap:  # delivered before the new task's first instruction
            self.debug.dr6 |= BT
            self.state.debug_hits = TASK_TRAP

    def code_at(self, linear: int, size: int) -> bytes:
        """Instruction bytes at a linear address, as far as they are mapped."""
        data = b""
        while len(data) < size:
            at = (linear + len(data)) & 0xFFFFFFFF
            physical = int(code_address(self.state.array, at))
            if physical < 0:
                break
            data += self.engine.ram.read(physical, min(size - len(data), 4096 - (at & 0xFFF)))
        return data

    def verify(self, every: int) -> Verifier:
        """Check every N-th access against the instruction at EIP (slow: EIP is kept exact for that)."""
        verifier = Verifier(self.registers, self.code_at)
        self.state.verify_function = self.engine.callback(verifier.check)
        self.state.verify_every = self.state.verify_left = every
        self.state.at_skip_sync = 0
        return verifier

    # -- events from the engine

    def shutdown(self, history: list[FaultRecord]) -> GuestError:
        """The error of a triple fault."""
        return GuestError("triple fault", shutdown_message(history, self))

    def location(self, eip: int | None = None) -> str:
        """` (file:symbol+offset)` of an EIP in the current code segment, or nothing."""
        linear = (self.registers.base(CS) + (self.registers.eip if eip is None else eip)) & 0xFFFFFFFF
        described = self.symbols.describe(linear, self.code_at(linear, 8))
        return f" ({described})" if described else ""

    def where(self) -> str:
        """`cs:eip (symbol)` of the current instruction."""
        return f"{self.registers.selector(CS):04x}:{self.registers.eip:08x}{self.location()}"

    def _cpuid(self) -> None:
        values = cpuid(self.profile, self.registers.general(EAX))
        for register, value in zip((EAX, EBX, ECX, EDX), values, strict=True):
            self.registers.set_general(register, value)

    def read_msr(self, index: int) -> int:
        """RDMSR. Raises: Fault (#GP) for an unknown register."""
        try:
            return self.msrs.read(index)
        except UnknownMsr:
            raise Fault(GP) from None

    def write_msr(self, index: int, value: int) -> None:
        """WRMSR. Raises: Fault (#GP) for an unknown register."""
        if index == IA32_EFER and value & EFER_LME:
            raise no_long_mode(self)
        before = self.state.sysenter_cs
        try:
            self.msrs.write(index, value)
        except UnknownMsr:
            raise Fault(GP) from None
        if index == IA32_SYSENTER_CS:
            self.engine.load_msr(index, value & 0xFFFFFFFF)  # SYSEXIT, which is native, reads it there
            if before & 0xFFFC and not value & 0xFFFC:
                self._forget = True  # SYSENTERs translated without a check need one now
                self.state.stop |= STOP_DEADLINE
                self.engine.stop()

    def _implicit(self, page: int, kind: int, _unused: int) -> int:
        if kind == FETCH:
            return 0
        return int(loads_descriptor(self.registers, self.code_at(self.registers.linear_eip, 15), page))

    # -- running

    @property
    def interrupts_enabled(self) -> bool:
        """EFLAGS.IF."""
        return bool(self.registers.system_flags & IF)

    def takes_interrupt(self) -> bool:
        """Would the next block be left at once for an interrupt? It spares the engine a start.

        Only what the block hook would find, too: nothing may wait that it does before it looks.
        """
        s, r = self.state, self.registers
        if (
            not s.interrupt_pending
            or s.after
            or s.rewritten
            or s.table_written
            or s.debug_hits
            or self._forget
        ):
            return False
        return bool(r.system_flags & IF) and not r.hflags & HF_INHIBIT_IRQ and s.cycles < s.deadline

    def interrupt(self, vector: int) -> None:
        """Deliver an external interrupt between two blocks."""
        self._deliver(vector, None, self.costs.irq_entry, external=True)

    def nmi(self) -> bool:
        """Deliver a non-maskable interrupt between two blocks, unless one is served or SS was just loaded."""
        if self.registers.nmi_blocked or self.registers.hflags & HF_INHIBIT_IRQ:
            return False
        self.registers.block_nmi()
        self._deliver(NMI, None, self.costs.irq_entry, external=True)
        return True

    def request_stop(self) -> None:
        """Leave `run` before the next block."""
        self.state.deadline = 0

    def run(self) -> Stop:
        """Execute until the deadline, an interrupt that can be taken, or HLT.

        Raises: GuestError.
        """
        s = self.state
        while True:
            if self._forget:
                self._forget = False
                self.engine.forget_translations()
            s.stop = 0
            s.fault = 0
            status = self.engine.run()
            if self.page_end.ends():
                continue
            if status == UC_ERR_EXCEPTION and s.fault == FAULT_PAGE:
                if s.fault_kind == FETCH and self._before_page_end():
                    continue
                self._page_fault()
                if s.cycles >= s.deadline:  # a handler that faults at its first byte meets no block hook
                    return Stop.DEADLINE
                continue
            if status == UC_ERR_EXCEPTION and s.stop & STOP_RESUME:
                continue
            if status != UC_ERR_OK:
                raise engine_error(status, self)
            if s.stop & STOP_PAE:
                raise no_pae(self)
            if s.stop in (STOP_MODE, STOP_RESUME):
                continue
            if s.stop & STOP_INTERRUPT:
                return Stop.INTERRUPT
            if s.stop & (STOP_DEADLINE | STOP_ERROR):
                return Stop.DEADLINE
            return Stop.HALT

    def _before_page_end(self) -> bool:
        """A block of two pages can't be fetched from the second: has it instructions to run before that?"""
        at = self.registers.linear_eip
        if (at ^ self.engine.fault_address) >> 12 == 0:
            return False
        self.state.fault = 0
        found = self.page_end.begins(self.code_at(at, 4096 - (at & 0xFFF)))
        self.state.fault = 0 if found else FAULT_PAGE
        return found

    def _page_fault(self) -> None:
        s = self.state
        self._settle_flags()
        if s.fault_kind != FETCH:  # a fetch faults before its block is charged
            self.blocks.unretire(self.registers.linear_eip)
        elif (self.engine.fault_address - self.registers.base(CS)) & 0xFFFFFFFF > self.registers.limit(CS):
            self._deliver(GP, 0, self.costs.exception_entry)  # the limit comes before the page
            return
        self.registers.set_control(2, self.engine.fault_address)
        self._count("page_faults")
        self._deliver(PF, s.fault_error, self.costs.exception_entry)
