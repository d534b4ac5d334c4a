"""The local APIC of the one processor (SDM vol. 3A, "Advanced programmable interrupt controller").

          self IPI   timer, error         I/O APIC messages
              |         |                     |
8259 INTR   +-v---------v---------------------v--+
----------->| LINT0     accept: IRR, TMR         |   INTR to the processor:
            |   |       priority: IRR over PPR --|-> IRR holds more than PPR allows,
            |   +-- ExtINT: virtual wire --------|-> or the 8259 asks by virtual wire
            +------------------------------------+
"""

from collections.abc import Callable
from typing import ClassVar, Final

from emulator.devices import lapic_registers as reg
from emulator.devices.clock import Clock
from emulator.devices.device import State
from emulator.devices.events import EventQueue
from emulator.devices.lapic_ipi import ALL, OTHERS, SELF, Command, addressed
from emulator.devices.lapic_lvt import LocalVectorTable
from emulator.devices.lapic_page import LapicPage
from emulator.devices.lapic_timer import LapicTimer
from emulator.devices.lapic_vectors import Vectors

DWORD: Final = 0xFFFFFFFF
WRITABLE: Final = {
    **{reg.ID: 0xFF000000, reg.LDR: 0xFF000000, reg.DFR: 0xF0000000, reg.SVR: 0x3FF},
    **{reg.ICR_LOW: 0xCCFFF, reg.ICR_HIGH: 0xFF000000, reg.TICR: DWORD, reg.TDCR: 0xB},
}
RESERVED_BASE: Final = ~(reg.BASE_ADDRESS | reg.BASE_ENABLE | reg.BASE_BSP)


class Lapic(LapicPage):
    """Registers, acceptance and pins of one local APIC, on a Pentium 4 (`xapic`) or a P6 processor.

    Guests may read `page` as memory; `lapic_page` says what has to be called before which access.

    While the APIC is disabled by software the 8259's INTR passes, although LINT0 is masked then: the SDM
    does not say so, but guests that go back to the 8259 this way rely on it.
    """

    FIELDS: ClassVar[tuple[str, ...]] = ("base_msr", "registers", "errors", "extint_message", "intr")

    def __init__(
        self,
        clock: Clock,
        events: EventQueue,
        *,
        identity: int = 0,
        xapic: bool = True,
        bus_hz: int = 100_000_000,
    ) -> None:
        super().__init__()
        self.timer = LapicTimer(clock, events, bus_hz, lambda: self.lvt.fire(reg.LVT_TIMER))
        self.vectors = Vectors()
        self.on_eoi: Callable[[int], None] = lambda vector: None  # of a level-triggered interrupt
        self.on_nmi: Callable[[], None] = lambda: None
        self._on_intr: Callable[[bool], None] = lambda level: None
        self._xapic = xapic
        self._identity = identity
        self._broadcast = 0xFF if xapic else 0x0F
        self._writable = WRITABLE if xapic else WRITABLE | {reg.ID: 0x0F000000}
        self._ones = {reg.DFR: 0x0FFFFFFF} if xapic else {reg.DFR: 0x0FFFFFFF, reg.SVR: 0x0F}
        lvts = [offset for offset in reg.LVT_BITS if xapic or offset != reg.LVT_THERMAL]
        self.lvt = LocalVectorTable(lvts, self.accept, lambda: self.on_nmi())
        self._implemented = reg.IMPLEMENTED if xapic else reg.IMPLEMENTED - {reg.LVT_THERMAL}
        self.base_msr = reg.BASE | reg.BASE_ENABLE | reg.BASE_BSP
        self.intr = False
        self.reset()

    def reset(self) -> None:
        """The state after power-up ("Local APIC state after power-up or reset")."""
        self.vectors = Vectors()
        self.registers = [0] * (reg.REGISTERS_END >> 4)
        self.errors = 0  # what the next write of ESR will show
        self.extint_message = False  # an I/O APIC asks for the 8259's vector
        initial = {reg.ID: (self._identity & self._broadcast) << 24, reg.DFR: DWORD, reg.SVR: 0xFF}
        initial[reg.VERSION] = 0x00050014 if self._xapic else 0x00040011
        for offset, value in initial.items():
            self._set(offset, value)
        self.lvt.reset()
        self.timer.reset()
        self._show_all()
        self._update()

    def virtual_wire(self) -> None:
        """What firmware leaves: enabled, LINT0 is ExtINT, LINT1 is NMI (MP spec 1.4, 3.6.2.2)."""
        self._write(reg.SVR, reg.SVR_ENABLE | 0xFF)
        self._write(reg.LVT_LINT0, reg.EXTINT << 8)
        self._write(reg.LVT_LINT1, reg.NMI << 8)

    # --- the processor's side ---

    def on_intr(self, callback: Callable[[bool], None]) -> None:
        """Call `callback(level)` when INTR to the processor changes."""
        self._on_intr = callback

    @property
    def base(self) -> int:
        """Physical address of the registers."""
        return self.base_msr & reg.BASE_ADDRESS

    @property
    def enabled(self) -> bool:
        """Globally, by bit 11 of IA32_APIC_BASE."""
        return bool(self.base_msr & reg.BASE_ENABLE)

    @property
    def software_enabled(self) -> bool:
        """By bit 8 of SVR, too."""
        return self.enabled and bool(self._get(reg.SVR) & reg.SVR_ENABLE)

    @property
    def extint(self) -> bool:
        """Whether the 8259's INTR, on LINT0, passes to the processor."""
        enabled = self.base_msr & reg.BASE_ENABLE and self.registers[reg.SVR >> 4] & reg.SVR_ENABLE
        return not enabled or self.lvt.extint()

    def pending(self) -> bool:
        """Whether it has a vector of its own for the processor."""
        return bool(self.base_msr & reg.BASE_ENABLE) and self.vectors.pending()

    def external(self) -> bool:
        """Whether the processor shall ask the 8259 for a vector."""
        return self.extint_message or (bool(self.lvt.lines & 1) and self.extint)

    def acknowledge(self) -> int:
        """The processor takes the highest vector; the spurious one if none may be taken any more."""
        vector = self.vectors.take() if self.enabled else None
        self._update()
        return self._get(reg.SVR) & 0xFF if vector is None else vector

    def acknowledge_external(self) -> None:
        """The processor asks the 8259."""
        self.extint_message = False
        self._update()

    def set_base_msr(self, value: int) -> None:
        """WRMSR of IA32_APIC_BASE; disabling resets all registers.

        Raises: ValueError for reserved bits.
        """
        if value & RESERVED_BASE:
            raise ValueError(f"IA32_APIC_BASE can't be {value:#x}")
        was = self.enabled
        self.base_msr = value
        if was and not self.enabled:
            self.reset()
        self._update()

    # --- interrupts that come in ---

    def accept(self, vector: int, level: bool = False) -> bool:
        """Take a fixed interrupt into IRR; False when disabled or the vector is illegal."""
        if not self.software_enabled:
            return False
        if vector < 16:
            self._error(reg.ESR_RECEIVE_ILLEGAL)
            return False
        self.vectors.accept(vector, level)
        self._update()
        return True

    def receive(self, destination: int, logical: bool, mode: int, vector: int, level: bool) -> bool:
        """A message of an I/O APIC or an IPI; True if it is for this processor and was accepted."""
        own = (self._get(reg.ID) >> 24, self._get(reg.LDR), self._get(reg.DFR))
        if not self.enabled or not addressed(destination, logical, *own, self._broadcast):
            return False
        if mode in (reg.FIXED, reg.LOWEST):
            return self.accept(vector, level)
        if mode == reg.NMI:
            self.on_nmi()
        elif mode == reg.EXTINT:
            self.extint_message = True
            self._update()
        return True  # SMI, INIT and SIPI do nothing

    def lint0(self, level: bool) -> None:
        """Drive the pin LINT0, which is the 8259's INTR."""
        self.lvt.drive(reg.LVT_LINT0, level)
        self._update()

    def lint1(self, level: bool) -> None:
        """Drive the pin LINT1, which is NMI."""
        self.lvt.drive(reg.LVT_LINT1, level)

    def _error(self, bit: int) -> None:
        self.errors |= bit
        if self.lvt[reg.LVT_ERROR] & 0xF0:  # an illegal vector here would be the next error
            self.lvt.fire(reg.LVT_ERROR)

    def _send(self, command: Command) -> None:
        """An IPI. Nobody else is there: what is for others is lost, and ICR is idle at once."""
        if command.synchronises or command.shorthand == OTHERS:
            return
        if command.mode in (reg.FIXED, reg.LOWEST) and command.vector < 16:
            self._error(reg.ESR_SEND_ILLEGAL)
        elif command.shorthand == SELF:
            if command.mode == reg.FIXED:
                self.accept(command.vector)
        else:
            logical = command.logical and command.shorthand != ALL
            destination = self._broadcast if command.shorthand == ALL else command.destination
            arrived = self.receive(destination, logical, command.mode, command.vector, level=False)
            if not arrived and not self._xapic:
                self._error(reg.ESR_SEND_ACCEPT)

    # --- registers ---

    def cycles_to_event(self, now: int) -> int | None:
        """The timer's next interrupt."""
        return self.timer.cycles_to_event(now)

    def state(self) -> State:
        """Registers, pins, vectors and timer."""
        parts = {"vectors": self.vectors.state(), "lvt": self.lvt.state(), "timer": self.timer.state()}
        return super().state() | parts

    def restore(self, state: State) -> None:
        """Put `state()` back and drive INTR as it says."""
        own = dict(state)
        self.vectors.restore(own.pop("vectors"))
        self.lvt.restore(own.pop("lvt"))
        self.timer.restore(own.pop("timer"))
        super().restore(own)
        self._show_all()
        self._on_intr(self.intr)

    def _get(self, offset: int) -> int:
        return self.registers[offset >> 4]

    def _set(self, offset: int, value: int) -> None:
        self.registers[offset >> 4] = value

    def _value(self, offset: int) -> int:
        vectors = self.vectors
        if reg.ISR <= offset < reg.ESR:
            bits = (vectors.isr, vectors.tmr, vectors.irr)[offset - reg.ISR >> 7]
            return bits >> 2 * (offset & 0x70) & DWORD
        if offset == reg.TPR:
            return vectors.tpr
        if offset == reg.PPR:
            return vectors.ppr()
        if offset == reg.APR:
            return 0 if self._xapic else vectors.apr()
        if offset == reg.TCCR:
            return self.timer.current()
        if offset in self.lvt:
            return self.lvt[offset]
        return self._get(offset) if offset < reg.REGISTERS_END else 0

    def _write(self, offset: int, value: int) -> None:
        if offset in self.lvt:
            self._write_lvt(offset, value)
        elif offset == reg.TPR:
            self.vectors.tpr = value & 0xFF
        elif offset == reg.EOI:
            self._eoi()
        elif offset == reg.ESR:
            self._set(reg.ESR, self.errors)
            self.errors = 0
        elif offset in self._writable:
            self._set(offset, value & self._writable[offset] | self._ones.get(offset, 0))
            if offset == reg.SVR and not self.software_enabled:
                self.lvt.mask_all()
                self._set_timer()
            elif offset == reg.ICR_LOW:
                self._send(Command.decode(value, self._get(reg.ICR_HIGH)))
            elif offset == reg.TICR:
                self.timer.write_initial(value)
            elif offset == reg.TDCR:
                self.timer.write_divide(value)
        else:
            self._touched(offset)
        self._update()

    def _touched(self, offset: int) -> None:
        if offset not in self._implemented:
            self._error(reg.ESR_ILLEGAL_ADDRESS)

    def _write_lvt(self, lvt: int, value: int) -> None:
        """While software-disabled the masks stay set ("Local APIC state when software-disabled")."""
        self.lvt.write(lvt, value if self.software_enabled else value | reg.LVT_MASKED)
        self._set_timer()

    def _set_timer(self) -> None:
        entry = self.lvt[reg.LVT_TIMER]
        self.timer.set_mode(periodic=bool(entry & reg.LVT_PERIODIC), masked=bool(entry & reg.LVT_MASKED))

    def _eoi(self) -> None:
        finished = self.vectors.finish()
        if finished is not None and finished[1]:
            self.lvt.finish(finished[0])
            self.on_eoi(finished[0])

    def _update(self) -> None:
        level = self.pending() or self.external()
        if level != self.intr:
            self.intr = level
            self._on_intr(level)
