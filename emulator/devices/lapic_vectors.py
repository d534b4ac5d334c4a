"""Which vector is next: ISR, TMR and IRR of a local APIC, 256 bits each (SDM vol. 3A, "Handling interrupts").

accept: IRR bit set ---take--> ISR bit set ---finish (EOI)--> gone
IRR may be taken when its class (vector / 16) is above that of PPR, the higher of TPR and the top of ISR
"""

from emulator.devices.device import State

SIZE = 32  # bytes of a register


class Vectors:
    """The vectors that wait, those that are in service, and the task priority."""

    def __init__(self) -> None:
        self.isr = self.tmr = self.irr = self.tpr = 0

    def accept(self, vector: int, level: bool) -> None:
        """A new request; TMR remembers how it was triggered."""
        bit = 1 << vector
        self.irr |= bit
        self.tmr = self.tmr | bit if level else self.tmr & ~bit

    def pending(self) -> bool:
        """Whether the highest request is of a class above PPR."""
        return bool(self.irr) and self.irr.bit_length() - 1 >> 4 > self.ppr() >> 4

    def take(self) -> int | None:
        """The highest request goes into service, if it may."""
        if not self.pending():
            return None
        vector = self.irr.bit_length() - 1
        self.irr ^= 1 << vector
        self.isr |= 1 << vector
        return vector

    def finish(self) -> tuple[int, bool] | None:
        """EOI: the highest vector in service, now finished, and whether it was level-triggered."""
        if not self.isr:
            return None
        vector = self.isr.bit_length() - 1
        self.isr ^= 1 << vector
        return vector, bool(self.tmr >> vector & 1)

    def ppr(self) -> int:
        """The processor priority register."""
        servicing = max(self.isr.bit_length() - 1, 0)
        return self.tpr if self.tpr >> 4 >= servicing >> 4 else servicing & 0xF0

    def apr(self) -> int:
        """The arbitration priority register of the P6 family."""
        task = self.tpr >> 4
        servicing = max(self.isr.bit_length() - 1, 0) >> 4
        request = max(self.irr.bit_length() - 1, 0) >> 4
        if task >= request and task > servicing:
            return self.tpr
        return max(task & servicing, request) << 4

    def state(self) -> State:
        """The registers, as bytes."""
        bits = {name: getattr(self, name).to_bytes(SIZE, "little") for name in ("isr", "tmr", "irr")}
        return {**bits, "tpr": self.tpr}

    def restore(self, state: State) -> None:
        """Put `state()` back."""
        for name in ("isr", "tmr", "irr"):
            setattr(self, name, int.from_bytes(state[name], "little"))
        self.tpr = state["tpr"]
