"""The model-specific registers, by CPUID feature; any other is #GP(0) (SDM vol. 3B, app. B)."""

from typing import Final, Protocol

from emulator.timing.state import StateView

IA32_TSC: Final = 0x10
IA32_PLATFORM_ID: Final = 0x17
IA32_APIC_BASE: Final = 0x1B
IA32_BIOS_SIGN_ID: Final = 0x8B
IA32_MTRRCAP: Final = 0xFE
IA32_SYSENTER_CS: Final = 0x174
IA32_SYSENTER_ESP: Final = 0x175
IA32_SYSENTER_EIP: Final = 0x176
IA32_MCG_CAP: Final = 0x179
IA32_MCG_STATUS: Final = 0x17A
IA32_CLOCK_MODULATION: Final = 0x19A
IA32_THERM_INTERRUPT: Final = 0x19B
IA32_THERM_STATUS: Final = 0x19C
IA32_MISC_ENABLE: Final = 0x1A0
IA32_EFER: Final = 0xC0000080  # none of our processors has it
EFER_LME: Final = 1 << 8
IA32_PAT: Final = 0x277
IA32_MTRR_DEF_TYPE: Final = 0x2FF

FEATURE_TSC: Final = 1 << 4
FEATURE_APIC: Final = 1 << 9
FEATURE_SEP: Final = 1 << 11
FEATURE_MTRR: Final = 1 << 12
FEATURE_MCA: Final = 1 << 14
FEATURE_PAT: Final = 1 << 16
FEATURE_ACPI: Final = 1 << 22  # thermal monitor and clock modulation registers

_SYSENTER: Final = {
    IA32_SYSENTER_CS: "sysenter_cs",
    IA32_SYSENTER_ESP: "sysenter_esp",
    IA32_SYSENTER_EIP: "sysenter_eip",
}
_MTRR_COUNT: Final = 8


class UnknownMsr(Exception):
    """RDMSR or WRMSR of a register that this processor doesn't have, or a value that it refuses."""


class ApicBase(Protocol):
    """Who keeps IA32_APIC_BASE: the local APIC."""

    def apic_base(self) -> int:
        """The register."""

    def set_apic_base(self, value: int) -> None:
        """Write it. Raises: ValueError for reserved bits."""


class Msrs:
    """The MSRs of one processor."""

    def __init__(
        self, state: StateView, features: int, *, pentium4: bool, apic: ApicBase | None = None
    ) -> None:
        """`features`: CPUID.1:EDX of the profile."""
        self._state = state
        self._apic = apic if features & FEATURE_APIC else None
        self._features = features
        self._stored: dict[int, int] = {IA32_PLATFORM_ID: 0, IA32_BIOS_SIGN_ID: 0}
        self._read_only = {IA32_PLATFORM_ID, IA32_MTRRCAP, IA32_MCG_CAP}
        if features & FEATURE_MTRR:
            self._stored[IA32_MTRRCAP] = 0x500 | _MTRR_COUNT  # fixed ranges and write-combining
            self._stored[IA32_MTRR_DEF_TYPE] = 0
            fixed = (0x250, 0x258, 0x259, *range(0x268, 0x270))
            self._stored |= dict.fromkeys((*range(0x200, 0x200 + 2 * _MTRR_COUNT), *fixed), 0)
        if features & FEATURE_PAT:
            self._stored[IA32_PAT] = 0x0007040600070406
        if features & FEATURE_MCA:
            self._stored |= {IA32_MCG_CAP: 0, IA32_MCG_STATUS: 0}
        if features & FEATURE_ACPI:
            self._stored |= {IA32_CLOCK_MODULATION: 0, IA32_THERM_INTERRUPT: 0, IA32_THERM_STATUS: 0}
        if pentium4:
            self._stored[IA32_MISC_ENABLE] = 1  # fast strings

    def read(self, index: int) -> int:
        """Value of a register.

        Raises: UnknownMsr.
        """
        if index == IA32_TSC and self._features & FEATURE_TSC:
            return (self._state.cycles + self._state.tsc_offset) & (1 << 64) - 1
        if index in _SYSENTER and self._features & FEATURE_SEP:
            return int(getattr(self._state, _SYSENTER[index]))
        if index == IA32_APIC_BASE and self._apic is not None:
            return self._apic.apic_base()
        if index in self._stored:
            return self._stored[index]
        raise UnknownMsr(index)

    def write(self, index: int, value: int) -> None:
        """Set a register.

        Raises: UnknownMsr, also for read-only registers.
        """
        if index == IA32_TSC and self._features & FEATURE_TSC:
            # on these processors only the low half can be written; the high half is cleared
            self._state.tsc_offset = (value & 0xFFFFFFFF) - self._state.cycles
        elif index in _SYSENTER and self._features & FEATURE_SEP:
            setattr(self._state, _SYSENTER[index], value & 0xFFFFFFFF)
        elif index == IA32_APIC_BASE and self._apic is not None:
            try:
                self._apic.set_apic_base(value)
            except ValueError:
                raise UnknownMsr(index) from None
        elif index in self._stored and index not in self._read_only:
            self._stored[index] = value
        else:
            raise UnknownMsr(index)
