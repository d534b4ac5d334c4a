"""The interval timer: an 8254, and port 0x61 which gates and reads its counter 2.

OUT of counter 0 in mode 3, when the handler of IRQ0 is quick:

    IRQ0              nobody is told              IRQ0
     +---------------------+                       +----
     |   ^ INTA            |                       |
    -+   from here on      +-----------------------+
         `late`: the rise is the next event; if somebody looks, `catch_up` lets OUT fall when it is time
"""

from collections.abc import Callable
from typing import Final

from emulator.devices.clock import Clock
from emulator.devices.device import IrqLine, State
from emulator.devices.events import EventQueue, cycles_left
from emulator.devices.pit_channel import PitChannel

HZ: Final = 1193182
BASE: Final = 0x40
CONTROL: Final = 0x43
PORT_B: Final = 0x61

READ_BACK: Final = 0xC0
READ_BACK_NO_COUNT: Final = 0x20
READ_BACK_NO_STATUS: Final = 0x10

GATE2: Final = 0x01
SPEAKER: Final = 0x02
REFRESH: Final = 0x10
OUT2: Final = 0x20
REFRESH_TICKS: Final = 18  # a DRAM refresh request every 15.09 us toggles REFRESH


class Pit8254:
    """Counters 0 to 2 at ports 40 to 42, the control word at 43, system control port B at 61.

    OUT of counter 0 is IRQ0. Its edges are events, save a fall that does not matter: when the request
    has been acknowledged or is masked, it would only cost a stop of the engine for every tick.
    The other counters are brought up to date when somebody looks. GATE of 0 and 1 is tied high, GATE of
    2 is bit 0 of port 61.
    """

    PORTS = ((BASE, 4), (PORT_B, 1))

    def __init__(
        self,
        clock: Clock,
        events: EventQueue,
        set_irq: IrqLine,
        fall_matters: Callable[[], bool] = lambda: True,
    ) -> None:
        """`fall_matters`: whether, as things stand, a falling edge of IRQ0 would have a consequence."""
        self._fall_matters = fall_matters
        self.late = False  # the next event is a rise, and a fall comes before it
        self._rate = clock.rate(HZ)
        self._events = events
        self._edge = events.handle("pit.out0", self._run)
        self.channels = (PitChannel(set_irq), PitChannel(), PitChannel())
        self.port_b = 0
        self.channels[2].set_gate(False)
        set_irq(self.channels[0].out)

    @property
    def speaker(self) -> bool:
        """True while the speaker follows OUT of counter 2."""
        return bool(self.port_b & SPEAKER)

    def read(self, port: int, size: int) -> int:
        """IN from a counter, or port 61; the control word cannot be read."""
        tick = self._rate.now()
        if port == PORT_B:
            counter = self.channels[2]
            counter.advance(tick)
            refresh = REFRESH * (tick // REFRESH_TICKS & 1)
            return self.port_b | refresh | OUT2 * counter.out
        if port == CONTROL:
            return 0xFF
        value = self._at(port - BASE, tick).read()
        self._arm()
        return value

    def write(self, port: int, value: int, size: int) -> None:
        """OUT of a count, a control word or port 61."""
        tick = self._rate.now()
        if port == PORT_B:
            self.port_b = value & 0x0F
            self._at(2, tick).set_gate(bool(value & GATE2))
            return
        if port != CONTROL:
            self._at(port - BASE, tick).write(value)
        elif value & READ_BACK == READ_BACK:
            self._read_back(value, tick)
        elif value & 0x30:
            self._at(value >> 6, tick).write_control(value)
        else:
            self._at(value >> 6, tick).latch_count()
        self._arm()

    def cycles_to_event(self, now: int) -> int | None:
        """The next point of interest of counter 0."""
        return cycles_left(now, self._edge)

    def state(self) -> State:
        """The counters and port B."""
        self.catch_up()
        channels = [channel.state() for channel in self.channels]
        return {"channels": channels, "port_b": self.port_b, "late": self.late}

    def restore(self, state: State) -> None:
        """Put them back; the event queue is restored by its owner."""
        for channel, saved in zip(self.channels, state["channels"], strict=True):
            channel.restore(saved)
        self.port_b, self.late = state["port_b"], state["late"]

    # --- the fall that nobody waits for

    def catch_up(self) -> None:
        """Before somebody looks at the level of IRQ0: let it fall if it has. A rise comes by its event."""
        if self.late:
            counter = self.channels[0]
            counter.advance(min(self._rate.now(), counter.tick + (counter.ticks_to_rise() or 1) - 1))
            self.late = counter.out

    def reconsider(self) -> None:
        """After what may have changed `fall_matters()`."""
        if self.channels[0].out and self.late == (matters := self._fall_matters()):
            self._arm_for(matters)

    def _at(self, number: int, tick: int) -> PitChannel:
        channel = self.channels[number]
        channel.advance(tick)
        return channel

    def _read_back(self, command: int, tick: int) -> None:
        for number in range(3):
            if command >> number & 2:
                channel = self._at(number, tick)
                if not command & READ_BACK_NO_COUNT:
                    channel.latch_count()
                if not command & READ_BACK_NO_STATUS:
                    channel.latch_status()

    def _run(self, deadline: int) -> None:
        self.channels[0].advance(self._rate.ticks_at(deadline))
        self._arm()

    def _arm(self) -> None:
        self._arm_for(self._fall_matters())

    def _arm_for(self, fall_matters: bool) -> None:
        channel = self.channels[0]
        ticks = None if fall_matters else channel.ticks_to_rise()
        self.late = ticks is not None
        if ticks is None:
            ticks = channel.ticks_to_event()
        if ticks is None:
            self._events.cancel(self._edge)
        else:
            self._events.schedule(self._edge, self._rate.cycle_of(channel.tick + ticks))
