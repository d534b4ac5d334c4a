"""From an ISA interrupt line to the processor's INTR, with or without APICs (MP spec 1.4, 3.6.2).

IRQ0-15 --+--> 8259A pair --+--> LINT0 --> local APIC --> INTR
          |                 +--> pin 0        ^
          |                        |          | messages
          +-- IRQ0: pin 2 -----> I/O APIC ----+
              IRQn: pin n
"""

from collections.abc import Callable
from typing import Final

from emulator.devices.ioapic import IoApic
from emulator.devices.lapic import Lapic
from emulator.devices.pic_pair import CASCADE, PicPair

PIN_8259: Final = 0
PIN_IRQ0: Final = 2


class InterruptControllers:
    """The 8259A pair and, unless they are None, a local and an I/O APIC."""

    def __init__(self, pic: PicPair, lapic: Lapic | None, on_intr: Callable[[bool], None]) -> None:
        self.pic = pic
        self.lapic = lapic
        self.ioapic: IoApic | None = None
        if lapic is None:
            pic.on_intr(on_intr)
            return
        self.ioapic = ioapic = IoApic(lapic.receive)
        lapic.on_intr(on_intr)
        lapic.on_eoi = ioapic.end_of_interrupt
        lapic.virtual_wire()

        def from_pic(level: bool) -> None:
            lapic.lint0(level)
            ioapic.set_irq(PIN_8259, level)

        pic.on_intr(from_pic)

    def set_irq(self, line: int, level: bool) -> None:
        """Drive ISA interrupt line `line`: both controllers see it."""
        self.pic.set_irq(line, level)
        if self.ioapic is not None and line != CASCADE:
            self.ioapic.set_irq(PIN_IRQ0 if line == 0 else line, level)

    def pending(self) -> bool:
        """INTR."""
        return self.pic.pending() if self.lapic is None else self.lapic.intr

    def irq0_fall_matters(self) -> bool:
        """Whether a falling edge of IRQ0 would do more than change the level that the controllers remember.

        It does while a request stands that is not masked, which it would withdraw from the 8259.
        """
        master = self.pic.master
        if master.irr & ~master.imr & 1:
            return True
        return self.ioapic is not None and self.ioapic.held(PIN_IRQ0)

    def nmi_possible(self) -> bool:
        """Whether some device could cause an NMI, which ends HLT even with interrupts off."""
        if self.lapic is None or self.ioapic is None or not self.lapic.enabled:
            return False
        return self.ioapic.sends_nmi() or self.lapic.lvt.pic_sends_nmi()

    def acknowledge(self) -> int:
        """The processor takes an interrupt: a vector of the local APIC, or else of the 8259A pair."""
        lapic = self.lapic
        if lapic is not None:
            if lapic.pending() or not lapic.external():
                return lapic.acknowledge()
            lapic.acknowledge_external()
        return self.pic.acknowledge()
