"""What a processor does when the engine reports an exception, and how hooks end an instruction."""

from typing import Final

from emulator.cpu.blocks import BlockStore
from emulator.cpu.debug import BS, DebugRegisters
from emulator.cpu.delivery import Delivery
from emulator.cpu.engine import Engine
from emulator.cpu.exceptions import (
    DB,
    DF,
    NM,
    PF,
    UD,
    WITH_ERROR_CODE,
    Fault,
    FaultRecord,
    TripleFault,
    pushed_flags,
)
from emulator.cpu.features import undefined
from emulator.cpu.guest_error import GuestError
from emulator.cpu.quick_delivery import deliver_quickly
from emulator.cpu.registers import CS, HF_CS32, HF_INHIBIT_IRQ, SS, TF, Registers
from emulator.timing.after import AFTER_SEGMENT
from emulator.timing.costs import Costs
from emulator.timing.state import StateView

TSS_SIZE: Final = 104
LARGEST_FRAME: Final = 40  # from VM86: GS FS DS ES SS ESP EFLAGS CS EIP and an error code


class Events:
    """The part of a `Processor` that delivers."""

    state: StateView
    engine: Engine
    registers: Registers
    costs: Costs
    blocks: BlockStore
    delivery: Delivery
    debug: DebugRegisters
    counts: dict[str, int]

    def code_at(self, linear: int, size: int) -> bytes:
        """Instruction bytes at a linear address, as far as they are mapped."""
        raise NotImplementedError

    def shutdown(self, history: list[FaultRecord]) -> GuestError:
        """The error of a triple fault."""
        raise NotImplementedError

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def _deliver(
        self,
        vector: int,
        error: int | None,
        cost: int,
        *,
        external: bool = False,
        restart: int | None = None,
    ) -> None:
        s = self.state
        if vector == DB:
            self.debug.delivered()
        kind = "exceptions" if restart is None else "software_interrupts"
        self._count("interrupts" if external else kind)
        software = restart is not None
        flags = pushed_flags(self.engine.eflags(), vector, software=software, external=external)
        if not deliver_quickly(s.array, vector, -1 if error is None else error, flags, software, cost):
            try:
                self.delivery.deliver(vector, error, external=external, restart=restart)
            except TripleFault:
                raise self.shutdown(self.delivery.history) from None
        if s.code_written:
            self.written_code()

    def written_code(self) -> None:
        """The stack, or a TSS, shares a frame with code: forget what was translated there."""
        self.state.code_written = 0
        self.engine.retranslate(self.registers.stack_top, LARGEST_FRAME)
        tasks = self.delivery.tasks
        for base in tasks.written if tasks else ():
            self.engine.retranslate(base, TSS_SIZE)

    def _settle_flags(self) -> None:
        """The engine reports a fault of the instruction at EIP (see `timing.hooked`)."""
        s = self.state
        if s.hooked_at == self.registers.linear_eip and s.hooked_block == s.blocks:
            self.registers.condition_codes_are_computed()

    def _interrupt(self, vector: int) -> None:
        r = self.registers
        self._settle_flags()
        if r.software_interrupt:
            # EIP is behind the instruction already; INTO need not be the last one of its block
            at = (self.blocks.instruction_before(r.linear_eip) - r.base(CS)) & 0xFFFFFFFF
            self.blocks.unretire(r.linear_eip)
            self._deliver(vector, None, self.costs.interrupt_entry, restart=at)
        elif vector == DB and self._in_stack_shadow():
            pass  # MOV SS and POP SS: the trap comes after the next instruction (SDM vol. 3A 5.8.3)
        else:
            if vector == DB:
                self.debug.report_hits(BS)
            elif vector == NM and self._undefined_simd():
                vector = UD  # the engine looks at TS first
            error = r.error_code if vector in WITH_ERROR_CODE else None
            self.blocks.unretire(r.linear_eip)
            self._deliver(vector, 0 if vector == DF else error, self.costs.exception_entry)
        self.engine.jump_from_interrupt(r.eip)

    def _undefined_simd(self) -> bool:
        r = self.registers
        bits = 32 if r.hflags & HF_CS32 else 16
        return undefined(self.code_at(r.linear_eip, 15), bits, r.control(0), r.control(4))

    def _in_stack_shadow(self) -> bool:
        if not self.registers.hflags & HF_INHIBIT_IRQ:
            return False
        before = self.blocks.instruction_before(self.registers.linear_eip)
        code = self.code_at(before, 15).lstrip(b"\x26\x2e\x36\x3e\x64\x65\x66\x67")
        return code[:1] == b"\x17" or (code[:1] == b"\x8e" and code[1] >> 3 & 7 == SS)

    def _invalid_instruction(self) -> None:
        self._settle_flags()
        self.blocks.unretire(self.registers.linear_eip)
        self._deliver(UD, None, self.costs.exception_entry)

    def raise_in_hook(self, linear: int, fault: Fault) -> None:
        """Deliver a fault of (or a trap before) the instruction at `linear`, from its address hook."""
        r = self.registers
        self.blocks.unretire(linear)
        r.eip = (linear - r.base(CS)) & 0xFFFFFFFF
        if fault.vector == PF:
            r.set_control(2, fault.linear)
        error = fault.error if fault.vector in WITH_ERROR_CODE else None
        self._deliver(fault.vector, error, self.costs.exception_entry)
        self.engine.jump(r.eip)

    def trap_in_hook(self, linear: int, length: int) -> None:
        """INT1 at `linear`: a debug trap behind it that leaves DR6 alone."""
        after = (linear + length) & 0xFFFFFFFF
        self.blocks.unretire(after)
        self.registers.eip = (after - self.registers.base(CS)) & 0xFFFFFFFF
        self._deliver(DB, None, self.costs.exception_entry)
        self.engine.jump(self.registers.eip)

    def skip_in_hook(self, linear: int, length: int) -> None:
        """The hook has executed the instruction at `linear`: go on behind it."""
        after = (linear + length) & 0xFFFFFFFF
        self.blocks.unretire(after)
        self.state.after = AFTER_SEGMENT
        self.registers.eip = (after - self.registers.base(CS)) & 0xFFFFFFFF
        if self.registers.system_flags & TF:
            self.debug.report_hits(BS)
            self._deliver(DB, None, self.costs.exception_entry)
        self.engine.jump(self.registers.eip)
