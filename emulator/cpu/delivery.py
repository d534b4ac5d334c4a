"""Delivery of interrupts and exceptions through the IDT (SDM vol. 3A, chapter 5).

    IDT gate --> code segment --> same ring:   push EFLAGS, CS, EIP (, error code)
                       |
                       +--------> inner ring:  SS:ESP from the TSS, push SS, ESP, EFLAGS, CS, EIP (, error)
                       +--------> from VM86:   GS, FS, DS, ES first

Unicorn never delivers anything itself. All descriptors and frames are read and written through the
model, so a delivery pays its own TLB and cache misses; its fixed cost comes from the profile.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from emulator.cpu import layout
from emulator.cpu.exceptions import (
    CONTRIBUTORY,
    DF,
    GP,
    NP,
    PF,
    SEGMENT,
    TS,
    WITH_ERROR_CODE,
    Descriptor,
    Fault,
    FaultRecord,
    TripleFault,
    pushed_flags,
)
from emulator.cpu.registers import (
    CR0_PE,
    CS,
    DS,
    ES,
    ESP,
    FS,
    GS,
    HF_INHIBIT_IRQ,
    HF_TF,
    HF_VM,
    IF,
    NT,
    RF,
    SS,
    TF,
    VM,
    Registers,
)

if TYPE_CHECKING:
    from emulator.cpu.task_switch import TaskSwitch

TASK_GATE = 5


def _in_segment(offset: int, size: int, limit: int, high: int) -> bool:
    """Are `size` bytes at an offset inside a stack segment? (SDM vol. 3A 4.3)"""
    if high >> 10 & 1:  # expand-down
        return offset > limit and offset + size - 1 <= (0xFFFFFFFF if high >> 22 & 1 else 0xFFFF)
    return limit == 0xFFFFFFFF or offset + size - 1 <= limit


class Delivery:
    """Delivers to one processor.

    `read(linear, size)` and `write(linear, value, size)` access memory as a supervisor through the
    model and raise Fault; `eflags()` gives the architectural EFLAGS.
    """

    def __init__(
        self,
        registers: Registers,
        read: Callable[[int, int], int],
        write: Callable[[int, int, int], None],
        eflags: Callable[[], int],
    ) -> None:
        self.registers = registers
        self.read, self.write, self.eflags = read, write, eflags
        self.history: list[FaultRecord] = []
        self.tasks: TaskSwitch | None = None  # set by the processor
        self.committed = False  # a task switch has left the old task for good

    def deliver(
        self,
        vector: int,
        error: int | None,
        *,
        external: bool = False,
        restart: int | None = None,
    ) -> None:
        """Enter the handler of `vector`; faults on the way become double faults by SDM table 5-5.

        `restart` makes it an INT n, INT3 or INTO: it is the EIP of that instruction, to which a fault
        on the way goes back, while the frame of the interrupt itself has the EIP behind it.

        Raises: TripleFault, with `history` telling how it came to that.
        """
        self.history = []
        software = restart is not None
        while True:
            self._remember(vector, error)
            self.committed = False
            try:
                self._enter(vector, error, software=software, external=external)
            except Fault as fault:
                second = fault.vector
                if restart is not None and not self.committed:
                    self.registers.eip = restart
                if second == PF:
                    self.registers.set_control(2, fault.linear)
                if vector == DF and not software:
                    self._remember(second, fault.error)
                    raise TripleFault from None
                benign = software or external or vector not in CONTRIBUTORY | {PF}
                if not benign and (second in CONTRIBUTORY or (vector == PF and second == PF)):
                    self._remember(second, fault.error)
                    vector, error = DF, 0
                else:
                    vector, error = second, fault.error
                software = external = False
            else:
                return

    def _remember(self, vector: int, error: int | None) -> None:
        r = self.registers
        self.history.append(FaultRecord(vector, error, r.selector(CS), r.eip, r.control(2)))

    def _enter(self, vector: int, error: int | None, *, software: bool, external: bool) -> None:
        if not self.registers.control(0) & CR0_PE:
            self._enter_real(vector)
        else:
            self._enter_protected(vector, error, software=software, external=external)

    def _enter_real(self, vector: int) -> None:
        """Real mode: the vector table of 4-byte far pointers, a frame of three words."""
        r = self.registers
        _, base, limit = r.table(layout.IDT)
        if vector * 4 + 3 > limit:
            raise Fault(GP, vector * 8 + 2)
        offset, selector = self.read(base + 4 * vector, 2), self.read(base + 4 * vector + 2, 2)
        stack = r.general(ESP)
        for value in (self.eflags(), r.selector(CS), r.eip):
            stack = (stack & ~0xFFFF) | ((stack - 2) & 0xFFFF)
            self.write(r.base(SS) + (stack & 0xFFFF), value & 0xFFFF, 2)
        r.set_general(ESP, stack)
        r.set_segment(CS, selector, selector << 4, 0xFFFF, r.descriptor_flags(CS))
        r.eip = offset
        self._clear_flags(IF | TF | RF)
        r.update_mode(protected=False)

    def _clear_flags(self, mask: int) -> None:
        r = self.registers
        r.system_flags = r.system_flags & ~mask
        r.hflags &= ~(HF_INHIBIT_IRQ | HF_TF | (HF_VM if mask & VM else 0))
        r.clear_exception()

    def _gate(self, vector: int, *, software: bool, extra: int) -> tuple[int, int, int]:
        """(selector, offset, type) of a checked IDT gate."""
        r = self.registers
        _, base, limit = r.table(layout.IDT)
        code = vector * 8 + 2 + extra
        if vector * 8 + 7 > limit:
            raise Fault(GP, code)
        low, high = self.read(base + 8 * vector, 4), self.read(base + 8 * vector + 4, 4)
        kind = high >> 8 & 0x1F
        if kind not in (5, 6, 7, 14, 15):
            raise Fault(GP, code)
        if software and (high >> 13 & 3) < r.cpl:
            raise Fault(GP, vector * 8 + 2)
        if not high >> 15 & 1:
            raise Fault(NP, code)
        offset = (low & 0xFFFF) | (high & 0xFFFF0000 if kind & 8 else 0)
        return low >> 16, offset, kind

    def descriptor(self, selector: int, vector: int, extra: int) -> Descriptor:
        """The descriptor that a selector names; `vector` is raised with it when it lies outside its table."""
        r = self.registers
        code = (selector & 0xFFFC) | extra
        _, base, limit = r.table(layout.LDT if selector & 4 else layout.GDT)
        if (selector & 0xFFF8) + 7 > limit:
            raise Fault(vector, code)
        at = base + (selector & 0xFFF8)
        return Descriptor(self.read(at, 4), self.read(at + 4, 4))

    def _enter_protected(self, vector: int, error: int | None, *, software: bool, external: bool) -> None:
        r = self.registers
        extra = 0 if software else 1  # EXT: an event or an earlier exception, not the program itself
        selector, offset, kind = self._gate(vector, software=software, extra=extra)
        if kind == TASK_GATE and self.tasks is not None:
            pushed = pushed_flags(self.eflags(), vector, software=software, external=external)
            with_code = vector in WITH_ERROR_CODE and not software
            self.tasks.enter(selector, error if with_code else None, flags=pushed, extra=extra)
            return
        if selector & 0xFFFC == 0:
            raise Fault(GP, extra)
        code = self.descriptor(selector, GP, extra)
        bad = (selector & 0xFFFC) | extra
        if not code.code or code.dpl > r.cpl:
            raise Fault(GP, bad)
        if not code.present:
            raise Fault(NP, bad)
        width = 4 if kind & 8 else 2
        flags = self.eflags()
        pushed = pushed_flags(flags, vector, software=software, external=external)
        frame = [pushed, r.selector(CS), r.eip]
        if error is not None and vector in WITH_ERROR_CODE and not software:
            frame.append(error)
        inner = not code.conforming and code.dpl < r.cpl
        ring = code.dpl if inner else r.cpl
        if flags & VM and ring != 0:
            raise Fault(GP, bad)
        if inner:
            stack_selector, stack, stack_pointer = self._inner_stack(code.dpl, extra)
            limit, flags_high = stack.limit, stack.high
            frame = [r.selector(SS), r.general(ESP), *frame]
            if flags & VM:
                frame = [r.selector(GS), r.selector(FS), r.selector(DS), r.selector(ES), *frame]
            base, big = stack.base, stack.high >> 22 & 1
        else:
            stack_pointer, base, big = r.general(ESP), r.base(SS), r.descriptor_flags(SS) >> 22 & 1
            limit, flags_high = r.limit(SS), r.descriptor_flags(SS)
        mask = 0xFFFFFFFF if big else 0xFFFF
        for slot in range(1, len(frame) + 1):
            if not _in_segment((stack_pointer - width * slot) & mask, width, limit, flags_high):
                raise Fault(SEGMENT, (stack_selector & 0xFFFC if inner else 0) | extra)
        if offset > code.limit:
            raise Fault(GP, extra)
        top = stack_pointer
        for value in frame:
            top = (top & ~mask) | ((top - width) & mask)
            self.write(base + (top & mask), value & ((1 << 8 * width) - 1), width)
        if inner:
            if flags & VM:
                for index in (ES, DS, FS, GS):
                    r.set_segment(index, 0, 0, 0, 0)
            r.set_segment(SS, (stack_selector & ~3) | ring, stack.base, stack.limit, stack.high)
        r.set_segment(CS, (selector & ~3) | ring, code.base, code.limit, code.high)
        r.set_general(ESP, top)
        r.eip = offset
        self._clear_flags(TF | NT | RF | VM | (0 if kind & 1 else IF))
        r.update_mode(protected=True)

    def _inner_stack(self, dpl: int, extra: int) -> tuple[int, Descriptor, int]:
        """SS:ESP of an inner ring from the TSS, with the checks of SDM vol. 2A, INT n."""
        r = self.registers
        tr, base, limit = r.table(layout.TR)
        tss32 = self._tss_is_32bit()
        at = 4 + 8 * dpl if tss32 else 2 + 4 * dpl
        width = 4 if tss32 else 2
        if at + width + 1 > limit:
            raise Fault(TS, (tr & 0xFFFC) | extra)
        pointer, selector = self.read(base + at, width), self.read(base + at + width, 2)
        bad = (selector & 0xFFFC) | extra
        if selector & 0xFFFC == 0:
            raise Fault(TS, extra)
        stack = self.descriptor(selector, TS, extra)
        if selector & 3 != dpl or stack.dpl != dpl or not stack.writable_data:
            raise Fault(TS, bad)
        if not stack.present:
            raise Fault(SEGMENT, bad)
        return selector, stack, pointer

    def _tss_is_32bit(self) -> bool:
        return bool(self.registers.task_flags >> 11 & 1)
