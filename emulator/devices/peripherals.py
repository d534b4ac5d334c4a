"""What a PC has besides timers, interrupts and a serial port, wired.

1F0-1F7 3F6  ATA, IRQ14   60 64            keyboard, IRQ1, IRQ12     CF8 CF9 CFC-CFF  PCI
170-177 376  ATA, IRQ15   3B4-3BA 3C0-3DA  VGA                       00-0F 81-8F C0-DF  DMA

Not there, so that all reads give ones: an ATA channel without disks, COM2 to COM4 (2F8, 3E8, 2E8), the floppy
(3F0-3F5, 3F7), parallel ports (278, 378), the game port (201).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from emulator.devices.clock import Clock
from emulator.devices.device import Device
from emulator.devices.dma8237 import DmaControllers
from emulator.devices.events import EventQueue
from emulator.devices.i8042 import I8042
from emulator.devices.ide import CHANNELS, Disk, IdeChannel
from emulator.devices.pci import PciBus
from emulator.devices.vga import Vga
from emulator.memory.bus import PortBus

IRQ_KEYBOARD: Final = 1
IRQ_AUX: Final = 12
MOST_DISKS: Final = 2 * len(CHANNELS)


class Peripherals:
    """Builds them onto `bus`. `disks`: primary master, primary slave, secondary master and slave."""

    def __init__(
        self,
        clock: Clock,
        events: EventQueue,
        bus: PortBus,
        set_irq: Callable[[int, bool], None],
        on_reset: Callable[[], None],
        disks: Sequence[Disk | None] = (),
    ) -> None:
        if len(disks) > MOST_DISKS:
            raise ValueError(f"{len(disks)} disks: two ATA channels take {MOST_DISKS}")
        self.keyboard = I8042(
            clock, events, partial(set_irq, IRQ_KEYBOARD), partial(set_irq, IRQ_AUX), on_reset
        )
        self.vga = Vga(clock)
        self.pci = PciBus(on_reset, ide=any(disk is not None for disk in disks))
        self.dma = DmaControllers()
        self.channels: list[IdeChannel] = []
        self.devices: dict[str, Device] = {
            "keyboard": self.keyboard,
            "vga": self.vga,
            "pci": self.pci,
            "dma": self.dma,
        }
        for device in (self.keyboard, self.vga, self.dma):
            for first, count in device.PORTS:
                bus.register(device, first, count)
        for first, count in self.pci.PORTS:
            bus.register(self.pci, first, count, 4)
        for number, (_, _, irq) in enumerate(CHANNELS):
            pair = disks[2 * number : 2 * number + 2]
            if any(disk is not None for disk in pair):
                self._add_channel(IdeChannel(clock, events, partial(set_irq, irq), pair, number), bus, number)

    def _add_channel(self, channel: IdeChannel, bus: PortBus, number: int) -> None:
        (base, count), (control, _) = channel.PORTS
        bus.register(channel, base, count, 4)
        bus.register(channel, control)
        self.channels.append(channel)
        self.devices[f"ide{number}"] = channel
