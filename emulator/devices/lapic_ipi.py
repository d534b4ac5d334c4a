"""Interprocessor interrupts: the command register and who is meant (SDM vol. 3A, "Issuing IPIs")."""

from typing import NamedTuple

from emulator.devices.lapic_registers import INIT

NO_SHORTHAND, SELF, ALL, OTHERS = range(4)


class Command(NamedTuple):
    """What ICR says."""

    vector: int
    mode: int
    logical: bool
    assert_: bool
    level: bool
    shorthand: int
    destination: int

    @classmethod
    def decode(cls, low: int, high: int) -> "Command":
        """The two halves of ICR."""
        return cls(
            vector=low & 0xFF,
            mode=low >> 8 & 7,
            logical=bool(low >> 11 & 1),
            assert_=bool(low >> 14 & 1),
            level=bool(low >> 15 & 1),
            shorthand=low >> 18 & 3,
            destination=high >> 24,
        )

    @property
    def synchronises(self) -> bool:
        """INIT level de-assert: every APIC loads its arbitration ID, no processor notices."""
        return self.mode == INIT and self.level and not self.assert_


def addressed(destination: int, logical: bool, identity: int, ldr: int, dfr: int, broadcast: int) -> bool:
    """Whether a destination means this APIC ("Determining IPI destination").

    Physical: its ID, or all ones. Logical, flat model (DFR = F...): a common bit with LDR. Logical, cluster
    model: LDR's cluster in the high half, a common bit in the low half. All ones means everybody.
    """
    if not logical:
        return destination & broadcast in (identity, broadcast)  # a P6 has 4 bits
    own = ldr >> 24
    if destination == 0xFF or dfr >> 28:
        return destination == 0xFF or bool(destination & own)
    return destination >> 4 == own >> 4 and bool(destination & own & 0xF)
