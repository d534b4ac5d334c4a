"""The Python side of checked execution: plans of blocks, and what a failed check leads to."""

from typing import Final

import numpy as np

from emulator.cpu.conditions import taken
from emulator.cpu.exceptions import DB, Fault
from emulator.cpu.intercepts import PREFIX_BYTES
from emulator.cpu.operand_plan import plan_block
from emulator.cpu.operands import decode_at_eip
from emulator.cpu.processor import Processor
from emulator.cpu.registers import CS, ECX, HF_INHIBIT_IRQ, IF
from emulator.cpu.task_switch import CALL, JUMP
from emulator.timing.after import AFTER_SEGMENT
from emulator.timing.causes import INTERRUPT
from emulator.timing.checks import on_instruction
from emulator.timing.modes import RELOADED
from emulator.timing.state import ACCESS, PLAN
from emulator.timing.system_access import charge_cause

CAPACITY: Final = 1 << 20


class Checks:
    """Checked execution of one processor."""

    def __init__(self, processor: Processor) -> None:
        self.processor = processor
        self._plans = np.zeros(CAPACITY, dtype=PLAN)
        self._accesses = np.zeros(CAPACITY, dtype=ACCESS)
        self._plan_count = self._access_count = 0
        engine, s = processor.engine, processor.state
        s.plans, s.accesses = int(self._plans.ctypes.data), int(self._accesses.ctypes.data)
        s.plan_function = engine.callback(self._make_plan)
        s.check_function = engine.callback(self._failed)
        s.task_function = engine.callback(self._switch_tasks)
        s.ferr_function = engine.callback(self._ferr)
        s.taken_function = engine.callback(self._taken)
        s.hook_bounds = engine.on_every_instruction(on_instruction.address)

    def _make_plan(self, index: int, _b: int, _c: int) -> int:
        """Called by the block hook in checked mode for a block without a plan."""
        blocks = self.processor.blocks
        code, bits = blocks.code_of(index)
        plans = plan_block(code, bits)
        first = self._plan_count
        if first + len(plans) >= CAPACITY:
            raise MemoryError("too many checked blocks")
        for plan in plans:
            at = self._access_count
            if at + len(plan.accesses) >= CAPACITY:
                raise MemoryError("too many checked accesses")
            for number, access in enumerate(plan.accesses):
                self._accesses[at + number] = tuple(access)
            self._plans[self._plan_count] = (plan.offset, plan.length, plan.flags, at, len(plan.accesses))
            self._access_count += len(plan.accesses)
            self._plan_count += 1
        blocks.set_plan(index, first, len(plans))
        return 0

    def _failed(self, address: int, vector: int, error: int) -> int:
        """A check before the instruction at `address` has failed; or it is the first with checks `vector`."""
        p = self.processor
        if error == RELOADED:
            p.blocks.unretire(address)
            p.state.checks |= vector
            p.state.after = AFTER_SEGMENT
            p.engine.jump((address - p.registers.base(1)) & 0xFFFFFFFF)
            return 0
        if vector == DB:
            p.debug.report_hits()
        p.raise_in_hook(address, Fault(vector, max(error, 0)))
        return 0

    def _switch_tasks(self, address: int, length: int, how: int) -> int:
        """IRET with NT set (`how` 0), or a far JMP or CALL to the selector in `how`."""
        p = self.processor
        tasks, r = p.delivery.tasks, p.registers
        assert tasks is not None
        after = (address + length) & 0xFFFFFFFF
        r.eip = (address - r.base(1)) & 0xFFFFFFFF
        following = (after - r.base(1)) & 0xFFFFFFFF
        p.delivery.committed = False
        flags = p.engine.eflags()
        try:
            if how:
                tasks.transfer(how & 0xFFFF, self._kind(address), following, flags)
            else:
                tasks.back(following, flags)
                r.unblock_nmi()
        except Fault as fault:
            at = (r.base(1) + r.eip) & 0xFFFFFFFF if p.delivery.committed else address
            p.raise_in_hook(at, fault)
            return 0
        p.blocks.unretire(after)
        if p.state.accounting:
            charge_cause(p.state.array, INTERRUPT, p.costs.interrupt_entry)
        p.state.after = AFTER_SEGMENT
        if p.state.code_written:
            p.written_code()
        p.engine.jump(r.eip)
        return 0

    def _ferr(self, address: int, _b: int, _c: int) -> int:
        """FERR# with an error pending at the waiting instruction at `address`: 1 if it interrupts it.

        A processor would wait for ever for an interrupt that is masked; here it goes on.
        """
        p, r = self.processor, self.processor.registers
        p.on_numeric_error()
        if not p.state.interrupt_pending or not r.system_flags & IF or r.hflags & HF_INHIBIT_IRQ:
            return 0
        p.blocks.unretire(address)
        p.state.after = AFTER_SEGMENT
        r.eip = (address - r.base(CS)) & 0xFFFFFFFF
        p.engine.jump(r.eip)
        return 1

    def _taken(self, address: int, _b: int, _c: int) -> int:
        """Will the conditional branch at `address` be taken?"""
        p = self.processor
        instruction = decode_at_eip(p.registers, p.code_at(address, 15))
        counter = p.registers.general(ECX) & (0xFFFF if instruction.addr_size == 2 else 0xFFFFFFFF)
        return int(taken(instruction.mnemonic, p.engine.eflags(), counter))

    def _kind(self, address: int) -> int:
        code = self.processor.code_at(address, 15).lstrip(PREFIX_BYTES)
        return CALL if code[:1] == b"\x9a" or (code[:1] == b"\xff" and code[1] >> 3 & 7 == 3) else JUMP
