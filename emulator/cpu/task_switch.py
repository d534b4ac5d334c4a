"""Task switches (SDM vol. 3A, chapter 6).

    task gate (IDT: interrupt; GDT, LDT: JMP, CALL) --> GDT: TSS descriptor --> the new TSS
    old TSS   <-- EIP, EFLAGS, general registers, segment selectors
    new TSS   <-- back link to the old one (interrupt, CALL)
    processor <-- TR, CR3, EFLAGS, EIP, registers, LDTR, segments; CR0.TS is set

               old task's busy bit   new task's busy bit     NT
    interrupt  stays                 must be clear, is set   set
    CALL       stays                 must be clear, is set   set
    JMP        is cleared            must be clear, is set   as in the new TSS
    IRET       is cleared            must be set, stays      cleared in the old TSS

Faults up to the point where TR changes belong to the old task; later ones to the new task, whose first
instruction they precede. Unicorn has task switches of its own for JMP, CALL and IRET, but a soft-TLB fill
in their middle puts EIP back (tests/cpu/test_task_gates.py), so they are done here as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.cpu import layout
from emulator.cpu.delivery import Delivery
from emulator.cpu.exceptions import GP, NP, SEGMENT, TS, Descriptor, Fault
from emulator.cpu.registers import CS, DS, ES, ESP, FS, GS, NT, SS, VM

AVAILABLE_16: Final = 0x01
AVAILABLE_32: Final = 0x09
BUSY_16: Final = 0x03
BUSY_32: Final = 0x0B
BUSY: Final = 0x200
TASK_GATE: Final = 5
LDT_TYPE: Final = 0x02
CR0_TS: Final = 8
CR0_PG: Final = 0x80000000
HF_TS: Final = 1 << 11
VM86_FLAGS: Final = 0x0000F300  # present, data, writable, accessed, DPL 3
DEBUG_TRAP: Final = 100  # the T bit of a 32-bit TSS
INTERRUPT, CALL, JUMP, IRET = range(4)
ORDER: Final = (ES, CS, SS, DS, FS, GS)


@dataclass(frozen=True)
class Layout:
    """Where a TSS keeps what (figures 6-2 and 6-10)."""

    limit: int
    width: int
    cr3: int | None
    eip: int
    flags: int
    general: int
    segments: int
    segment_step: int
    segment_count: int
    ldt: int


TSS32: Final = Layout(0x67, 4, 28, 32, 36, 40, 72, 4, 6, 96)
TSS16: Final = Layout(0x2B, 2, None, 14, 16, 18, 34, 2, 4, 42)


class TaskSwitch:
    """Switches tasks for one processor's `Delivery`."""

    def __init__(
        self,
        delivery: Delivery,
        load_flags: Callable[[int], None],
        load_cr3: Callable[[int], None],
        switched: Callable[[bool], None],
    ) -> None:
        """`switched(trap)` is told of each switch; `trap`: the new TSS has its T bit set."""
        self.delivery, self.registers = delivery, delivery.registers
        self.written: tuple[int, int] | tuple[()] = ()  # the bases of the last switch's two TSSs
        self.load_flags, self.load_cr3, self.switched = load_flags, load_cr3, switched

    def enter(self, selector: int, error: int | None, *, flags: int, extra: int) -> None:
        """Go through the IDT's task gate with this TSS selector; `flags` is what the old TSS keeps.

        Raises: Fault. `delivery.committed` tells whether the new task had begun.
        """
        descriptor = self._available(selector, extra)
        width = self._switch(selector, descriptor, INTERRUPT, flags, self.registers.eip, extra)
        if error is not None:
            self._push(error, width)

    def transfer(self, selector: int, how: int, eip: int, flags: int) -> None:
        """JMP or CALL to a task gate or a TSS; `eip` is that of the next instruction.

        Raises: Fault.
        """
        d = self.delivery
        privilege = max(self.registers.cpl, selector & 3)
        gate = d.descriptor(selector, GP, 0)
        if gate.dpl < privilege:
            raise Fault(GP, selector & 0xFFFC)
        if gate.high >> 8 & 0x1F == TASK_GATE:
            if not gate.present:
                raise Fault(NP, selector & 0xFFFC)
            selector = gate.low >> 16
        self._switch(selector, self._available(selector, 0), how, flags, eip, 0)

    def back(self, eip: int, flags: int) -> None:
        """IRET with NT set: to the task that the back link names; `eip` is that of the next instruction.

        Raises: Fault.
        """
        d = self.delivery
        _, base, _ = self.registers.table(layout.TR)
        selector = d.read(base, 2)
        bad = selector & 0xFFFC
        if selector & 4 or bad == 0:
            raise Fault(TS, bad)
        descriptor = d.descriptor(selector, TS, 0)
        if descriptor.high >> 8 & 0x1F not in (BUSY_16, BUSY_32):
            raise Fault(TS, bad)
        if not descriptor.present:
            raise Fault(NP, bad)
        self._switch(selector, descriptor, IRET, flags & ~NT, eip, 0)

    def _available(self, selector: int, extra: int) -> Descriptor:
        """The descriptor of a TSS that may be switched to."""
        bad = (selector & 0xFFFC) | extra
        if selector & 4 or selector & 0xFFFC == 0:
            raise Fault(GP, bad)
        descriptor = self.delivery.descriptor(selector, GP, extra)
        if descriptor.high >> 8 & 0x1F not in (AVAILABLE_16, AVAILABLE_32):
            raise Fault(GP, bad)
        if not descriptor.present:
            raise Fault(NP, bad)
        return descriptor

    def _switch(
        self, selector: int, descriptor: Descriptor, how: int, flags: int, eip: int, extra: int
    ) -> int:
        """The switch itself; the width of the new task's stack slots."""
        d, r = self.delivery, self.registers
        new = TSS32 if descriptor.high >> 11 & 1 else TSS16
        if descriptor.limit < new.limit:
            raise Fault(TS, (selector & 0xFFFC) | extra)
        words = self._read(descriptor.base, new)
        trap = new is TSS32 and bool(d.read(descriptor.base + DEBUG_TRAP, 2) & 1)
        old_selector, old_base, _ = r.table(layout.TR)
        self.written = (old_base, descriptor.base)
        self._save(flags, eip)
        if how in (INTERRUPT, CALL):
            d.write(descriptor.base, old_selector, 2)
        else:
            self._mark(old_selector, busy=False)
        if how != IRET:
            self._mark(selector, busy=True)
        d.committed = True
        r.set_table(layout.TR, selector, descriptor.base, descriptor.limit, descriptor.high | BUSY)
        self._load(new, words, NT if how in (INTERRUPT, CALL) else 0, extra)
        self.switched(trap)
        return new.width

    def _read(self, base: int, tss: Layout) -> list[int]:
        """CR3, EIP, EFLAGS, eight general registers, six selectors and LDT of a TSS."""
        read = self.delivery.read
        words = [0 if tss.cr3 is None else read(base + tss.cr3, 4)]
        words += [read(base + tss.eip, tss.width), read(base + tss.flags, tss.width)]
        words += [read(base + tss.general + tss.width * i, tss.width) for i in range(8)]
        words += [read(base + tss.segments + tss.segment_step * i, 2) for i in range(tss.segment_count)]
        words += [0] * (6 - tss.segment_count)
        return [*words, read(base + tss.ldt, 2)]

    def _save(self, flags: int, eip: int) -> None:
        r, write = self.registers, self.delivery.write
        _, base, _ = r.table(layout.TR)
        tss = TSS32 if r.task_flags >> 11 & 1 else TSS16
        mask = (1 << 8 * tss.width) - 1
        write(base + tss.eip, eip & mask, tss.width)
        write(base + tss.flags, flags & mask, tss.width)
        for i in range(8):
            write(base + tss.general + tss.width * i, r.general(i) & mask, tss.width)
        for i in range(tss.segment_count):
            write(base + tss.segments + tss.segment_step * i, r.selector(ORDER[i]), 2)

    def _mark(self, selector: int, *, busy: bool) -> None:
        _, base, _ = self.registers.table(layout.GDT)
        at = base + (selector & 0xFFF8) + 5
        access = self.delivery.read(at, 1)
        self.delivery.write(at, access | BUSY >> 8 if busy else access & ~(BUSY >> 8), 1)

    def _load(self, tss: Layout, words: list[int], nested: int, extra: int) -> None:
        r = self.registers
        cr3, eip, flags, *rest = words
        general, selectors, ldt = rest[:8], rest[8:14], rest[14]
        r.set_control(0, r.control(0) | CR0_TS)
        r.hflags |= HF_TS
        if tss.cr3 is not None and r.control(0) & CR0_PG:
            self.load_cr3(cr3)
        r.clear_exception()
        self.load_flags(flags & 0x3F7FD5 | nested | 2)
        r.eip = eip
        for i in range(8):
            value = general[i]
            r.set_general(i, value if tss.width == 4 else r.general(i) & 0xFFFF0000 | value)
        # until they are checked, the segments are those of a task that can only fault
        cpl = 3 if flags & VM else selectors[CS] & 3
        for i in range(6):
            r.set_segment(ORDER[i], selectors[i], 0, 0, 0)
        r.set_table(layout.LDT, ldt & ~4, 0, 0, 0)
        self._load_ldt(ldt, extra)
        if flags & VM:
            for i in range(6):
                r.set_segment(ORDER[i], selectors[i], selectors[i] << 4, 0xFFFF, VM86_FLAGS)
        else:
            self._load_stack_and_code(selectors[SS], selectors[CS], cpl, extra)
            for index in (DS, ES, FS, GS):
                self._load_data(index, selectors[index], cpl, extra)
        r.update_mode(protected=True)

    def _load_ldt(self, selector: int, extra: int) -> None:
        if selector & 0xFFFC == 0:
            return
        bad = (selector & 0xFFFC) | extra
        if selector & 4:
            raise Fault(TS, bad)
        ldt = self.delivery.descriptor(selector, TS, extra)
        if ldt.high >> 8 & 0x1F != LDT_TYPE or not ldt.present:
            raise Fault(TS, bad)
        self.registers.set_table(layout.LDT, selector, ldt.base, ldt.limit, ldt.high)

    def _load_stack_and_code(self, stack: int, code: int, cpl: int, extra: int) -> None:
        d, r = self.delivery, self.registers
        bad_code, bad_stack = (code & 0xFFFC) | extra, (stack & 0xFFFC) | extra
        if code & 0xFFFC == 0:
            raise Fault(TS, bad_code)
        c = d.descriptor(code, TS, extra)
        if not c.code or (c.dpl > cpl if c.conforming else c.dpl != cpl):
            raise Fault(TS, bad_code)
        if not c.present:
            raise Fault(NP, bad_code)
        if stack & 0xFFFC == 0:
            raise Fault(TS, bad_stack)
        s = d.descriptor(stack, TS, extra)
        if not s.writable_data or s.dpl != cpl or stack & 3 != cpl:
            raise Fault(TS, bad_stack)
        if not s.present:
            raise Fault(SEGMENT, bad_stack)
        r.set_segment(CS, code, c.base, c.limit, c.high)
        r.set_segment(SS, stack, s.base, s.limit, s.high)
        r.update_mode(protected=True)

    def _load_data(self, index: int, selector: int, cpl: int, extra: int) -> None:
        if selector & 0xFFFC == 0:
            return
        bad = (selector & 0xFFFC) | extra
        data = self.delivery.descriptor(selector, TS, extra)
        readable = data.high >> 12 & 1 and (not data.high >> 11 & 1 or data.high >> 9 & 1)
        conforming = data.code and data.conforming
        if not readable or (not conforming and data.dpl < max(cpl, selector & 3)):
            raise Fault(TS, bad)
        if not data.present:
            raise Fault(NP, bad)
        self.registers.set_segment(index, selector, data.base, data.limit, data.high)

    def _push(self, error: int, width: int) -> None:
        r = self.registers
        mask = 0xFFFFFFFF if r.descriptor_flags(SS) >> 22 & 1 else 0xFFFF
        top = (r.general(ESP) - width) & mask
        self.delivery.write(r.base(SS) + top, error, width)
        r.set_general(ESP, r.general(ESP) & ~mask | top)
