"""The serial port: a 16550A (National PC16550D data sheet), with a host at the other end.

The transmitter is always ready: a byte written to THR is at once in the host's sink, and the THRE
interrupt is due again. The receiver gets the host's bytes one character time apart, in modelled time. The
host is polite: it waits while the receiver is full, in loopback, or has no baud rate, so nothing typed
is lost. OUT2 does not gate the interrupt line (xv6 never sets it).
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from emulator.devices.clock import Clock
from emulator.devices.device import IrqLine, Stateful
from emulator.devices.events import EventQueue, cycles_left

HZ: Final = 1843200
COM1: Final = 0x3F8
FIFO_SIZE: Final = 16

RBR = THR = DLL = 0
IER = DLM = 1
IIR = FCR = 2
LCR, MCR, LSR, MSR, SCR = 3, 4, 5, 6, 7

IER_RDA: Final = 0x01
IER_THRE: Final = 0x02
IER_RLS: Final = 0x04
IER_MS: Final = 0x08
IIR_NONE: Final = 0x01
IIR_MS: Final = 0x00
IIR_THRE: Final = 0x02
IIR_RDA: Final = 0x04
IIR_RLS: Final = 0x06
IIR_TIMEOUT: Final = 0x0C
IIR_FIFOS: Final = 0xC0
FCR_ENABLE: Final = 0x01
FCR_CLEAR_RX: Final = 0x02
FCR_TRIGGER: Final = 0xC0
LCR_DLAB: Final = 0x80
MCR_LOOP: Final = 0x10
LSR_DR: Final = 0x01
LSR_OE: Final = 0x02
LSR_BI: Final = 0x10
LSR_THRE_TEMT: Final = 0x60
LSR_FIFO_ERROR: Final = 0x80
MSR_TERI: Final = 0x04
MSR_RI: Final = 0x40
CONNECTED: Final = 0xB0  # DCD, DSR and CTS of a host that is there

TRIGGERS: Final = (1, 4, 8, 14)
BREAK: Final = LSR_BI << 8  # a received character carries its LSR error bits above its byte


class Uart16550(Stateful):
    """RBR THR IER IIR FCR LCR MCR LSR MSR SCR DLL DLM at eight ports from `base`."""

    FIELDS = (
        *("ier", "fcr", "lcr", "mcr", "msr", "scr", "divisor"),
        *("errors", "fifo", "thre_pending", "timeout", "host", "rx_tick"),
    )

    def __init__(
        self,
        clock: Clock,
        events: EventQueue,
        set_irq: IrqLine,
        sink: Callable[[bytes], None],
        base: int = COM1,
    ) -> None:
        self.PORTS = ((base, 8),)
        self._rate = clock.rate(HZ)
        self._events = events
        self._set_irq = set_irq
        self._sink = sink
        self._rx = events.handle(f"uart{base:x}.receive", self._on_receive)
        self._idle = events.handle(f"uart{base:x}.timeout", self._on_timeout)
        self.ier = self.fcr = self.lcr = self.mcr = self.scr = 0
        self.msr = CONNECTED
        self.divisor = 12  # 9600 baud: undefined at reset, this is what firmware leaves
        self.errors = 0  # OE, and PE FE BI of the character on top of the FIFO
        self.fifo: deque[int] = deque()
        self.thre_pending = True
        self.timeout = False
        self.host: deque[int] = deque()  # what the host wants to send
        self.rx_tick = 0  # when the last character arrived

    # --- the host's side ---

    def receive(self, data: bytes) -> None:
        """The host sends `data` after what it still has to send."""
        self.host.extend(data)
        self._arm_receiver(self._rate.now())

    def receive_break(self) -> None:
        """The host sends a break."""
        self.host.append(BREAK)
        self._arm_receiver(self._rate.now())

    def _on_receive(self, deadline: int) -> None:
        if not self._listening():
            return
        self._arrive(self.host.popleft(), self._rate.ticks_at(deadline))

    def _arrive(self, character: int, tick: int) -> None:
        if len(self.fifo) < self._capacity():
            self.fifo.append(character)
        else:
            self.errors |= LSR_OE
            if not self._fifos():
                self.fifo[0] = character  # RBR is overwritten; a full FIFO is not
        if len(self.fifo) == 1:
            self._reveal()
        self.rx_tick = tick
        self._arm_timeout(tick)
        self._arm_receiver(tick)
        self._update()

    def _on_timeout(self, deadline: int) -> None:
        self.timeout = True
        self._update()

    # --- registers (data sheet: "Registers", table II) ---

    def read(self, port: int, size: int) -> int:
        """IN from one of the registers."""
        register = port & 7
        if self.lcr & LCR_DLAB and register <= DLM:
            return self.divisor >> 8 * register & 0xFF
        if register == RBR:
            return self._read_rbr()
        if register == IER:
            return self.ier
        if register == IIR:
            return self._read_iir()
        if register == LCR:
            return self.lcr
        if register == MCR:
            return self.mcr
        if register == LSR:
            return self._read_lsr()
        if register == MSR:
            msr = self.msr
            self.msr &= 0xF0
            self._update()
            return msr
        return self.scr

    def write(self, port: int, value: int, size: int) -> None:
        """OUT to one of the registers; LSR and MSR ignore it."""
        register = port & 7
        if self.lcr & LCR_DLAB and register <= DLM:
            shift = 8 * register
            self.divisor = self.divisor & ~(0xFF << shift) | value << shift
        elif register == THR:
            self._write_thr(value)
        elif register == IER:
            if value & ~self.ier & IER_THRE:
                self.thre_pending = True
            self.ier = value & 0x0F
        elif register == FCR:
            self._write_fcr(value)
        elif register == LCR:
            self.lcr = value
        elif register == MCR:
            self.mcr = value & 0x1F
            self._write_modem()
        elif register == SCR:
            self.scr = value
        self._arm_receiver(self._rate.now())
        self._update()

    def cycles_to_event(self, now: int) -> int | None:
        """The next character or character timeout."""
        return cycles_left(now, self._rx, self._idle)

    def _read_rbr(self) -> int:
        if not self.fifo:
            return 0
        value = self.fifo.popleft() & 0xFF
        if self.fifo:
            self._reveal()
        now = self._rate.now()
        self.timeout = False
        self._arm_timeout(now)
        self._arm_receiver(now)
        self._update()
        return value

    def _write_thr(self, value: int) -> None:
        self.thre_pending = False
        self._update()  # the line drops for an instant: an edge for the next one
        if self.mcr & MCR_LOOP:
            self._arrive(value, self._rate.now())
        else:
            self._sink(bytes((value,)))
        self.thre_pending = True

    def _read_iir(self) -> int:
        source = self._source()
        if source == IIR_THRE:
            self.thre_pending = False
            self._update()
        return source | (IIR_FIFOS if self._fifos() else 0)

    def _read_lsr(self) -> int:
        in_fifo = self._fifos() and (self.errors & ~LSR_OE or any(entry >> 8 for entry in self.fifo))
        lsr = LSR_THRE_TEMT | self.errors | LSR_DR * bool(self.fifo) | LSR_FIFO_ERROR * bool(in_fifo)
        self.errors = 0
        self._update()
        return lsr

    def _write_fcr(self, value: int) -> None:
        """FCR: the other bits are only written along with bit 0; changing bit 0 clears both FIFOs."""
        if (value ^ self.fcr) & FCR_ENABLE or value & FCR_CLEAR_RX:
            self.fifo.clear()
            self.timeout = False
            self._events.cancel(self._idle)
        self.fcr = value & (FCR_TRIGGER | FCR_ENABLE) if value & FCR_ENABLE else 0

    def _write_modem(self) -> None:
        """MSR from the outside, or in loopback from MCR: RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD."""
        lines = CONNECTED
        if self.mcr & MCR_LOOP:
            dtr, rts, outs = self.mcr & 1, self.mcr >> 1 & 1, self.mcr >> 2 & 3
            lines = rts << 4 | dtr << 5 | outs << 6
        deltas = (self.msr ^ lines) >> 4 & 0x0B
        if self.msr & ~lines & MSR_RI:
            deltas |= MSR_TERI  # trailing edge only
        self.msr = self.msr & 0x0F | deltas | lines

    # --- interrupts (data sheet: "Interrupt identification register", "FIFO interrupt mode operation") ---

    def _source(self) -> int:
        if self.ier & IER_RLS and self.errors:
            return IIR_RLS
        if self.ier & IER_RDA:
            if len(self.fifo) >= (TRIGGERS[self.fcr >> 6] if self._fifos() else 1):
                return IIR_RDA
            if self.timeout:
                return IIR_TIMEOUT
        if self.ier & IER_THRE and self.thre_pending:
            return IIR_THRE
        if self.ier & IER_MS and self.msr & 0x0F:
            return IIR_MS
        return IIR_NONE

    def _update(self) -> None:
        self._set_irq(self._source() != IIR_NONE)

    # --- the receiver ---

    def _fifos(self) -> bool:
        return bool(self.fcr & FCR_ENABLE)

    def _capacity(self) -> int:
        return FIFO_SIZE if self._fifos() else 1

    def _reveal(self) -> None:
        """The error bits of the character that came to the top show in LSR."""
        self.errors |= self.fifo[0] >> 8
        self.fifo[0] &= 0xFF

    def _listening(self) -> bool:
        room = len(self.fifo) < self._capacity()
        return room and bool(self.host) and bool(self.divisor) and not self.mcr & MCR_LOOP

    def _character_ticks(self) -> int:
        """Start, data, parity and stop bits of 16 baud clocks each (1.5 stop bits with 5 data bits)."""
        data, stop2, parity = 5 + (self.lcr & 3), self.lcr >> 2 & 1, self.lcr >> 3 & 1
        half_bits = 2 * (1 + data + parity + 1) + (stop2 if data == 5 else 2 * stop2)
        return 8 * half_bits * self.divisor

    def _arm_receiver(self, tick: int) -> None:
        if self._rx.deadline is None and self._listening():
            self._events.schedule(self._rx, self._rate.cycle_of(tick + self._character_ticks()))

    def _arm_timeout(self, tick: int) -> None:
        """A character timeout comes four character times after the last arrival or read."""
        if self._fifos() and self.fifo and not self.timeout and self.divisor:
            self._events.schedule(self._idle, self._rate.cycle_of(tick + 4 * self._character_ticks()))
        else:
            self._events.cancel(self._idle)
