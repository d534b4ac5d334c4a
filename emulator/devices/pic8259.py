"""The interrupt controller chip: one 8259A."""

from collections.abc import Callable
from typing import Final

from emulator.devices.device import Stateful

ICW1_IC4: Final = 0x01
ICW1_SNGL: Final = 0x02
ICW1_LTIM: Final = 0x08
ICW1_SELECT: Final = 0x10
ICW4_AEOI: Final = 0x02
ICW4_SFNM: Final = 0x10
OCW2_EOI: Final = 0x20
OCW2_SL: Final = 0x40
OCW2_R: Final = 0x80
OCW3_SELECT: Final = 0x08
OCW3_RIS: Final = 0x01
OCW3_RR: Final = 0x02
OCW3_P: Final = 0x04
OCW3_SMM: Final = 0x20
OCW3_ESMM: Final = 0x40


class Pic8259(Stateful):
    """One 8259A (data sheet: "Programming the 8259A", "Operation command words", "Fully nested mode").

    `lines` are the IR inputs. An input that rises sets its IRR bit, one that falls withdraws it (data
    sheet: "Edge and level triggered modes"), so a request that goes before it is acknowledged becomes
    the spurious IR7. Until its first ICW sequence is complete the chip requests nothing, but IMR
    can be written and read. MCS-80 vectors are not modelled: uPM is taken as set.
    """

    FIELDS = (
        *("irr", "isr", "imr", "lines", "elcr", "icw1", "icw2", "icw3", "icw4"),
        *("special_mask", "read_isr", "poll", "lowest", "rotate_aeoi", "next_icw", "ready", "intr"),
    )

    def __init__(self, on_int: Callable[[bool], None], elcr_mask: int) -> None:
        self._on_int = on_int
        self._elcr_mask = elcr_mask
        self.irr = self.isr = self.imr = self.lines = self.elcr = 0
        self.icw1 = self.icw2 = self.icw3 = self.icw4 = 0
        self.special_mask = self.read_isr = self.poll = self.rotate_aeoi = False
        self.lowest = 7  # the IR of lowest priority; the next one is the highest
        self.next_icw = 0  # the ICW expected at A0=1; 0 when OCW1
        self.ready = False
        self.intr = False

    # --- pins ---

    def set_line(self, line: int, level: bool) -> None:
        """Drive one of the inputs IR0 to IR7."""
        bit = 1 << line
        if level == bool(self.lines & bit):
            return
        self.lines ^= bit
        if level != bool(self.irr & bit):
            self.irr ^= bit
            self._update()

    def inta(self) -> int | None:
        """The acknowledge sequence: the IR that is now in service, None if no request stands.

        INT goes inactive and comes back if another request can interrupt, so that a master
        with edge inputs sees it.
        """
        line = self.request()
        if line is None:
            return None
        self.irr = self.irr & ~(1 << line) | self.lines & self._level()
        if not self.icw4 & ICW4_AEOI:
            self.isr |= 1 << line
        elif self.rotate_aeoi:
            self.lowest = line
        self._output(False)
        self._update()
        return line

    def request(self) -> int | None:
        """The priority resolver: the unmasked request that may interrupt what is in service."""
        requests = self.irr & ~self.imr
        if not requests or not self.ready:
            return None
        blocking = self.isr & ~self.imr if self.special_mask else self.isr
        nested = self.cascaded() if self.icw4 & ICW4_SFNM else 0
        for i in range(1, 9):
            line = (self.lowest + i) & 7
            bit = 1 << line
            if requests & bit and (not blocking & bit or nested & bit):
                return line
            if blocking & bit:
                return None
        return None

    def cascaded(self) -> int:
        """The inputs that have a slave (ICW3 of a master)."""
        return 0 if self.icw1 & ICW1_SNGL else self.icw3

    def vector(self, line: int) -> int:
        """The byte put on the bus for `line`: T7..T3 of ICW2."""
        return self.icw2 & 0xF8 | line

    # --- registers ---

    def read(self, a0: int) -> int:
        """A0=0: IRR or ISR as OCW3 chose; A0=1: IMR; after a poll command either is the poll word."""
        if self.poll:
            self.poll = False
            line = self.inta()
            return 0 if line is None else 0x80 | line
        if a0:
            return self.imr
        return self.isr if self.read_isr else self.irr

    def write(self, a0: int, value: int) -> None:
        """A0=0: ICW1, OCW2 or OCW3; A0=1: the ICW that is due, else OCW1."""
        if a0:
            self._write_icw(value) if self.next_icw else self._write_ocw1(value)
        elif value & ICW1_SELECT:
            self._write_icw1(value)
        elif value & OCW3_SELECT:
            self._write_ocw3(value)
        else:
            self._write_ocw2(value)
        self._update()

    def write_elcr(self, value: int) -> None:
        """The edge/level control register of EISA and PIIX chip sets: 1 is level."""
        self.elcr = value & self._elcr_mask
        self.irr |= self.lines & self._level()
        self._update()

    def restore(self, state: dict[str, object]) -> None:
        """Put the registers back and drive INT as they say."""
        super().restore(state)
        self._on_int(self.intr)

    def _level(self) -> int:
        return 0xFF if self.icw1 & ICW1_LTIM else self.elcr

    def _write_icw1(self, value: int) -> None:
        self.icw1 = value
        self.icw3 = 7  # "the slave mode address is set to 7"
        self.icw4 = 0  # without IC4 all its functions are zero
        self.imr = self.isr = 0
        self.irr = self.lines & self._level()  # the edge sense circuit is reset
        self.lowest = 7
        self.special_mask = self.read_isr = self.poll = self.rotate_aeoi = False
        self.next_icw = 2
        self.ready = False

    def _write_icw(self, value: int) -> None:
        if self.next_icw == 2:
            self.icw2 = value
            self.next_icw = 4 if self.icw1 & ICW1_SNGL else 3
        elif self.next_icw == 3:
            self.icw3 = value
            self.next_icw = 4
        else:
            self.icw4 = value
            self.next_icw = 0
        if self.next_icw == 4 and not self.icw1 & ICW1_IC4:
            self.next_icw = 0
        self.ready = self.next_icw == 0

    def _write_ocw1(self, value: int) -> None:
        self.imr = value

    def _write_ocw2(self, value: int) -> None:
        rotate, line = bool(value & OCW2_R), value & 7
        if not value & OCW2_EOI:
            if not value & OCW2_SL:
                self.rotate_aeoi = rotate
            elif rotate:
                self.lowest = line  # set priority
            return
        if not value & OCW2_SL:
            highest = self._highest_in_service()
            if highest is None:
                return
            line = highest
        self.isr &= ~(1 << line)
        if rotate:
            self.lowest = line

    def _write_ocw3(self, value: int) -> None:
        if value & OCW3_ESMM:
            self.special_mask = bool(value & OCW3_SMM)
        if value & OCW3_RR:
            self.read_isr = bool(value & OCW3_RIS)
        self.poll = bool(value & OCW3_P)

    def _highest_in_service(self) -> int | None:
        """What a non-specific EOI ends; in special mask mode a masked IS bit is not cleared by it."""
        isr = self.isr & ~self.imr if self.special_mask else self.isr
        if not isr & (isr - 1):  # one at most
            return isr.bit_length() - 1 if isr else None
        order = ((self.lowest + i) & 7 for i in range(1, 9))
        return next(line for line in order if isr >> line & 1)

    def _update(self) -> None:
        self._output(self.request() is not None)

    def _output(self, level: bool) -> None:
        if level != self.intr:
            self.intr = level
            self._on_int(level)
