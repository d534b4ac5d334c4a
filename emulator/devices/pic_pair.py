"""The PC's two 8259A, cascaded on IR2, and their edge/level registers."""

from collections.abc import Callable
from typing import Final

from emulator.devices.device import State
from emulator.devices.pic8259 import ICW1_SELECT, Pic8259

MASTER: Final = 0x20
SLAVE: Final = 0xA0
ELCR: Final = 0x4D0
CASCADE: Final = 2
SPURIOUS: Final = 7


class PicPair:
    """IRQ0 to IRQ15: the master's IR0..7 and, through its IR2, the slave's (data sheet: "Cascade mode")."""

    PORTS = ((MASTER, 2), (SLAVE, 2), (ELCR, 2))

    def __init__(self) -> None:
        self.before_access: Callable[[], None] = lambda: None  # of the master: lines must be up to date
        self.after_access: Callable[[], None] = lambda: None  # requests and masks may be different
        self._on_intr: Callable[[bool], None] = lambda level: None
        self.master = Pic8259(lambda level: self._on_intr(level), elcr_mask=0xF8)
        self.slave = Pic8259(lambda level: self.master.set_line(CASCADE, level), elcr_mask=0xDE)

    def on_intr(self, callback: Callable[[bool], None]) -> None:
        """Call `callback(level)` when INTR changes."""
        self._on_intr = callback

    def set_irq(self, line: int, level: bool) -> None:
        """Drive IRQ `line` (0 to 15; 2 is the cascade and has no pin)."""
        if line >= 8:
            self.slave.set_line(line - 8, level)
        elif line != CASCADE:
            self.master.set_line(line, level)

    def pending(self) -> bool:
        """INTR."""
        return self.master.intr

    def acknowledge(self) -> int:
        """The two INTA cycles: the vector; IR7 of the chip that has no request any more if it is spurious."""
        vector = self._acknowledge()
        self.after_access()
        return vector

    def _acknowledge(self) -> int:
        line = self.master.inta()
        if line is None:
            return self.master.vector(SPURIOUS)
        if not self.master.cascaded() >> line & 1:
            return self.master.vector(line)
        if line != CASCADE or self.slave.icw3 & 7 != CASCADE:
            return 0xFF  # no slave has this number: nobody drives the bus
        slave_line = self.slave.inta()
        return self.slave.vector(SPURIOUS if slave_line is None else slave_line)

    def read(self, port: int, size: int) -> int:
        """IN from 20, 21, A0, A1, 4D0 or 4D1."""
        chip = self._chip(port)
        if port >= ELCR:
            return chip.elcr
        if chip is not self.master:
            return chip.read(port & 1)
        self.before_access()
        value = chip.read(port & 1)
        self.after_access()
        return value

    def write(self, port: int, value: int, size: int) -> None:
        """OUT to 20, 21, A0, A1, 4D0 or 4D1."""
        chip = self._chip(port)
        if port >= ELCR:
            chip.write_elcr(value)
        elif chip is not self.master or (port == MASTER and not value & ICW1_SELECT):
            chip.write(port & 1, value)  # OCW2 and OCW3 look at neither a line nor IMR
        else:
            self.before_access()
            chip.write(port & 1, value)
            self.after_access()

    def cycles_to_event(self, now: int) -> int | None:
        """Never: it only answers."""
        return None

    def state(self) -> State:
        """Both chips."""
        return {"master": self.master.state(), "slave": self.slave.state()}

    def restore(self, state: State) -> None:
        """Put both chips back and drive INTR as they say."""
        self.slave.restore(state["slave"])
        self.master.restore(state["master"])  # after the slave, whose INT pin drove IR2 meanwhile

    def _chip(self, port: int) -> Pic8259:
        if port >= ELCR:
            return self.slave if port & 1 else self.master
        return self.slave if port >= SLAVE else self.master
